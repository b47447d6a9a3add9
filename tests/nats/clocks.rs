//! A new bucket is numbered by the time, so it is made only where two clocks agree on that.

use std::sync::Arc;

use lease::store::{NatsOptions, NatsStore, Store};
use lease::{Ambient, Error, Moment, System};
use support::Cluster;

use crate::{exists, info, open};

/// A host whose wall clock is off by so many seconds.
#[derive(Debug)]
pub struct Off(pub i64);

impl Ambient for Off {
    fn now(&self) -> Moment {
        System.now()
    }

    fn wall_micros(&self) -> u64 {
        System.wall_micros().saturating_add_signed(self.0 * 1_000_000)
    }

    fn random(&self) -> u128 {
        System.random()
    }

    fn spawn(&self, task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) {
        System.spawn(task);
    }
}

async fn open_off(cluster: &Cluster, seconds: i64) -> Result<NatsStore, Error> {
    NatsStore::open(&cluster.url(), NatsOptions::default(), Arc::new(Off(seconds))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_makes_no_bucket() {
    let cluster = Cluster::single().await;
    for (seconds, says) in [(60, "ahead"), (86_400, "ahead"), (-60, "behind"), (-86_400 * 365, "behind")] {
        let refused = open_off(&cluster, seconds).await.expect_err("refused");
        let Error::UnsafeBucket { setting: "clock", found, .. } = &refused else {
            panic!("{seconds}: {refused}")
        };
        assert!(found.contains(says), "{found}");
        assert!(!exists(&cluster, "KV_leases").await, "{seconds}");
    }
    open_off(&cluster, -7).await.expect("within ten seconds");
    let first = info(&cluster, "KV_leases").await["config"]["first_seq"].as_u64().expect("a number");
    assert!(first < System.wall_micros() - 6_000_000, "{first} is by the opener's clock");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_there_can_be_opened_by_a_wrong_clock() {
    let cluster = Cluster::single().await;
    let right = open(&cluster.url()).await;
    let wrong = open_off(&cluster, 3_600).await.expect("nothing is made");
    assert_eq!(right.life().await, wrong.life().await);
}
