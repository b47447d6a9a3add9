//! Many connections at once on three servers: what must not overlap does not.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use lease::{Lease, Space};
use support::{Cluster, Options, Release, binary};

/// How many connections.
const CONNECTIONS: usize = 24;

/// What is set in `LEASE_RACE_ROUNDS`; `tests/run long` has 10, the full race 300.
fn asked_for() -> Option<u64> {
    std::env::var("LEASE_RACE_ROUNDS").ok().and_then(|text| text.parse().ok())
}

/// How many grants each gets.
fn rounds() -> u64 {
    asked_for().unwrap_or(4)
}

/// Three servers of the newest release; where more was asked for, also of the oldest and of one in between.
async fn on_each_release(race: impl AsyncFn(&Cluster, &str)) {
    let releases = [binary::PINNED, binary::MIDDLE, binary::OLDEST];
    for release in releases.into_iter().take(if asked_for().is_some() { 3 } else { 1 }) {
        let options = Options { release: Release::Exactly(release), ..Options::default() };
        race(&Cluster::start(3, options).await, release).await;
    }
}

/// What is counted while a race runs.
#[derive(Default)]
struct Track {
    readers: AtomicI64,
    writers: AtomicI64,
    permits: AtomicI64,
    violations: AtomicU64,
    grants: AtomicU64,
}

impl Track {
    fn enter(&self, counter: &AtomicI64, fits: impl Fn(&Track) -> bool) {
        counter.fetch_add(1, Ordering::SeqCst);
        self.grants.fetch_add(1, Ordering::SeqCst);
        if !fits(self) {
            self.violations.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Runs `round` for each connection, again and again.
async fn race(what: &str, cluster: &Cluster, release: &str, round: impl AsyncFn(&Space, &Track, usize, u64)) {
    let track = Track::default();
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(crate::space(&cluster.urls()).await);
    }
    let begun = Instant::now();
    let turns = connections.iter().enumerate().map(async |(number, space)| {
        for turn in 0..rounds() {
            round(space, &track, number, turn).await;
        }
    });
    futures_util::future::join_all(turns).await;
    let (grants, violations) = (track.grants.load(Ordering::SeqCst), track.violations.load(Ordering::SeqCst));
    println!(
        "{what}, nats-server {release}: {CONNECTIONS} connections, {} rounds, {grants} grants in {:.1} s, {violations} violations",
        rounds(),
        begun.elapsed().as_secs_f64()
    );
    assert_eq!(violations, 0);
    assert_eq!(grants, CONNECTIONS as u64 * rounds());
}

async fn leave(counter: &AtomicI64, lease: Lease) {
    tokio::task::yield_now().await;
    counter.fetch_sub(1, Ordering::SeqCst);
    lease.release().await.expect("released");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_and_writers() {
    on_each_release(async |cluster: &Cluster, release: &str| {
        race(
            "read-write lock",
            cluster,
            release,
            async |space: &Space, track: &Track, number: usize, turn: u64| {
                let lock = space.rw_lock("r");
                if (number as u64 + turn).is_multiple_of(3) {
                    let lease = lock.write().await.expect("granted");
                    track.enter(&track.writers, |t| {
                        t.writers.load(Ordering::SeqCst) == 1 && t.readers.load(Ordering::SeqCst) == 0
                    });
                    leave(&track.writers, lease).await;
                } else {
                    let lease = lock.read().await.expect("granted");
                    track.enter(&track.readers, |t| t.writers.load(Ordering::SeqCst) == 0);
                    leave(&track.readers, lease).await;
                }
            },
        )
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permits() {
    on_each_release(async |cluster: &Cluster, release: &str| {
        race("semaphore", cluster, release, async |space: &Space, track: &Track, _: usize, _: u64| {
            let lease = space.semaphore("s", 5).acquire().await.expect("granted");
            track.enter(&track.permits, |t| t.permits.load(Ordering::SeqCst) <= 5);
            leave(&track.permits, lease).await;
        })
        .await;
    })
    .await;
}

/// Each name is held by one at a time, whoever holds it alone or with others.
#[derive(Default)]
struct Names([AtomicI64; 4]);

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

impl Names {
    fn enter(&self, track: &Track, which: &[usize]) {
        let alone = which.iter().all(|n| self.0[*n].fetch_add(1, Ordering::SeqCst) == 0);
        track.enter(&track.permits, |_| alone);
    }

    fn leave(&self, which: &[usize]) {
        which.iter().for_each(|n| {
            self.0[*n].fetch_sub(1, Ordering::SeqCst);
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overlapping_sets() {
    on_each_release(async |cluster: &Cluster, release: &str| {
        let names = Names::default();
        race(
            "overlapping multi-locks",
            cluster,
            release,
            async |space: &Space, track: &Track, number: usize, turn: u64| {
                let first = (number + turn as usize) % 4;
                let which = [first, (first + 1 + number % 3) % 4];
                let lease = space.lock_all(which.map(|n| NAMES[n])).acquire().await.expect("granted");
                names.enter(track, &which);
                tokio::task::yield_now().await;
                names.leave(&which);
                lease.release().await.expect("released");
            },
        )
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sets_against_single_locks() {
    on_each_release(async |cluster: &Cluster, release: &str| {
        let names = Names::default();
        race(
            "multi against single",
            cluster,
            release,
            async |space: &Space, track: &Track, number: usize, turn: u64| {
                if number.is_multiple_of(2) {
                    let which = [0, 1, 2];
                    let lease = space.lock_all(which.map(|n| NAMES[n])).acquire().await.expect("granted");
                    names.enter(track, &which);
                    tokio::task::yield_now().await;
                    names.leave(&which);
                    lease.release().await.expect("released");
                } else {
                    let which = [(number / 2 + turn as usize) % 3];
                    let lease = space.lock(NAMES[which[0]]).acquire().await.expect("granted");
                    names.enter(track, &which);
                    tokio::task::yield_now().await;
                    names.leave(&which);
                    lease.release().await.expect("released");
                }
            },
        )
        .await;
    })
    .await;
}
