//! Leader election: one leader at a time, each with a term of its own; candidates in line; observers.

mod observer;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use observer::{Leader, Leadership};

use crate::ambient::sleep_until;
use crate::error::Error;
use crate::history::{self, Held};
use crate::lease::Lease;
use crate::lock::{Attempt, Lock, Waiting, What};
use crate::name::Name;
use crate::protocol::line;
use crate::protocol::{End, Loss, Payload, Previous, Status, key};
use crate::space::Space;
use crate::token::Token;
use crate::waiter::Candidacy;

/// An election: a name, and how to stand in it. Made by [`Space::election`]; cheap to clone.
///
/// Candidates wait in line; whoever is first by priority, and then by time, leads at the next vacancy. Nobody is pushed
/// out of office by a better candidate, unless the leader yields by itself ([`Election::yields_to_better`]).
///
/// ```
/// # async fn run() -> Result<(), lease::Error> {
/// let space = lease::Space::embedded();
/// let election = space.election("scheduler");
/// let term = election.campaign(&"10.0.0.7:8080").await?;
/// let leader = election.leader().await?.expect("somebody leads");
/// assert_eq!((leader.token, leader.value.unwrap().as_str()), (term.token(), "\"10.0.0.7:8080\""));
/// term.resign().await?;
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run()).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Election {
    lock: Lock,
    priority: i32,
    ready: Option<watch::Receiver<bool>>,
    yields: bool,
}

/// Who would lead, as it was seen in line; it may be some seconds old.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate {
    /// Who it says it is.
    pub owner: String,
    /// Its attempt, which no other candidate has: what [`Term::hand_over`] takes where several have one name.
    pub attempt: String,
    /// The host it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// Since when, RFC 3339, by its wall clock.
    pub since: String,
    /// Higher is preferred.
    pub priority: i32,
    /// Whether it would take office now.
    pub is_ready: bool,
    /// What it has to say.
    pub value: Option<Payload>,
}

impl From<line::Waiter> for Candidate {
    fn from(waiter: line::Waiter) -> Candidate {
        let line::Waiter { owner, attempt, host, pid, since, priority, is_ready, value, .. } = waiter;
        Candidate { owner, attempt, host, pid, since, priority, is_ready, value }
    }
}

impl Election {
    pub(crate) fn new(space: Space, name: &str) -> Election {
        let lock = Lock::new(space, name).of(What::Office);
        Election { lock, priority: 0, ready: None, yields: false }
    }

    /// How long a term outlives its leader's last sign of life: see [`Lock::ttl`].
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Election {
        Election { lock: self.lock.ttl(ttl), ..self }
    }

    /// Who the candidate says it is: see [`Lock::owner`]. [`Term::hand_over`] goes by it.
    #[must_use]
    pub fn owner(self, owner: impl Into<String>) -> Election {
        Election { lock: self.lock.owner(owner), ..self }
    }

    /// What others can see about the candidate: see [`Lock::metadata`].
    #[must_use]
    pub fn metadata(self, metadata: BTreeMap<String, String>) -> Election {
        Election { lock: self.lock.metadata(metadata), ..self }
    }

    /// How much this candidate is preferred at the next vacancy; 0 unless said, higher is better.
    #[must_use]
    pub fn priority(self, priority: i32) -> Election {
        Election { priority, ..self }
    }

    /// A candidate that says `false` here stays in line and is passed over; with `true` it goes to the end of those of its
    /// priority.
    #[must_use]
    pub fn ready(self, ready: watch::Receiver<bool>) -> Election {
        Election { ready: Some(ready), ..self }
    }

    /// [`Election::run`] hands over when a candidate of a higher priority is ready, once its work has been stopped.
    #[must_use]
    pub fn yields_to_better(self) -> Election {
        Election { yields: true, ..self }
    }

    /// The office as a [`Lock`], to be broken by force, or held by somebody who has nothing to say.
    pub fn office(&self) -> Lock {
        self.lock.clone()
    }

    /// Leaves renewing to the caller: see [`Lock::renewed_by_caller`].
    #[must_use]
    pub fn renewed_by_caller(self) -> Election {
        Election { lock: self.lock.renewed_by_caller(), ..self }
    }

