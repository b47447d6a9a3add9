//! What the library gives beside the mutex, on the embedded store and on real servers.

mod election;
mod election_better;
mod election_late;
mod grace;
mod group;
mod group_faults;
mod guarded;
mod history;
mod history_past;
mod history_wire;
mod multi;
mod races;
mod rwlock;
mod semaphore;
mod unanswered;
mod watch;

use std::time::Duration;

use lease::store::MemoryStore;
use lease::{Attempt, Error, Holder, Lease, Space, SpaceOptions};
use support::{Cluster, Proxy};

/// For whatever is to happen soon.
const LIMIT: Duration = Duration::from_secs(15);

/// A space on a real server.
async fn space(url: &str) -> Space {
    Space::connect(url, SpaceOptions::default()).await.expect("the bucket opens")
}

/// One space behind a proxy, one beside it.
async fn stage(cluster: &Cluster) -> (Proxy, Space, Space) {
    let proxy = Proxy::start(&cluster.url()).await;
    let far = space(&proxy.url()).await;
    (proxy, far, space(&cluster.url()).await)
}

/// Two spaces on one embedded store.
async fn embedded() -> (Space, Space) {
    let options = SpaceOptions::default();
    let store = MemoryStore::new(options.ambient.clone());
    let one = Space::on(store.clone(), options.clone()).await.expect("opens");
    (one, Space::on(store, options).await.expect("opens"))
}

fn granted(attempt: Result<Attempt, Error>) -> Lease {
    match attempt {
        Ok(Attempt::Granted(lease)) => lease,
        other => panic!("not granted: {other:?}"),
    }
}

fn held(attempt: Result<Attempt, Error>) -> Option<Holder> {
    match attempt {
        Ok(Attempt::Held(by)) => by,
        other => panic!("not held by others: {other:?}"),
    }
}

/// One test for the embedded store, one server, and three: the test gets two spaces on the same bucket.
macro_rules! everywhere {
    ($test:path) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn on_the_embedded_store() {
            let (one, two) = crate::embedded().await;
            $test(one, two).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn on_one_server() {
            let cluster = support::Cluster::single().await;
            $test(crate::space(&cluster.url()).await, crate::space(&cluster.url()).await).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn on_three_servers() {
            let cluster = support::Cluster::three().await;
            $test(crate::space(&cluster.url()).await, crate::space(&cluster.url()).await).await;
        }
    };
}
pub(crate) use everywhere;
