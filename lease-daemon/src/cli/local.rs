//! Locks through the library in this process, for hosts without a daemon.

use std::fmt;
use std::time::Duration;

use futures_util::StreamExt;
use lease::store::NatsOptions;
use lease::{Attempt, End, Error, Lease, Moment, Name, Space, SpaceOptions, Waiting};
use tokio::sync::watch;

use super::exit::Exit;
use super::say::say;
use super::source::{Hold, News, Refusal, Step, Wanted};
use crate::wire::{self, Lock};

/// How long opening, looking and listing may take; longer than the library's own patience.
const ANSWER: Duration = Duration::from_secs(20);

/// The library, with its store open.
#[derive(Debug)]
pub(super) struct Library {
    space: Space,
}

impl Library {
    /// Opens a bucket.
    pub(super) async fn connect(url: &str, bucket: &str) -> Result<Library, Refusal> {
        let nats = NatsOptions { bucket: bucket.to_owned(), ..NatsOptions::default() };
        let options = SpaceOptions { nats, ..SpaceOptions::default() };
        let space = within("NATS does not answer", Space::connect(url, options)).await?;
        Ok(Library { space })
    }

    /// A store that is gone when this process is.
    pub(super) async fn embedded() -> Result<Library, Refusal> {
        say("--embedded: this lock holds in this process only and keeps nobody else out");
        let space = Space::embedded();
        Ok(Library { space })
    }

    /// Gets in line for a lock.
    pub(super) fn queue(&self, wanted: Wanted) -> Result<LibraryLine, Refusal> {
        let lock = self.space.lock(wanted.name.as_str()).ttl(wanted.ttl).metadata(wanted.metadata.clone());
        let waiting = lock.wait(wanted.wait).map_err(refusal)?;
        let ahead = waiting.ahead();
        Ok(LibraryLine { wanted, waiting, ahead })
    }

    /// Looks at one lock.
    pub(super) async fn look(&self, name: &Name) -> Result<Lock, Refusal> {
        let seen = within("the store does not answer", self.space.look(name.as_str())).await?;
        Ok(Lock::seen(seen, true))
    }

    /// The locks that are held.
    pub(super) async fn list(&self, filter: &str) -> Result<Vec<Lock>, Refusal> {
        let mut held = std::pin::pin!(self.space.list(filter).map_err(refusal)?);
        let mut locks = Vec::new();
        loop {
            match tokio::time::timeout(ANSWER, held.next()).await {
                Ok(Some(seen)) => locks.push(Lock::seen(seen.map_err(refusal)?, false)),
                Ok(None) => return Ok(locks),
                Err(_) => {
                    return Err(Refusal::unavailable(format!("the store has not answered for {ANSWER:?}")));
                }
            }
        }
    }

    /// Ends what goes on in the background: places in line that are left, leases that are given back.
    pub(super) async fn close(&self, within: Duration) {
        self.space.close(within).await;
    }
}

/// A place in line.
pub(super) struct LibraryLine {
    wanted: Wanted,
    waiting: Waiting,
    ahead: watch::Receiver<Option<usize>>,
}

impl fmt::Debug for LibraryLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LibraryLine").field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

impl LibraryLine {
    /// Waits for the next thing to happen. Cancel-safe.
    pub(super) async fn next(&mut self) -> Step {
        loop {
            let ahead = async {
                if self.ahead.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                biased;
                outcome = self.waiting.granted() => return match outcome {
                    Ok(Attempt::Granted(lease)) => Step::Held(Hold::Library(LibraryHold::new(lease))),
                    Ok(Attempt::Held(holder)) => {
                        Step::Refused(Refusal::busy(&self.wanted, holder.map(wire::Holder::from).as_ref()))
                    }
                    Err(error) => Step::Refused(refusal(error)),
                },
                () = ahead => {}
            }
            let now = *self.ahead.borrow_and_update();
            if let Some(ahead) = now {
                return Step::Ahead(ahead);
            }
        }
    }
}

/// A lease of the library's.
#[derive(Debug)]
pub(super) struct LibraryHold {
    lease: Lease,
    renewals: watch::Receiver<Moment>,
    lost: bool,
}

impl LibraryHold {
    fn new(lease: Lease) -> LibraryHold {
        let renewals = lease.renewals();
        LibraryHold { lease, renewals, lost: false }
    }

    /// The fencing token.
    pub(super) fn token(&self) -> u64 {
        self.lease.token().get()
    }

    /// Until when the grant itself holds.
    pub(super) fn deadline(&self) -> Moment {
        self.lease.deadline()
    }

    /// Waits for news. Cancel-safe.
    pub(super) async fn news(&mut self) -> News {
        if self.lost {
            return std::future::pending().await;
        }
        tokio::select! {
            biased;
            loss = self.lease.lost() => {
                self.lost = true;
                News::Lost { why: loss.to_string(), kept: None }
            }
            Ok(()) = self.renewals.changed() => News::Alive(*self.renewals.borrow_and_update()),
        }
    }

    /// Gives the lease back, telling the next holder that nothing works under it any more.
    pub(super) async fn release(self, within: Duration) -> Result<(), String> {
        if self.lost {
            return Ok(());
        }
        match tokio::time::timeout(within, self.lease.release_as(End::Stopped)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer for {within:?}")),
        }
    }
}

async fn within<T>(silence: &str, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Refusal> {
    match tokio::time::timeout(ANSWER, answer).await {
        Ok(answer) => answer.map_err(refusal),
        Err(_) => Err(Refusal::unavailable(format!("{silence} within {ANSWER:?}"))),
    }
}

fn refusal(error: Error) -> Refusal {
    let exit = match &error {
        Error::InvalidName { .. } | Error::InvalidSetting { .. } => Exit::USAGE,
        Error::Denied(_) => Exit::DENIED,
        _ => Exit::UNAVAILABLE,
    };
    Refusal::new(exit, error.to_string())
}
