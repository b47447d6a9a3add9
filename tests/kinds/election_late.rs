//! A hand-over whose news arrives late, or never: nobody believes to lead beside somebody else, and office is not vacant for
//! long.

use std::time::{Duration, Instant};

use lease::{Space, Status, Term};
use support::{Cluster, Proxy, Way, eventually};

/// For whatever nothing is in the way of.
const LIMIT: Duration = Duration::from_secs(30);

/// How long the record is kept free for whoever was named; and what it takes to find out, to try, and to be told.
const KEPT: Duration = Duration::from_secs(3);
/// Whoever is dead to the store is passed over once its presence of 5 s has ended.
const ALLOWANCE: Duration = Duration::from_secs(8);
const TTL: Duration = Duration::from_secs(6);

fn leads(term: &Term) -> bool {
    matches!(term.status(), Status::Held | Status::Jeopardy)
}

async fn in_line(space: &Space, owner: &str) {
    eventually(format!("{owner} stands in line"), LIMIT, async || {
        let candidates = space.election("e").candidates().await.ok()?;
        candidates.iter().any(|candidate| candidate.owner == owner).then_some(())
    })
    .await;
}

/// The named candidate hears nothing for so long, from before it was named.
async fn late_by(silence: Option<Duration>) {
    // One server: of a cluster it would soon find another, and hear again.
    let cluster = Cluster::single().await;
    let (first, other) = (crate::space(&cluster.url()).await, crate::space(&cluster.url()).await);
    let proxy = Proxy::start(&cluster.url()).await;
    let deaf = crate::space(&proxy.url()).await;
    let term = first.election("e").ttl(TTL).owner("first").campaign(&1).await.expect("elected");
    let campaign = |space: Space, owner: &'static str| {
        tokio::spawn(async move { space.election("e").ttl(TTL).owner(owner).campaign(&0).await })
    };
    let mut named = campaign(deaf, "named");
    in_line(&first, "named").await;
    let mut next = campaign(other, "next");
    in_line(&first, "next").await;

    proxy.block(Way::ToClient);
    let handed = Instant::now();
    term.hand_over("named").await.map_err(|(error, _)| error).expect("handed over");
    let unheard = async {
        match silence {
            Some(silence) => tokio::time::sleep_until((handed + silence).into()).await,
            None => std::future::pending().await,
        }
    };
    let mut unheard = std::pin::pin!(unheard);
    let mut hears = false;
    let until = handed + silence.unwrap_or_default().max(KEPT + ALLOWANCE) + TTL + ALLOWANCE;
    let mut leaders: Vec<(&str, Term)> = Vec::new();
    while Instant::now() < until {
        tokio::select! {
            () = &mut unheard, if !hears => {
                hears = true;
                proxy.unblock();
            }
            term = &mut named, if !leaders.iter().any(|(who, _)| *who == "named") => {
                leaders.push(("named", term.expect("no panic").expect("elected")));
                println!("the one that was named leads {:.1?} after", handed.elapsed());
            }
            term = &mut next, if !leaders.iter().any(|(who, _)| *who == "next") => {
                leaders.push(("next", term.expect("no panic").expect("elected")));
                println!("the next in line leads {:.1?} after", handed.elapsed());
            }
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
        let now: Vec<_> = leaders.iter().filter(|(_, term)| leads(term)).map(|(who, _)| who).collect();
        assert!(now.len() <= 1, "two leaders at once: {now:?}");
        assert!(now.len() == 1 || handed.elapsed() < KEPT + ALLOWANCE, "nobody leads");
    }
    let (who, leader) = leaders.pop().expect("somebody leads");
    assert!(leaders.is_empty(), "nobody gave it up, and {who} leads after {leaders:?}");
    let token = leader.token();
    leader.resign().await.expect("resigned");
    if silence.is_some() {
        let other = if who == "named" { &mut next } else { &mut named };
        let term = tokio::time::timeout(LIMIT, other).await.expect("its turn").expect("no panic");
        assert!(term.expect("elected").token() > token);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_3_s() {
    late_by(Some(KEPT)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_18_s() {
    late_by(Some(Duration::from_secs(18))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never() {
    late_by(None).await;
}
