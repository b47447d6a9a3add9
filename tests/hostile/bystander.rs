//! Another client, which holds two locks while all this goes on: one stream, and one lease that it renews itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use support::Daemon;
use tokio::task::JoinHandle;

use crate::LIMIT;

/// The two locks, kept.
#[derive(Debug)]
pub struct Bystander {
    /// The stream's token, and how often it was told that it goes on.
    token: u64,
    alive: Arc<AtomicU64>,
    stream: JoinHandle<String>,
    lease: Value,
    renewing: JoinHandle<String>,
}

impl Bystander {
    /// Takes the locks.
    pub async fn begin(daemon: &Daemon) -> Bystander {
        let api = daemon.api();
        let ttl = r#"{"ttl":"10s"}"#;
        let mut hold = api.open("POST", "/v1/locks/bystander.held/hold", ttl).await;
        let token = hold.event("held", LIMIT).await["token"].as_u64().expect("a token");
        let lease = api.post("/v1/locks/bystander.renewed/acquire", ttl).await.expect(200).json();
        let alive = Arc::<AtomicU64>::default();
        let count = Arc::clone(&alive);
        let stream = tokio::spawn(async move {
            loop {
                match hold.next(LIMIT).await {
                    Some(event) if event["event"] == "alive" => count.fetch_add(1, Ordering::Relaxed),
                    other => return format!("the stream said {other:?}"),
                };
            }
        });
        let (id, renewed) = (lease["lease"].as_str().expect("an id").to_owned(), lease["token"].clone());
        let renewing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                // When there is no room for another connection, one tries again: the lease lasts ten seconds.
                let Ok(answer) = api.try_send("POST", &format!("/v1/leases/{id}/renew"), "").await else {
                    continue;
                };
                let full = matches!(answer.status, 429 | 503)
                    && answer.json()["code"]
                        .as_str()
                        .is_some_and(|code| code.starts_with("too-many-connections"));
                if !full && (answer.status != 200 || answer.json()["token"] != renewed) {
                    return format!("renewal: {} {}", answer.status, answer.text());
                }
            }
        });
        Bystander { token, alive, stream, lease, renewing }
    }

    /// Both are held, by the same grants as at the beginning, and are still being renewed.
    pub async fn check(&self, daemon: &Daemon) {
        let before = self.alive.load(Ordering::Relaxed);
        support::eventually("another renewal of the stream", LIMIT, async || {
            (self.alive.load(Ordering::Relaxed) > before || self.stream.is_finished()).then_some(())
        })
        .await;
        assert!(!self.stream.is_finished() && !self.renewing.is_finished(), "{self:?}");
        for (name, token) in [("held", &Value::from(self.token)), ("renewed", &self.lease["token"])] {
            let lock = daemon.api().get(&format!("/v1/locks/bystander.{name}")).await.expect(200).json();
            assert_eq!(&lock["token"], token, "{lock}");
        }
    }

    /// As [`check`](Bystander::check), and gives the lease back by its id.
    pub async fn end(self, daemon: &Daemon) {
        self.check(daemon).await;
        self.renewing.abort();
        let id = self.lease["lease"].as_str().expect("an id");
        let back = daemon.api().delete(&format!("/v1/leases/{id}")).await.expect(200).json();
        assert_eq!(back["token"], self.lease["token"]);
        self.stream.abort();
    }
}
