//! Reaching the store: once, or again and again until it answers.

use std::sync::Arc;
use std::time::Duration;

use lease::store::MemoryStore;
use lease::{Error, Space, SpaceOptions};

use crate::config::Config;
use crate::metrics::Metrics;

/// Between two tries to reach NATS at the start: doubled each time, up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Opens the space that `config` names. While NATS is out of reach this goes on trying, so that daemon and servers
/// may start in any order.
///
/// # Errors
/// What trying again would not mend: credentials, the bucket's settings, the server's release.
pub async fn open(config: &Config, metrics: &Arc<Metrics>) -> Result<Space, Error> {
    let observer: Arc<dyn lease::Observer> = Arc::clone(metrics) as _;
    let options = SpaceOptions {
        slack: config.nats.slack.0,
        nats: config.nats.options(),
        observer,
        ..SpaceOptions::default()
    };
    let Some(url) = &config.nats.url else {
        tracing::warn!(
            "no NATS server is named: locks are kept in this process, HOLD ON THIS HOST ONLY, and end with the daemon"
        );
        let store = MemoryStore::new(Arc::clone(&options.ambient));
        return Space::on(store, options).await;
    };
    let mut pause = Duration::from_millis(100);
    loop {
        match Space::connect(url, options.clone()).await {
            Err(error @ (Error::Unreachable(_) | Error::Unknown(_))) => {
                tracing::warn!(%error, "cannot open the bucket yet; trying again in {pause:?}");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            outcome => return outcome,
        }
    }
}
