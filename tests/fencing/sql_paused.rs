//! The late write of a holder that was paused, expired and replaced, a hundred times, on a real PostgreSQL.

use std::time::Duration;

use futures_util::future::join_all;
use lease::{Space, SpaceOptions};
use support::{Cluster, Daemon};

use crate::recipe;

const COUNT: usize = 100;
const LIMIT: Duration = Duration::from_secs(60);

/// A machine with a sidecar and a database client stands still: what it was about to write arrives when another has
/// been granted the names and has written. The same writes go to a table without a fence, to show what that would do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_refused_100_of_100() {
    let (cluster, server) = tokio::join!(Cluster::single(), recipe::server());
    let mut old = recipe::session(&server).await;
    old.must("CREATE TABLE unfenced (id text PRIMARY KEY, balance bigint)").await;
    let name = |n: usize| format!("account.{n}");

    let mut daemon = Daemon::start(["--nats", &cluster.url()]).await;
    let api = daemon.api();
    let mut holds = join_all((0..COUNT).map(async |n| {
        let target = format!("/v1/locks/{}/hold", name(n));
        let mut hold = api.open("POST", &target, r#"{"ttl":"2s"}"#).await;
        let token = hold.event("held", LIMIT).await["token"].as_u64().expect("a token");
        (hold, token)
    }))
    .await;
    for (n, (_, token)) in holds.iter().enumerate() {
        assert_eq!(old.must(&format!("EXECUTE put('{}', 1, {token})", name(n))).await.rows, 1);
        old.must(&format!("INSERT INTO unfenced VALUES ('{}', 1)", name(n))).await;
    }
    // Still the holder of all: else a refusal could have any reason.
    for (n, (hold, _)) in holds.iter_mut().enumerate() {
        hold.event("alive", LIMIT).await;
        let looked = api.get(&format!("/v1/locks/{}", name(n))).await.json();
        assert_eq!(looked["held"], true, "{looked}");
    }
    old.pause();
    daemon.process().pause();
    // On its way, from here on.
    let late: Vec<_> = holds
        .iter()
        .enumerate()
        .map(|(n, (_, token))| {
            let fenced = old.send(&format!("EXECUTE write('{}', 666, {token})", name(n)));
            let unfenced = old.send(&format!("UPDATE unfenced SET balance = 666 WHERE id = '{}'", name(n)));
            (fenced, unfenced)
        })
        .collect();

    let near = Space::connect(&cluster.url(), SpaceOptions::default()).await.expect("the bucket opens");
    let leases = join_all((0..COUNT).map(async |n| {
        near.lock(&name(n)).acquire_within(LIMIT).await.map(|attempt| match attempt {
            lease::Attempt::Granted(lease) => lease,
            other => panic!("{} has not expired: {other:?}", name(n)),
        })
    }))
    .await;
    let mut new = recipe::session(&server).await;
    for (n, lease) in leases.iter().enumerate() {
        let lease = lease.as_ref().expect("granted");
        let (id, token) = (name(n), lease.token().get());
        assert!(token > holds[n].1, "{id}: {token} after {}", holds[n].1);
        assert_eq!(new.must(&format!("EXECUTE take_over('{id}', {token})")).await.rows, 1);
        assert_eq!(new.must(&format!("EXECUTE write('{id}', 2, {token})")).await.rows, 1);
        new.must(&format!("UPDATE unfenced SET balance = 2 WHERE id = '{id}'")).await;
    }

    old.resume();
    let (mut refused, mut overwritten) = (0, 0);
    for (n, (fenced, unfenced)) in late.into_iter().enumerate() {
        let (fenced, unfenced) = (old.answer(fenced).await, old.answer(unfenced).await);
        assert_eq!((fenced.state.as_str(), unfenced.state.as_str()), ("00000", "00000"));
        let token = leases[n].as_ref().expect("granted").token();
        let stands = format!(
            "SELECT count(*) AS value FROM account WHERE id = '{}' AND balance = 2 AND fence = {token}",
            name(n)
        );
        refused += usize::from(fenced.rows == 0 && new.must(&stands).await.text == "1");
        overwritten += usize::from(unfenced.rows == 1);
    }
    println!(
        "of {COUNT} late writes {refused} were refused; {overwritten} went through where there was no fence"
    );
    assert_eq!(refused, COUNT);
    assert_eq!(overwritten, COUNT, "the control: these writes do arrive, and late");
    let still = new.must("SELECT count(*) AS value FROM unfenced WHERE balance = 666").await.text;
    assert_eq!(still, COUNT.to_string());

    // It learns of its losses, too, but later than it wrote.
    daemon.process().resume();
    for (hold, _) in &mut holds {
        assert_eq!(hold.event("lost", LIMIT).await["reason"], "expired");
    }
}