    /// Checks the name and the settings, without any IO.
    ///
    /// # Errors
    /// [`Error::InvalidName`] or [`Error::InvalidSetting`], with the offending value and what is allowed.
    pub fn check(&self) -> Result<(), Error> {
        self.lock.check()
    }

    /// Stands for office with something to say (an address, mostly), and returns when elected.
    ///
    /// Cancel-safe: dropping the future withdraws the candidacy, and resigns where it was elected meanwhile.
    ///
    /// # Errors
    /// As [`Lock::acquire`]; [`Error::InvalidSetting`] if the value is longer than 32 KiB.
    pub async fn campaign(&self, value: &impl Serialize) -> Result<Term, Error> {
        match self.wait(Some(Payload::of(value)?), None)?.granted().await? {
            Attempt::Granted(lease) => Ok(self.term(lease)),
            // Without a limit the wait ends with a grant or an error.
            Attempt::Held(_) => Err(Error::Unknown("the wait ended without a grant")),
        }
    }

    /// As [`Election::campaign`], for at most `limit` (zero: only if nobody leads); `None` if it was not elected.
    ///
    /// # Errors
    /// As [`Lock::acquire_within`].
    pub async fn campaign_within(
        &self,
        value: &impl Serialize,
        limit: Duration,
    ) -> Result<Option<Term>, Error> {
        match self.wait(Some(Payload::of(value)?), Some(limit))?.granted().await? {
            Attempt::Granted(lease) => Ok(Some(self.term(lease))),
            Attempt::Held(_) => Ok(None),
        }
    }

    /// What the campaigns are made of: a wait that also shows the place in line, and ends with a plain lease (see
    /// [`Lock::wait`]). `value` is what is said before and after being elected, if anything.
    ///
    /// # Errors
    /// Invalid settings; nothing was sent.
    pub fn wait(&self, value: Option<Payload>, limit: Option<Duration>) -> Result<Waiting, Error> {
        let candidacy = Candidacy { priority: self.priority, ready: self.ready.clone(), value };
        self.lock.wait_as(limit, candidacy)
    }

    fn term(&self, lease: Lease) -> Term {
        Term { lease, election: self.clone() }
    }

    /// Campaigns and works, again and again: whenever elected it runs `work`, and stops it (drops its future at its next
    /// await) when the term is lost, then campaigns anew. Returns what `work` returns, having resigned.
    ///
    /// Cancel-safe: dropping it stops the work and resigns.
    ///
    /// # Errors
    /// As [`Election::campaign`]. A lost term is none.
    pub async fn run<T>(
        &self,
        value: &impl Serialize,
        mut work: impl AsyncFnMut(&Term) -> T,
    ) -> Result<T, Error> {
        loop {
            let term = self.campaign(value).await?;
            let better = async {
                match self.yields {
                    true => term.better().await,
                    false => std::future::pending().await,
                }
            };
            let done = tokio::select! {
                biased;
                _ = term.lost() => None,
                better = better => Some(Err(better)),
                done = work(&term) => Some(Ok(done)),
            };
            match done {
                None => {}
                Some(Ok(done)) => {
                    // It was done while this one led: whoever is told "lost" or "unknown" now may do it again.
                    let _ = term.resign().await;
                    return Ok(done);
                }
                // If it is gone by now, whoever is next leads: that may be this one again. By attempt, since another one
                // of its name may stand before it.
                Some(Err(better)) => match term.hand_over(&better.attempt).await {
                    Ok(()) | Err((_, None)) => {}
                    Err((_, Some(term))) => drop(term),
                },
            }
        }
    }

    /// Who leads now, as far as one look can tell; it may be some seconds old. [`Election::observe`] keeps looking.
    ///
    /// # Errors
    /// [`Error::InvalidName`], [`Error::Unreachable`].
    pub async fn leader(&self) -> Result<Option<Leader>, Error> {
        let name = Name::new(self.lock.name())?;
        observer::look(self.lock.space().core(), name.as_str()).await
    }

    /// Follows who leads, beginning with what is so now, until the stream is dropped. It outlives an unreachable store,
    /// during which nobody is shown as leading for longer than that is known to be so.
    ///
    /// # Errors
    /// [`Error::InvalidName`].
    pub fn observe(
        &self,
    ) -> Result<impl tokio_stream::Stream<Item = Leadership> + Send + Unpin + use<>, Error> {
        let name = Name::new(self.lock.name())?;
        Ok(observer::observe(self.lock.space().core(), name.as_str()))
    }

