//! Heartbeats: a client that hangs without dying counts as dead.
//!
//! A client that asks for it writes something, anything, on its connection in time: more of a chunked body that it leaves
//! open, or single bytes after the request. From then on nothing that comes over the connection is read as HTTP: it is
//! thrown away, and counts as a sign of life. The connection serves this one request and is closed with its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lease::{Moment, sleep_until};
use rustix::net::{RecvFlags, recv};
use tokio::net::UnixStream;
use tokio::sync::Notify;

use crate::app::{self, CLOCK};

/// How much is thrown away at a time.
const PART: usize = 4096;
/// After so many parts others get their turn.
const PARTS: usize = 16;

/// What comes over one connection once its client has promised to be heard of.
#[derive(Debug)]
pub struct Beats {
    socket: Arc<UnixStream>,
    expected: AtomicBool,
    begun: Notify,
    /// When something last came, in nanoseconds of the clock.
    last: AtomicU64,
}

impl Beats {
    /// Of the connection `socket`; nothing is expected yet.
    pub fn new(socket: Arc<UnixStream>) -> Beats {
        Beats { socket, expected: AtomicBool::default(), begun: Notify::new(), last: AtomicU64::default() }
    }

    /// From now on something must come at least every `every`.
    pub fn begin(self: &Arc<Self>, every: Duration) -> Heart {
        self.heard();
        self.expected.store(true, Ordering::Release);
        self.begun.notify_one();
        Heart { beats: Arc::clone(self), every }
    }

    /// Whether nothing that comes is to be read as a request any more.
    pub fn are_expected(&self) -> bool {
        self.expected.load(Ordering::Acquire)
    }

    /// Waits until they are expected: what has come before that is to be looked at now.
    pub async fn begun(&self) {
        self.begun.notified().await;
    }

    /// Throws away what has come. `true` if there may be more.
    pub fn take(&self) -> bool {
        let mut part = [0; PART];
        for _ in 0..PARTS {
            match recv(&*self.socket, &mut part, RecvFlags::DONTWAIT) {
                Ok((_, length)) if length > 0 => self.heard(),
                // Nothing there, or the end, which shows elsewhere.
                Ok(_) | Err(_) => return false,
            }
        }
        true
    }

    fn heard(&self) {
        self.last.store(app::now().as_nanos(), Ordering::Release);
    }
}

/// The promise of a client to be heard of.
#[derive(Debug)]
pub struct Heart {
    beats: Arc<Beats>,
    every: Duration,
}

impl Heart {
    /// Waits until it has not been heard for too long. Cancel-safe.
    pub async fn stopped(&self) {
        loop {
            let due = Moment::from_nanos(self.beats.last.load(Ordering::Acquire)) + self.every;
            if app::now() >= due {
                return;
            }
            sleep_until(&CLOCK, due).await;
            // After a pause of this process there may be signs that it has not seen yet.
            self.beats.take();
        }
    }
}
