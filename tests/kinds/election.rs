//! Elections: one leader, preference at a vacancy, hand-over by name, observers who are never shown a stale leader.

use std::time::Duration;

use lease::{End, Error, Leadership, Space, Status, Term};
use support::eventually;
use tokio::task::JoinHandle;
use tokio_stream::{Stream, StreamExt};

use crate::{LIMIT, everywhere};

type Campaign = JoinHandle<Result<Term, Error>>;

/// Stands as `owner`, and is in line when this returns.
async fn stands(space: &Space, name: &str, owner: &str, priority: i32) -> Campaign {
    let election = space.election(name).owner(owner).priority(priority);
    let campaign = {
        let (election, value) = (election.clone(), format!("{owner}:80"));
        tokio::spawn(async move { election.campaign(&value).await })
    };
    eventually("it stands", LIMIT, async || {
        let all = election.candidates().await.ok()?;
        all.iter().any(|candidate| candidate.owner == owner).then_some(())
    })
    .await;
    campaign
}

async fn elected(campaign: Campaign) -> Term {
    tokio::time::timeout(LIMIT, campaign).await.expect("soon").expect("no panic").expect("elected")
}

async fn told(stream: &mut (impl Stream<Item = Leadership> + Unpin)) -> Leadership {
    tokio::time::timeout(LIMIT, stream.next()).await.expect("told in time").expect("the stream goes on")
}

mod terms {
    use super::*;
    everywhere!(super::one_leads_and_the_best_is_next);
}

async fn one_leads_and_the_best_is_next(one: Space, two: Space) {
    let first = one.election("e").owner("first").campaign(&"first:80").await.expect("elected");
    assert!(two.election("e").campaign_within(&0, Duration::ZERO).await.expect("answered").is_none());
    let second = stands(&two, "e", "second", 0).await;
    let third = stands(&one, "e", "third", 0).await;
    let best = stands(&two, "e", "best", 7).await;
    let order: Vec<String> = {
        let all = one.election("e").candidates().await.expect("readable");
        all.into_iter().map(|candidate| format!("{} {}", candidate.owner, candidate.priority)).collect()
    };
    assert_eq!(order, ["best 7", "second 0", "third 0"]);
    assert_eq!(first.status(), Status::Held, "nobody is pushed out of office");
    let token = first.token();
    first.resign().await.expect("resigned");
    let best = elected(best).await;
    assert!(best.token() > token && !second.is_finished() && !third.is_finished());
    assert_eq!(
        best.previous().map(|previous| (previous.holder.as_str(), previous.why)),
        Some(("first", End::Released))
    );

    // By name, before the one that would be next.
    let (error, term) = best.hand_over("nobody").await.expect_err("no such candidate");
    assert!(error.to_string().contains("second, third"), "{error}");
    let best = term.expect("still in office");
    assert_eq!(best.status(), Status::Held);
    best.hand_over("third").await.expect("handed over");
    let third = elected(third).await;
    assert_eq!(third.previous().map(|previous| previous.why), Some(End::HandedOver));
    assert!(!second.is_finished());
    drop(third);
    elected(second).await.resign().await.expect("resigned");
}

mod readiness {
    use super::*;
    everywhere!(super::who_is_not_ready_is_passed_over);
}

async fn who_is_not_ready_is_passed_over(one: Space, two: Space) {
    let (say, ready) = tokio::sync::watch::channel(false);
    let unready = one.election("r").owner("unready").priority(9).ready(ready);
    let campaign = {
        let unready = unready.clone();
        tokio::spawn(async move { unready.campaign(&"u").await })
    };
    eventually("it stands, not ready", LIMIT, async || {
        let all = unready.candidates().await.ok()?;
        all.iter().any(|candidate| !candidate.is_ready).then_some(())
    })
    .await;
    // Nobody leads, and it does not: the other does, though its priority is lower.
    let other = two.election("r").owner("other").campaign_within(&"o", LIMIT).await.expect("answered");
    let other = other.expect("elected");
    assert!(!campaign.is_finished());
    say.send_replace(true);
    eventually("it says that it is ready", LIMIT, async || {
        unready.candidates().await.ok()?.first()?.is_ready.then_some(())
    })
    .await;
    other.resign().await.expect("resigned");
    elected(campaign).await.resign().await.expect("resigned");
}

mod observers {
    use super::*;
    everywhere!(super::see_who_leads);
}

async fn see_who_leads(one: Space, two: Space) {
    let mut seen = two.election("o").observe().expect("a name");
    assert_eq!(told(&mut seen).await, Leadership::Vacant);
    let term = one.election("o").owner("a").campaign(&"a:1").await.expect("elected");
    let Leadership::Leader(leader) = told(&mut seen).await else { panic!("nobody leads") };
    let value: String = leader.value.expect("a value").read().expect("a string");
    assert_eq!((leader.token, leader.owner.as_str(), value.as_str()), (term.token(), "a", "a:1"));
    let (least, most) = (Duration::from_secs(10), Duration::from_millis(17_800));
    assert!((least..=most).contains(&leader.valid_for), "{:?}", leader.valid_for);
    term.proclaim(&serde_json::json!({"addr": "a:2"})).await.expect("said");
    let Leadership::Leader(leader) = told(&mut seen).await else { panic!("nobody leads") };
    assert_eq!(leader.value.expect("a value").as_str(), r#"{"addr":"a:2"}"#);
    assert_eq!(leader.token, term.token(), "the same term");
    let long = term.proclaim(&"x".repeat(70_000)).await.expect_err("too long").to_string();
    assert!(long.contains("70002 bytes"), "{long}");
    let looked = two.election("o").leader().await.expect("readable").expect("somebody leads");
    assert_eq!(looked.token, term.token());
    term.resign().await.expect("resigned");
    assert_eq!(told(&mut seen).await, Leadership::Vacant);
    assert_eq!(two.election("o").leader().await.expect("readable"), None);

    // A leader that falls silent is not shown as leading for longer than that is known.
    let ttl = Duration::from_secs(5);
    let election = one.election("o").ttl(ttl).owner("b");
    let term = election.campaign(&"b").await.expect("elected");
    let Leadership::Leader(leader) = told(&mut seen).await else { panic!("nobody leads") };
    assert!(leader.valid_for <= Duration::from_secs(3), "T less the slack: {:?}", leader.valid_for);
    one.close(Duration::from_millis(100)).await;
    let next = told(&mut seen).await;
    assert!(matches!(&next, Leadership::Unconfirmed(leader) if leader.owner == "b"), "{next:?}");
    assert_eq!(told(&mut seen).await, Leadership::Vacant);
    drop(term);
}

mod again {
    use super::*;
    everywhere!(super::run_campaigns_again_after_a_loss);
}

async fn run_campaigns_again_after_a_loss(one: Space, two: Space) {
    let mut terms = Vec::new();
    let election = one.election("w").owner("w");
    let breaker = two.election("w");
    let result = election
        .run(&"w", async |term: &Term| {
            terms.push(term.token());
            if terms.len() < 3 {
                breaker.break_by_force(term.token(), "again", false).await.expect("broken");
                std::future::pending::<()>().await;
            }
            "done"
        })
        .await;
    assert_eq!(result, Ok("done"));
    assert!(terms.len() == 3 && terms.is_sorted(), "{terms:?}");
    assert_eq!(two.election("w").leader().await.expect("readable"), None, "resigned");
}
