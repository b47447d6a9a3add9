//! The bound on connections.

use support::{Daemon, Folder, eventually};

use crate::SOON;
use crate::problem::expect;
use crate::turns::alone;

#[tokio::test]
async fn connections_beyond_the_bound_are_refused_and_nobody_else_is_harmed() {
    let _cores = alone().await;
    support::descriptors::raise_limit(2_048);
    let folder = Folder::new("limits");
    let config = folder.join("lease.toml");
    std::fs::write(&config, "[limits]\nconnections-per-user = 1024\n").unwrap();
    let daemon = Daemon::start(["--config".as_ref(), config.as_os_str()]).await;
    let api = daemon.api();
    let mut hold = api.open("POST", "/v1/locks/a/hold", r#"{"ttl":"2s"}"#).await;
    hold.event("held", SOON).await;
    let mut idle = Vec::new();
    for _ in 0..1023 {
        idle.push(api.connect().await.unwrap());
    }
    let refused = eventually("a refusal", SOON, async || {
        let answer = api.try_send("GET", "/healthz", "").await.ok()?;
        (answer.status == 503).then_some(answer)
    })
    .await;
    expect(&refused, 503, "too-many-connections");
    for _ in 0..4 {
        hold.event("alive", SOON).await;
    }
    idle.clear();
    eventually("room again", SOON, async || {
        let answer = api.try_send("GET", "/healthz", "").await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
}
