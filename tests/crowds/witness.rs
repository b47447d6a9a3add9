//! Somebody who sees every place that is taken in one line, as the servers announce it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use serde_json::Value;
use support::Cluster;

/// The places that were seen: the waiter's owner, and the revisions that it stood at, the first one first.
type Places = BTreeMap<String, Vec<u64>>;

pub struct Witness {
    places: Arc<Mutex<Places>>,
    _client: async_nats::Client,
}

impl Witness {
    /// Watches the line for a lock.
    pub async fn of(cluster: &Cluster, name: &str) -> Witness {
        let client = async_nats::connect(cluster.url()).await.expect("connects");
        let subject = format!("_lease.leases.ev.line.lock.{name}.*");
        let mut events = client.subscribe(subject).await.expect("subscribes");
        // The other servers know of it once they have answered: nothing is missed from here on.
        client.flush().await.expect("flushed");
        let places = Arc::new(Mutex::new(Places::new()));
        let seen = Arc::clone(&places);
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                let revision = event.headers.as_ref().and_then(|headers| headers.get("Nats-Sequence"));
                let Some(Ok(revision)) = revision.map(|revision| revision.as_str().parse()) else { continue };
                // What is no place is the end of one.
                let Ok(place) = serde_json::from_slice::<Value>(&event.payload) else { continue };
                let Some(owner) = place["owner"].as_str() else { continue };
                seen.lock().expect("no panic").entry(owner.to_owned()).or_default().push(revision);
            }
        });
        Witness { places, _client: client }
    }

    /// How many waiters were seen so far.
    pub fn count(&self) -> usize {
        self.places.lock().expect("no panic").len()
    }

    /// Where everybody stood.
    pub fn places(&self) -> Places {
        self.places.lock().expect("no panic").clone()
    }
}
