//! One lease that the daemon holds for a client, and the task that keeps it.
//!
//! The library's lease is owned by that task alone, so that it is given back exactly once, whoever asks first: the
//! client's hang-up, a `DELETE`, or the daemon's end. Everybody else has a [`Held`], which only looks and asks.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lease::{End, Loss, Moment};
use tokio::sync::{mpsc, oneshot, watch};

use crate::app;
use crate::wire;

/// How long a `renew` waits for its confirmation before it says that there is none yet.
const CONFIRM_WITHIN: Duration = Duration::from_secs(5);

/// How long a lease is kept for a client that has been told that the daemon is stopping: longer than a command that is
/// asked to stop takes before it is killed, short enough for the daemon to exit within 10 s.
pub const GRACE: Duration = Duration::from_secs(5);

/// Who keeps a lease alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewedBy {
    /// The daemon, as long as the client's connection stays (`hold`).
    Daemon,
    /// The client, by `renew` (`acquire`).
    Client,
}

/// How a lease ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was lost.
    Lost(Loss),
    /// It was given back.
    Released,
}

/// What became of a request to renew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Confirmed.
    Confirmed,
    /// No answer from the store yet. The lease stands until its deadline, and the renewal goes on.
    Pending,
    /// Too late.
    Over(Fate),
}

/// How giving back went.
pub type Outcome = Result<(), lease::Error>;

/// A lease in the daemon's hands.
#[derive(Debug)]
pub struct Held {
    /// Its id, unguessable.
    pub id: String,
    /// The user it belongs to.
    pub uid: u32,
    /// The lock's name.
    pub name: String,
    /// The fencing token.
    pub token: u64,
    /// How long it lasts without a renewal.
    pub ttl: Duration,
    /// Who keeps it alive.
    pub renewed_by: RenewedBy,
    previous: Option<wire::Previous>,
    deadline: watch::Receiver<Moment>,
    fate: watch::Receiver<Option<Fate>>,
    renewals: mpsc::Sender<oneshot::Sender<()>>,
    /// Taken by whoever ends it, so that there is one end.
    end: Mutex<Option<oneshot::Sender<Ending>>>,
}

#[derive(Debug)]
struct Ending {
    why: End,
    told: oneshot::Sender<Outcome>,
}

/// The task that keeps the lease. It must be run.
#[derive(Debug)]
pub struct Keeper {
    lease: lease::Lease,
    renewed_by: RenewedBy,
    fate: watch::Sender<Option<Fate>>,
    renewals: mpsc::Receiver<oneshot::Sender<()>>,
    end: oneshot::Receiver<Ending>,
}

impl Held {
    /// Takes a granted lease into the daemon's hands.
    pub fn new(id: String, uid: u32, renewed_by: RenewedBy, lease: lease::Lease) -> (Held, Keeper) {
        let (fate, fate_seen) = watch::channel(None);
        let (ask, asked) = mpsc::channel(16);
        let (end, ended) = oneshot::channel();
        let held = Held {
            id,
            uid,
            name: lease.name().to_owned(),
            token: lease.token().get(),
            ttl: lease.ttl(),
            renewed_by,
            previous: lease.previous().map(wire::Previous::from),
            deadline: lease.renewals(),
            fate: fate_seen,
            renewals: ask,
            end: Mutex::new(Some(end)),
        };
        (held, Keeper { lease, renewed_by, fate, renewals: asked, end: ended })
    }

    /// Until when the holder may believe, unless a renewal is confirmed before.
    pub fn deadline(&self) -> Moment {
        *self.deadline.borrow()
    }

    /// Changes with every confirmed renewal.
    pub fn watch_deadline(&self) -> watch::Receiver<Moment> {
        self.deadline.clone()
    }

    /// Changes once, when the lease ends. Its sender is dropped when the lease has been given back.
    pub fn watch_fate(&self) -> watch::Receiver<Option<Fate>> {
        self.fate.clone()
    }

    /// How the lease ended, if it did. The clock is compared at this very moment: no timer needs to have fired.
    pub fn fate(&self) -> Option<Fate> {
        let told = self.fate.borrow().clone();
        told.or_else(|| (app::now() >= self.deadline()).then_some(Fate::Lost(Loss::Expired)))
    }

