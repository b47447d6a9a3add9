//! The history tells who held, how long, and how it ended.

use std::time::{Duration, Instant};

use lease::{Held, Loss, Space};
use support::{Cluster, eventually};

const LIMIT: Duration = Duration::from_secs(30);
/// What two clocks of one host may differ by, and what cutting to milliseconds takes away.
const CLOCKS: Duration = Duration::from_millis(20);

/// Waits until this many are told of.
async fn told(space: &Space, name: &str, count: usize) -> Vec<Held> {
    eventually(format!("{count} ended holds of {name}"), LIMIT, async || {
        let held = space.history(name).await.ok()?;
        (held.len() >= count).then_some(held)
    })
    .await
}

fn between(what: &str, least: Duration, found: Duration, most: Duration) {
    assert!(
        least <= found + CLOCKS && found <= most + CLOCKS,
        "{what}: {found:?}, not in {least:?} to {most:?}"
    );
}

/// Two spaces on one store: who acts, and who asks.
async fn tells_how_each_ended(actor: Space, asker: Space) {
    let name = "orders.42";
    assert_eq!(asker.history(name).await, Ok(Vec::new()));
    let lock = actor.lock(name);

    let called = Instant::now();
    let anna = lock.clone().owner("anna").acquire().await.expect("granted");
    let (granted, anna_token) = (Instant::now(), anna.token());
    let anna_waited = called.elapsed();

    // Bert waits until Anna has gone.
    let bert = lock.clone().owner("bert");
    let waiting = tokio::spawn(async move {
        let called = Instant::now();
        let lease = bert.acquire().await.expect("granted");
        (lease, called.elapsed(), Instant::now())
    });
    eventually("one in line", LIMIT, async || {
        (actor.look(name).await.ok()?.waiters.len() == 1).then_some(())
    })
    .await;
    let in_line = Instant::now();
    // Long enough that what is told of it differs from nothing.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (anna_held, bert_waited_least) = (granted.elapsed(), in_line.elapsed());
    let handed = Instant::now();
    anna.release().await.expect("released");
    let anna_held = anna_held..called.elapsed();
    let (bert, bert_waited, bert_granted) = waiting.await.expect("no panic");
    let bert_token = bert.token();

    let bert_held = bert_granted.elapsed();
    lock.break_by_force(bert_token, "stuck", false).await.expect("broken");
    assert_eq!(bert.lost().await, Loss::Broken("stuck".into()));
    let bert_held = bert_held..handed.elapsed();
    drop(bert);

    let ttl = Duration::from_secs(2);
    let cleo = lock.clone().owner("cleo").ttl(ttl).renewed_by_caller().acquire().await.expect("granted");
    let good_for = cleo.expires_in();
    assert_eq!(cleo.lost().await, Loss::Expired);
    let alive = told(&asker, name, 3).await;
    let cleo_token = cleo.token();
    drop(cleo);

    let [anna, bert, cleo] = alive.as_slice() else { panic!("{alive:?}") };
    let said = |held: &Held| (held.token, held.owner.clone(), held.why.clone(), held.reason.clone());
    assert_eq!(said(anna), (anna_token, "anna".into(), "released".into(), None));
    assert_eq!(said(bert), (bert_token, "bert".into(), "broken".into(), Some("stuck".into())));
    assert_eq!(said(cleo), (cleo_token, "cleo".into(), "expired".into(), None));
    for held in &alive {
        assert_eq!((held.name.as_str(), held.pid), (name, std::process::id()));
        assert!(!held.host.is_empty() && held.since <= held.ended, "{held:?}");
    }
    between("anna waited", Duration::ZERO, anna.waited, anna_waited);
    between("anna held", anna_held.start, anna.held, anna_held.end);
    between("bert waited", bert_waited_least, bert.waited, bert_waited);
    between("bert held", bert_held.start, bert.held, bert_held.end);
    between("cleo held", good_for, cleo.held, ttl);

    // A handle that goes later adds nothing: Cleo's was dropped before this one was granted.
    actor.lock(name).acquire().await.expect("granted").release().await.expect("released");
    let all = told(&asker, name, 4).await;
    assert_eq!((all.len(), &all[..3]), (4, &alive[..]));
    assert!(asker.history("orders.>").await.is_err() && asker.history("other").await == Ok(Vec::new()));
}

async fn keeps_the_last_64(space: Space, asker: Space) {
    let mut tokens = Vec::new();
    for _ in 0..70 {
        let lease = space.lock("often").acquire().await.expect("granted");
        tokens.push(lease.token());
        lease.release().await.expect("released");
    }
    let last = tokens.last().copied();
    let kept = eventually("the last hold", LIMIT, async || {
        let kept = asker.history("often").await.ok()?;
        (kept.last().map(|held| held.token) == last).then_some(kept)
    })
    .await;
    let kept: Vec<_> = kept.into_iter().map(|held| held.token).collect();
    assert_eq!(kept, tokens[6..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_embedded_store() {
    let space = Space::embedded();
    tells_how_each_ended(space.clone(), space.clone()).await;
    keeps_the_last_64(space.clone(), space).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_one_server() {
    let cluster = Cluster::single().await;
    let (actor, asker) = (super::space(&cluster.url()).await, super::space(&cluster.url()).await);
    tells_how_each_ended(actor.clone(), asker.clone()).await;
    keeps_the_last_64(actor, asker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_three_servers() {
    let cluster = Cluster::three().await;
    let (actor, asker) = (super::space(&cluster.url_of(0)).await, super::space(&cluster.url_of(1)).await);
    tells_how_each_ended(actor.clone(), asker.clone()).await;
    keeps_the_last_64(actor, asker).await;
}

/// One hold is lost and another given back while nobody answers: both end as they would without a history, which has
/// them once the store is back.
async fn outlives_an_outage(cluster: Cluster) {
    let space = super::space(&cluster.urls()).await;
    let ttl = Duration::from_secs(2);
    let long = space.lock("long").ttl(Duration::from_secs(60)).acquire().await.expect("granted");
    let called = Instant::now();
    let brief = space.lock("brief").ttl(ttl).acquire().await.expect("granted");
    let good_for = brief.expires_in();
    cluster.kill9_all();
    let released = tokio::spawn(long.release_as(lease::End::Stopped));
    assert_eq!(brief.lost().await, Loss::Expired);
    let late = lease::Ambient::now(&lease::System).since(brief.deadline());
    assert!(late < Duration::from_millis(300), "told {late:?} after the deadline");
    let brief_held = good_for..called.elapsed();
    assert!(!released.is_finished(), "nobody has answered");
    cluster.start_all().await;
    let released = tokio::time::timeout(LIMIT, released).await.expect("answered in time").expect("no panic");
    assert_eq!(released, Ok(()));
    let words: Vec<String> = told(&space, "long", 1).await.into_iter().map(|held| held.why).collect();
    assert_eq!(words, ["stopped"]);
    let lost = told(&space, "brief", 1).await;
    assert_eq!((lost.len(), lost[0].why.as_str(), lost[0].token), (1, "expired", brief.token()));
    between("held", brief_held.start, lost[0].held, brief_held.end);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_away_for_a_moment() {
    outlives_an_outage(Cluster::single().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_away_for_a_moment() {
    outlives_an_outage(Cluster::three().await).await;
}
