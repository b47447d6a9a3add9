//! A holder that was paused for longer than its TTL.

use std::time::Duration;

use support::{Cluster, Daemon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_told_and_touches_nothing() {
    let cluster = Cluster::single().await;
    let space = super::space(&cluster.url()).await;
    let mut daemon = Daemon::start(["--nats", &cluster.url()]).await;
    let limit = Duration::from_secs(10);
    let mut hold = daemon.api().open("POST", "/v1/locks/a/hold", r#"{"ttl":"3s"}"#).await;
    let first = hold.event("held", limit).await["token"].as_u64().expect("a token");
    let acquired = daemon.api().post("/v1/locks/b/acquire", r#"{"ttl":"3s"}"#).await.expect(200).json();
    let id = acquired["lease"].as_str().expect("an id").to_owned();

    daemon.process().pause();
    let second = super::acquire(&space, "a", Duration::from_secs(20), limit).await;
    let other = super::acquire(&space, "b", Duration::from_secs(20), limit).await;
    assert!(second.token().get() > first);
    let before = (space.look("a").await.expect("read"), space.look("b").await.expect("read"));
    daemon.process().resume();

    assert_eq!(hold.event("lost", limit).await["reason"], "expired");
    let renewed = daemon.api().post(&format!("/v1/leases/{id}/renew"), "").await;
    assert_eq!((renewed.status, renewed.json()["code"].as_str()), (409, Some("lost")));
    let released = daemon.api().delete(&format!("/v1/leases/{id}")).await;
    assert_eq!((released.status, released.json()["code"].as_str()), (409, Some("lost")));
    drop(hold);

    // The second's own renewals change the revision, so the grant itself is compared.
    let after = (space.look("a").await.expect("read"), space.look("b").await.expect("read"));
    assert_eq!(after.0.holder, before.0.holder);
    assert_eq!(after.1.holder, before.1.holder);
    assert_eq!((second.status(), other.status()), (lease::Status::Held, lease::Status::Held));
}