    /// What is left of the lease as a share of its TTL.
    pub fn share_left(&self) -> f64 {
        app::now().until(self.deadline()).as_secs_f64() / self.ttl.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The lease as its holder sees it.
    pub fn view(&self) -> wire::Lease {
        let deadline = self.deadline();
        wire::Lease {
            lease: self.id.clone(),
            name: self.name.clone(),
            token: self.token,
            ttl: self.ttl.into(),
            expires_in: app::now().until(deadline).into(),
            deadline_boottime_ns: deadline.as_nanos(),
            previous: self.previous.clone(),
        }
    }

    /// Renews now. Dropping the future does not stop the renewal.
    pub async fn renew(&self) -> Renewal {
        let (tell, told) = oneshot::channel();
        let asking = async {
            if self.renewals.send(tell).await.is_ok() && told.await.is_ok() {
                return Renewal::Confirmed;
            }
            // The keeper answers nobody any more only if the lease has ended.
            Renewal::Over(self.ended().await)
        };
        match tokio::time::timeout(CONFIRM_WITHIN, asking).await {
            Ok(renewal) => renewal,
            Err(_) => self.fate().map_or(Renewal::Pending, Renewal::Over),
        }
    }

    /// Gives the lease back. `None` if somebody else has begun to. From the call on the holder is no holder any more;
    /// dropping the returned receiver does not stop the release.
    pub fn end(&self, why: End) -> Option<oneshot::Receiver<Outcome>> {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let (told, outcome) = oneshot::channel();
        // The keeper is gone only if the lease has ended.
        end.send(Ending { why, told }).ok()?;
        Some(outcome)
    }

    /// Waits until the lease is given back, or nothing more can be done for that.
    pub async fn gone(&self) {
        let mut fate = self.fate.clone();
        while fate.changed().await.is_ok() {}
    }

    /// Waits for the end of the lease.
    pub async fn ended(&self) -> Fate {
        let mut fate = self.fate.clone();
        let told = fate.wait_for(Option::is_some).await.ok().and_then(|fate| fate.clone());
        // A keeper that is gone without a word was dropped with the runtime: nothing is held any more.
        told.unwrap_or(Fate::Released)
    }
}

impl Keeper {
    /// Keeps the lease until it is lost or given back.
    ///
    /// If the daemon is stopping, the holder is told, and the lease is kept until it lets go, for at most [`GRACE`]:
    /// nobody is granted it under a client that still works. A client that renews by itself cannot be told before it
    /// asks; its lease is left to its TTL.
    pub async fn run(mut self) {
        let mut ending = self.keep().await;
        if let Err(loss) = &ending {
            self.fate.send_replace(Some(Fate::Lost(loss.clone())));
            if *loss == Loss::Draining {
                let grace = async {
                    match self.renewed_by {
                        RenewedBy::Daemon => tokio::time::sleep(GRACE).await,
                        RenewedBy::Client => std::future::pending().await,
                    }
                };
                tokio::select! {
                    Ok(end) = &mut self.end, if !self.end.is_terminated() => ending = Ok(end),
                    () = grace => {}
                }
            }
        } else {
            self.fate.send_replace(Some(Fate::Released));
        }
        match ending {
            Ok(Ending { why, told }) => {
                // The asker may have gone.
                let _ = told.send(self.lease.release_as(why).await);
            }
            // What was lost is given back all the same, if it is still ours: then it need not run out first.
            Err(_) => {
                let _ = self.lease.release_as(End::ClientGone).await;
            }
        }
    }

    /// Renews when asked, until the end.
    async fn keep(&mut self) -> Result<Ending, Loss> {
        loop {
            let told = tokio::select! {
                biased;
                Ok(ending) = &mut self.end, if !self.end.is_terminated() => return Ok(ending),
                loss = self.lease.lost() => return Err(loss),
                Some(told) = self.renewals.recv() => told,
            };
            let renewed = tokio::select! {
                biased;
                Ok(ending) = &mut self.end, if !self.end.is_terminated() => return Ok(ending),
                renewed = self.lease.renew() => renewed,
            };
            match renewed {
                // The asker may have gone.
                Ok(_) => drop(told.send(())),
                Err(lease::Error::Lost(loss)) => return Err(loss),
                Err(error) => tracing::warn!(%error, "a renewal failed"),
            }
        }
    }
}
