//! Clients of all kinds, who go on whatever befalls their daemon.

use std::path::{Path, PathBuf};
use std::time::Duration;

use support::http::Api;
use tokio::task::JoinSet;

/// What one client does, again and again.
struct Work {
    target: &'static str,
    body: &'static str,
    /// For how long it keeps what it got; for ever, if none is given.
    keeps: Option<Duration>,
}

const fn work(target: &'static str, body: &'static str, keeps_ms: u64) -> Work {
    let keeps = if keeps_ms == 0 { None } else { Some(Duration::from_millis(keeps_ms)) };
    Work { target, body, keeps }
}

/// At each daemon. Short TTLs, so that an outage of a dozen seconds is one.
static EVERYWHERE: [Work; 12] = [
    work("/v1/locks/nightly/hold", r#"{"ttl":"10s"}"#, 2_500),
    work("/v1/locks/orders.1/hold", r#"{"ttl":"10s"}"#, 120),
    work("/v1/locks/orders.1/hold", r#"{"ttl":"10s"}"#, 80),
    work("/v1/locks/orders.2/hold", r#"{"ttl":"10s","wait":"50ms"}"#, 300),
    work("/v1/locks/catalog/hold", r#"{"ttl":"10s","shared":true}"#, 700),
    work("/v1/elections/scheduler/campaign", r#"{"ttl":"10s"}"#, 0),
    work("/v1/elections/billing/campaign", r#"{"ttl":"10s"}"#, 0),
    // Not among the listed ones: its leader may change as often as it likes.
    work("/v1/elections/turns/campaign", r#"{"ttl":"10s"}"#, 2_000),
    work("/v1/semaphores/gpu/hold", r#"{"limit":2,"ttl":"10s"}"#, 400),
    work("/v1/semaphores/gpu/hold", r#"{"limit":2,"ttl":"10s"}"#, 600),
    work("/v1/multi/hold", r#"{"names":["from","to"],"ttl":"10s"}"#, 500),
    work("/v1/groups/workers/join", r#"{"ttl":"10s"}"#, 5_000),
];

/// Clients of these daemons, until this is dropped.
pub fn start<'a>(sockets: impl IntoIterator<Item = &'a Path>) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for socket in sockets {
        for work in &EVERYWHERE {
            clients.spawn(go_on(socket.to_path_buf(), work));
        }
    }
    clients
}

async fn go_on(socket: PathBuf, work: &'static Work) {
    let api = Api::new(socket);
    loop {
        // Refused, out of reach, lost: it tries again, as a client would.
        let _ = once(&api, work).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

async fn once(api: &Api, work: &Work) -> std::io::Result<()> {
    let mut stream = api.try_open("POST", work.target, work.body).await?;
    while let Some(line) = stream.try_line().await? {
        let has = ["held", "elected", "joined"].iter().any(|it| line.contains(&format!(r#""event":"{it}""#)));
        let Some(keeps) = work.keeps.filter(|_| has) else { continue };
        let lost = async { while stream.try_line().await.is_ok_and(|line| line.is_some()) {} };
        let _ = tokio::time::timeout(keeps, lost).await;
        return Ok(());
    }
    Ok(())
}
