//! Somebody who sees every place that is taken in one line: as the servers announce it, which says the order but may be lost
//! on the way (routes of a new cluster are joined twice, and one is dropped with what is on it), and as it stands in the
//! store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use lease::System;
use lease::store::{NatsOptions, NatsStore, Store};
use serde_json::Value;
use support::Cluster;

/// The places that were seen: the waiter's owner, and the revisions that it stood at.
type Places = BTreeMap<String, BTreeSet<u64>>;

pub struct Witness {
    places: Arc<Mutex<Places>>,
    _client: async_nats::Client,
    looks: tokio::task::JoinHandle<()>,
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.looks.abort();
    }
}

/// What is no place is the end of one.
fn take(places: &Mutex<Places>, revision: u64, value: &[u8]) {
    let Ok(place) = serde_json::from_slice::<Value>(value) else { return };
    let Some(owner) = place["owner"].as_str() else { return };
    places.lock().expect("no panic").entry(owner.to_owned()).or_default().insert(revision);
}

impl Witness {
    /// Watches the line for a lock.
    pub async fn of(cluster: &Cluster, name: &str) -> Witness {
        let client = async_nats::connect(cluster.url()).await.expect("connects");
        let subject = format!("_lease.leases.ev.line.lock.{name}.*");
        let mut events = client.subscribe(subject).await.expect("subscribes");
        client.flush().await.expect("flushed");
        let places = Arc::new(Mutex::new(Places::new()));
        let seen = Arc::clone(&places);
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                let revision = event.headers.as_ref().and_then(|headers| headers.get("Nats-Sequence"));
                let Some(Ok(revision)) = revision.map(|revision| revision.as_str().parse()) else { continue };
                take(&seen, revision, &event.payload);
            }
        });
        let options = NatsOptions::default();
        let store = NatsStore::open(&cluster.urls(), options, Arc::new(System)).await.expect("opened");
        let (filter, seen) = (format!("line.lock.{name}.*"), Arc::clone(&places));
        let looks = tokio::spawn(async move {
            let mut from = 0;
            loop {
                // Without an answer it looks again.
                let page = store.scan(&filter, from).await.unwrap_or_default();
                for entry in page.entries {
                    take(&seen, entry.revision, entry.value().map_or(&[], |value| &value[..]));
                }
                from = page.next.unwrap_or_default();
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        Witness { places, _client: client, looks }
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