    /// Who stands for office, the next first; those who are not ready come last.
    ///
    /// # Errors
    /// [`Error::InvalidName`], [`Error::Unreachable`].
    pub async fn candidates(&self) -> Result<Vec<Candidate>, Error> {
        let name = Name::new(self.lock.name())?;
        let places = crate::line::read(self.lock.space().core(), &key::elect(name.as_str())).await?;
        let others = places.iter().filter(|place| !place.waiter.is_ready).cloned().collect::<Vec<_>>();
        let all = line::by_priority(places).into_iter().chain(others);
        Ok(all.map(|place| place.waiter.into()).collect())
    }

    /// The last terms that have ended: see [`Space::history`].
    ///
    /// # Errors
    /// As [`Space::history`].
    pub async fn history(&self) -> Result<Vec<Held>, Error> {
        let name = Name::new(self.lock.name())?;
        history::of(self.lock.space().core(), &key::elect(name.as_str())).await
    }

    /// Ends the term with this token, whoever leads: see [`Lock::break_by_force`].
    ///
    /// # Errors
    /// As [`Lock::break_by_force`].
    pub async fn break_by_force(&self, token: Token, reason: &str, now: bool) -> Result<(), Error> {
        self.lock.break_by_force(token, reason, now).await
    }
}

/// A term in office: a lease on the election's record. It is renewed in the background.
///
/// Dropping it resigns in the background, best effort, without blocking; [`Term::resign`] also reports.
#[derive(Debug)]
pub struct Term {
    lease: Lease,
    election: Election,
}

impl Term {
    /// The term's token: hand it to whatever takes the leader's orders.
    pub fn token(&self) -> Token {
        self.lease.token()
    }

    /// The lease behind it, with all that can be asked of a lease.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// How the term before this one ended, where the store still knew.
    pub fn previous(&self) -> Option<&Previous> {
        self.lease.previous()
    }

    /// Where it stands, by the clock at this very moment: see [`Lease::status`].
    pub fn status(&self) -> Status {
        self.lease.status()
    }

    /// Waits until the term is lost, and says why: see [`Lease::lost`].
    pub async fn lost(&self) -> Loss {
        self.lease.lost().await
    }

    /// Cancelled when the term is lost or given up: hand it to the work.
    pub fn cancellation(&self) -> CancellationToken {
        self.lease.cancellation()
    }

    /// Says something else to observers from now on: see [`Lease::set_value`].
    ///
    /// # Errors
    /// As [`Lease::set_value`].
    pub async fn proclaim(&self, value: &impl Serialize) -> Result<(), Error> {
        self.lease.set_value(value).await
    }

    /// Waits until a ready candidate of a higher priority stands in line. Whether to hand over is the leader's to decide.
    ///
    /// Cancel-safe. It looks every T/5.
    pub async fn better(&self) -> Candidate {
        let core = self.election.lock.space().core();
        loop {
            sleep_until(core.ambient.as_ref(), core.now() + self.lease.ttl() / 5).await;
            // What cannot be read now is looked at the next time.
            let best = self.election.candidates().await.ok().and_then(|all| all.into_iter().next());
            if let Some(best) = best.filter(|best| best.is_ready && best.priority > self.election.priority) {
                return best;
            }
        }
    }

    /// Gives up office: the next candidate leads at once. From the moment of the call this one leads no more.
    ///
    /// # Errors
    /// As [`Lease::release`].
    pub async fn resign(self) -> Result<(), Error> {
        self.lease.release_as(End::Released).await
    }

    /// Hands over to a candidate by name or attempt, before all others: see [`Lease::hand_over`].
    ///
    /// # Errors
    /// As [`Lease::hand_over`]; the term comes back where it still lasts.
    pub async fn hand_over(self, to: &str) -> Result<(), (Error, Option<Term>)> {
        let Term { lease, election } = self;
        let handed = lease.hand_over(to).await;
        handed.map_err(|(error, lease)| (error, lease.map(|lease| Term { lease, election })))
    }
}
