//! All servers stopped: the holder is told before its deadline, and afterwards everything works again.

use std::time::Duration;

use lease::{Error, Loss};
use support::Cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_holder_is_told_in_time_and_then_it_works_again() {
    let cluster = Cluster::three().await;
    let space = super::space(&cluster.urls()).await;
    let lease = space.lock("a").ttl(Duration::from_secs(4)).acquire().await.expect("granted");
    cluster.kill9_all();
    let deadline = lease.deadline();
    let loss = lease.lost().await;
    let told = lease::Ambient::now(&lease::System);
    assert_eq!(loss, Loss::Expired);
    // A renewal may have been confirmed between the kill and the look at the deadline.
    assert!(
        told >= deadline && told.since(lease.deadline()) < Duration::from_millis(300),
        "{told:?} {deadline:?}"
    );
    let tried = space.lock("a").try_acquire().await;
    assert!(matches!(tried, Err(Error::Unreachable(_) | Error::Unknown(_))), "{tried:?}");
    cluster.start_all().await;
    let again = super::acquire(&space, "a", Duration::from_secs(4), Duration::from_secs(30)).await;
    assert!(again.token() > lease.token());
}
