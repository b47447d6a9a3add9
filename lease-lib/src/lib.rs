//! Distributed locks on NATS JetStream KV, with a fencing token for every grant.
//!
//! # What it promises
//!
//! 1. **Fencing.** Every grant carries a [`Token`]. Tokens of one name rise strictly in the order of its grants and
//!    never repeat, also after the bucket was deleted and made again.
//! 2. **Early notice.** A holder is told that its lease is lost *before* anybody else can be granted it, as long as
//!    clock rates agree within 1 % and the servers' wall clocks within the slack (2 s).
//! 3. **Nobody touches another's grant.** Renewals and releases are compare-and-set on the holder's own revision: a
//!    late or repeated one cannot hit a successor.
//! 4. **Unknown is never guessed.** A write whose answer was lost is resolved before anybody is told "acquired",
//!    "held" or "released"; where time runs out first, the answer is [`Error::Unknown`].
//! 5. **An outage is not a loss.** At the default TTL of 20 s, a store without writes for up to 14 s costs nobody a
//!    lease; a failover of a NATS leader takes 4 to 9 s.
//! 6. **Fast handover.** Released: the next in line holds after two commits. Its holder died without a word: after the
//!    TTL, rounded up, plus the slack and half a second.
//! 7. **First come, first served**, among those that live. A *try* may step in only while nobody holds.
//!
//! # What it does not promise
//!
//! - **No mutual exclusion of side effects without checking tokens.** A process that is paused between looking at its
//!   lease and acting on it acts too late, with this lock as with any other. Hand the token to what you protect, and
//!   let it refuse lower ones: see [`guide::fencing`].
//! - **No safety on a store that loses acknowledged writes.** NATS by default syncs to disk every two minutes; where a
//!   lock guards money, run three replicas on separate machines with `sync_interval: always`. Revisions that go
//!   backwards are noticed where a running process can see it, and then nothing is granted: see [`guide::operating`].
//! - **No reentrance.** A second acquire in the same process waits in line like anybody's.
//! - Breaking with `now`, deleting the bucket, and writing to its keys by hand void early notice, not the token.
//!
//! # One picture
//!
//! ```text
//!   Space ── Lock, RwLock, Semaphore, Election, LockAll, Group
//!                      │ acquire          ┌──► Lease ── lost(), status(), token(), put(), release()
//!      one task per    ▼                  │
//!      attempt       waiter ── target     │   what a kind looks at, and what is proven with the grant
//!                      │ Claim          keeper            one task per lease
//!                      │                  │ Hold          protocol/   pure: events in, commands out
//!                      └───────┬──────────┘
//!                              ▼
//!                            guard            notices a store that is not the one that was trusted
//!                              │
//!                              ▼
//!                            Store            the seam: only a compare-and-set write decides
//!                           ╱     ╲
//!                  NatsStore       MemoryStore
//! ```
//!
//! One key per lock, one compare-and-set per change of hands; [`guide::kinds`] says what the other kinds are made of. The line in which waiters stand, the notes that
//! processes send each other, and presence keys only make things fast and fair; losing any of them costs time.
//!
//! # A first lock
//!
//! ```
//! # async fn work(_token: lease::Token) {}
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), lease::Error> {
//! use std::time::Duration;
//! use lease::{Attempt, Space};
//!
//! // Or, on NATS: Space::connect("nats://127.0.0.1:4222", Default::default()).await?
//! let space = Space::embedded();
//!
//! let lease = space.lock("orders.42").ttl(Duration::from_secs(15)).acquire().await?; // waits its turn
//! match space.lock("orders.42").try_acquire().await? {
//!     Attempt::Granted(_) => unreachable!("it is held"),
//!     Attempt::Held(by) => println!("held by {by:?}"),
//! }
//! tokio::select! {
//!     () = work(lease.token()) => lease.release().await?,
//!     loss = lease.lost() => eprintln!("stopped: {loss}"),
//! }
//!
//! // The same in one: ends the work before the lease ends.
//! space.lock("nightly").with(|lease| async move { work(lease.token()).await }).await?;
//! # Ok(())
//! # }
//! ```

mod ambient;
mod breaking;
mod chronicler;
mod core;
mod election;
mod error;
mod examine;
mod expiries;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod ghosts;
mod group;
mod guard;
mod guarded;
mod history;
mod keeper;
mod lease;
mod line;
mod lock;
mod multi;
mod name;
mod observe;
mod post;
mod presence;
pub mod protocol;
mod rwlock;
mod semaphore;
mod space;
pub mod store;
mod target;
mod token;
mod vitals;
mod waiter;
mod watch;

pub use ambient::{Ambient, Moment, SharedAmbient, System, Task, fresh_id, sleep_until};
pub use election::{Candidate, Election, Leader, Leadership, Term};
pub use error::Error;
pub use examine::{Finding, Severity, examine};
pub use group::{Barrier, Group, MAX_MEMBERS, Member, MemberEvent, Membership};
pub use guarded::{GuardedValue, MAX_GUARDED};
pub use history::Held;
pub use lease::Lease;
pub use lock::{Attempt, Lock, MAX_OWNER, Waiting};
pub use multi::{LockAll, MultiAttempt, MultiLease, MultiWaiting};
pub use name::{Filter, MAX_NAME, Name};
pub use observe::{KINDS, Observation, Observer, Unobserved};
pub use protocol::line::Waiter;
pub use protocol::{
    DEFAULT_TTL, End, Holder, Loss, MAX_PAYLOAD, MAX_TTL, MIN_TTL, Payload, Previous, Status, Transition,
};
pub use rwlock::RwLock;
pub use semaphore::{Permits, Semaphore};
pub use space::{Seen, Space, SpaceOptions};
pub use token::Token;
pub use vitals::Vitals;
pub use watch::{Happened, WatchEvent, WatchFrom};

/// How it works, and how to rely on it.
pub mod guide {
    #[doc = include_str!("docs/guarantees.md")]
    pub mod guarantees {}
    #[doc = include_str!("docs/kinds.md")]
    pub mod kinds {}
    #[doc = include_str!("docs/fencing.md")]
    pub mod fencing {
        /// The recipe for PostgreSQL, as it is tested: `lease-lib/src/docs/fencing.sql`.
        ///
        /// ```sql
        #[doc = include_str!("docs/fencing.sql")]
        /// ```
        pub mod postgresql {}
    }
    #[doc = include_str!("docs/time.md")]
    pub mod time {}
    #[doc = include_str!("docs/fairness.md")]
    pub mod fairness {}
    #[doc = include_str!("docs/operating.md")]
    pub mod operating {}
}

/// The README's example is compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
