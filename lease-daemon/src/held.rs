//! One lease that the daemon holds for a client, as everybody sees it but the task that keeps it.
//!
//! The library's lease is owned by that task alone ([`Keeper`]), so that it is given back exactly once, whoever asks
//! first: the client's hang-up, a `DELETE`, or the daemon's end. A [`Held`] only looks and asks.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lease::{End, Loss, Moment};
use tokio::sync::{mpsc, oneshot, watch};

use crate::app;
use crate::grip::Grip;
use crate::keeper::{Ending, Keeper, Order};
use crate::wire::{self, Code, Grant, Problem, Retry};

/// The most requests of one lease that wait to be served; more wait to be taken, for as long as their client does.
const MOST_ORDERS: usize = 16;

/// How long a `renew` waits for its confirmation before it says that there is none yet.
const CONFIRM_WITHIN: Duration = Duration::from_secs(5);

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
    /// It was handed to somebody by name.
    HandedOver,
}

impl Fate {
    /// What is said of a lease that has ended so.
    pub fn problem(&self, what: &Grant) -> Problem {
        match self {
            Fate::Lost(loss) => {
                let detail = format!("the lease of {what} is lost: {loss}; stop the work that it protected");
                Problem::new(Code::Lost, detail).because(loss.code())
            }
            Fate::Released | Fate::HandedOver => unknown_lease(),
        }
    }
}

/// What is said of a lease that is not there, or not the asker's.
pub fn unknown_lease() -> Problem {
    let detail = "no lease of yours has this id: it was released, lost more than a minute ago, or granted before the \
                  daemon was restarted";
    Problem::new(Code::UnknownLease, detail)
}

/// What is said of a write under a lease that has ended before the store answered.
pub fn undecided() -> Problem {
    Problem::from(lease::Error::Unknown("the lease ended before the store said whether it was written"))
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
    /// What is held.
    pub what: Grant,
    /// How long it lasts without a renewal.
    pub ttl: Duration,
    /// Who keeps it alive.
    pub renewed_by: RenewedBy,
    previous: Option<wire::Previous>,
    deadline: watch::Receiver<Moment>,
    fate: watch::Receiver<Option<Fate>>,
    orders: mpsc::Sender<Order>,
    /// Taken by whoever ends it, so that there is one end.
    end: Mutex<Option<oneshot::Sender<Ending>>>,
}

impl Held {
    /// Takes a granted lease into the daemon's hands.
    pub fn new(id: String, uid: u32, renewed_by: RenewedBy, grip: Grip) -> (Held, Keeper) {
        let (fate, fate_seen) = watch::channel(None);
        let (orders, inbox) = mpsc::channel(MOST_ORDERS);
        let (end, ended) = oneshot::channel();
        let held = Held {
            id,
            uid,
            what: grip.what(),
            ttl: grip.ttl(),
            renewed_by,
            previous: grip.previous(),
            deadline: grip.renewals(),
            fate: fate_seen,
            orders,
            end: Mutex::new(Some(end)),
        };
        (held, Keeper::new(grip, fate, inbox, ended))
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
        self.told().or_else(|| (app::now() >= self.deadline()).then_some(Fate::Lost(Loss::Expired)))
    }

    /// How the lease ended, as far as its keeper has noticed.
    pub fn told(&self) -> Option<Fate> {
        self.fate.borrow().clone()
    }

    /// The lease as its holder sees it.
    pub fn view(&self) -> wire::Lease {
        let deadline = self.deadline();
        wire::Lease {
            lease: self.id.clone(),
            what: self.what.clone(),
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
            if self.orders.send(Order::Renew(tell)).await.is_ok() && told.await.is_ok() {
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

    /// Asks the keeper for something else, and waits for its answer. Dropping the future does not take it back.
    ///
    /// # Errors
    /// The problem to answer with: among others that there is no answer yet.
    pub async fn ask<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, Problem>>) -> Order,
    ) -> Result<T, Problem> {
        let (tell, told) = oneshot::channel();
        let order = order(tell);
        let writes = order.writes();
        let asking = async {
            if self.orders.send(order).await.is_ok()
                && let Ok(answer) = told.await
            {
                return answer;
            }
            Err(self.ended().await.problem(&self.what))
        };
        match tokio::time::timeout(CONFIRM_WITHIN, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(match self.fate() {
                // What was sent before the lease ended may have been written.
                Some(_) if writes => undecided(),
                Some(fate) => fate.problem(&self.what),
                None => {
                    let detail = "the store has not answered yet; it goes on being asked, and until its deadline the \
                                  lease stands";
                    Problem::new(Code::OutcomeUnknown, detail).retry(Retry::Now)
                }
            }),
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[tokio::test]
    async fn of_a_write_without_an_answer_nobody_knows_whatever_became_of_the_lease() {
        let (_fate, fate) = watch::channel(Some(Fate::Lost(Loss::Expired)));
        let (_deadline, deadline) = watch::channel(app::now());
        let (orders, _unserved) = mpsc::channel(MOST_ORDERS);
        let held = Held {
            id: "x".into(),
            uid: 0,
            what: Grant::One { name: "a".into(), token: 7, fence: None, member: None },
            ttl: Duration::from_secs(4),
            renewed_by: RenewedBy::Daemon,
            previous: None,
            deadline,
            fate,
            orders,
            end: Mutex::new(None),
        };
        let (put, got) = tokio::join!(
            held.ask(|tell| Order::Put("k".into(), Bytes::new(), tell)),
            held.ask(|tell| Order::Get("k".into(), tell)),
        );
        assert_eq!(put.unwrap_err().code, Code::OutcomeUnknown);
        assert_eq!(got.unwrap_err().code, Code::Lost);
    }
}
