//! What all requests to hold something have in common: the question, and the wait for its answer.

use std::collections::BTreeMap;
use std::time::Duration;

use lease::{Attempt, Election, End, Lock, LockAll, MAX_OWNER, MultiAttempt, Payload};
use tokio::sync::watch;

use crate::access::Permit;
use crate::app::{self, App};
use crate::grip::Grip;
use crate::peer::Peer;
use crate::policy::Operation;
use crate::wire::{Code, Holder, Problem, Retry, Wishes};

/// The longest wait that can be named: for longer ones there is the wait without a limit.
const MAX_WAIT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Wishes, as far as they can be checked without knowing what is wanted.
pub(super) struct Terms {
    ttl: Option<Duration>,
    /// How long to wait; `None` for as long as the connection stays.
    limit: Option<Duration>,
    owner: String,
    metadata: BTreeMap<String, String>,
    peer: Peer,
}

impl Terms {
    /// Checks the wishes of `peer`.
    pub(super) fn new(peer: &Peer, wishes: Wishes) -> Result<Terms, Problem> {
        let Wishes { ttl, wait, owner, metadata } = wishes;
        if let Some(wait) = wait.filter(|wait| wait.0 > MAX_WAIT) {
            let detail = format!(
                "invalid wait {wait}: allowed is 0s to 30 days; left out, it waits as long as the connection stays"
            );
            return Err(Problem::new(Code::InvalidWait, detail));
        }
        Ok(Terms {
            ttl: ttl.map(Duration::from),
            limit: wait.map(Duration::from),
            owner: owner_of(peer, owner)?,
            metadata: metadata.unwrap_or_default(),
            peer: peer.clone(),
        })
    }
}

/// Who a client says it is, or what the kernel says of it.
pub(super) fn owner_of(peer: &Peer, named: Option<String>) -> Result<String, Problem> {
    named.map_or_else(|| Ok(peer.owner()), owner)
}

/// Whatever somebody may go by in line.
pub(super) fn owner(name: String) -> Result<String, Problem> {
    match name.chars().count() {
        1..=MAX_OWNER => Ok(name),
        length => {
            let detail = format!(
                "the owner has {length} characters; allowed are 1 to {MAX_OWNER}, and left out where that may be it is \
                 the user and process"
            );
            Err(Problem::new(Code::InvalidOwner, detail))
        }
    }
}

/// A checked request.
pub(super) struct Question {
    wanted: Wanted,
    /// What it is for, for people.
    pub scope: String,
    /// How long to wait; `None` for as long as the connection stays.
    pub limit: Option<Duration>,
    /// Who asks, ...
    peer: Peer,
    /// ... and for which names.
    names: Vec<String>,
}

enum Wanted {
    Lock(Lock),
    All(LockAll),
    Office(Election, Option<Payload>),
}

/// Settings that every kind has.
macro_rules! with_terms {
    ($builder:expr, $terms:expr) => {{
        let Terms { ttl, owner, metadata, .. } = $terms;
        let builder = $builder.owner(owner).metadata(metadata);
        let builder = match ttl {
            Some(ttl) => builder.ttl(ttl),
            None => builder,
        };
        builder.check()?;
        builder
    }};
}

impl Question {
    /// One lock, or one permit of a semaphore.
    pub(super) fn lock(lock: Lock, scope: String, terms: Terms) -> Result<Question, Problem> {
        let (limit, peer, names) = (terms.limit, terms.peer.clone(), vec![scope.clone()]);
        Ok(Question { wanted: Wanted::Lock(with_terms!(lock, terms)), scope, limit, peer, names })
    }

    /// Several locks.
    pub(super) fn all(
        all: LockAll,
        names: Vec<String>,
        scope: String,
        terms: Terms,
    ) -> Result<Question, Problem> {
        let (limit, peer) = (terms.limit, terms.peer.clone());
        Ok(Question { wanted: Wanted::All(with_terms!(all, terms)), scope, limit, peer, names })
    }

    /// An office.
    pub(super) fn office(
        election: Election,
        value: Option<Payload>,
        scope: String,
        terms: Terms,
    ) -> Result<Question, Problem> {
        let (limit, peer, names) = (terms.limit, terms.peer.clone(), vec![scope.clone()]);
        Ok(Question {
            wanted: Wanted::Office(with_terms!(election, terms), value),
            scope,
            limit,
            peer,
            names,
        })
    }

    /// What it is for, for the attempts at it.
    pub(super) fn attempts_at(&self) -> String {
        let kind = match &self.wanted {
            Wanted::All(_) => "multi",
            _ => self.kind(),
        };
        format!("{kind} {}", self.scope)
    }

    /// The lines that it stands in, to be counted.
    pub(super) fn lines(&self) -> Vec<String> {
        self.names.iter().map(|name| format!("{} {name}", self.kind())).collect()
    }

    /// Shared and exclusive locks of one name are one lock, alone or together with others.
    fn kind(&self) -> &'static str {
        match &self.wanted {
            Wanted::Lock(lock) if lock.kind() == "shared" => "lock",
            Wanted::Lock(lock) => lock.kind(),
            Wanted::All(_) => "lock",
            Wanted::Office(..) => "election",
        }
    }

    /// Leaves renewing to the client.
    pub(super) fn renewed_by_client(self) -> Question {
        let wanted = match self.wanted {
            Wanted::Lock(lock) => Wanted::Lock(lock.renewed_by_caller()),
            Wanted::All(all) => Wanted::All(all.renewed_by_caller()),
            Wanted::Office(election, value) => Wanted::Office(election.renewed_by_caller(), value),
        };
        Question { wanted, ..self }
    }

    /// Puts the question. Dropping the wait leaves the line.
    pub(super) fn put(self, app: &App) -> Result<Wait, Problem> {
        let (waiting, ahead) = match self.wanted {
            Wanted::Lock(lock) => one(lock.wait(self.limit)?),
            Wanted::Office(election, value) => one(election.wait(value, self.limit)?),
            Wanted::All(all) => {
                let waiting = all.wait(self.limit)?;
                let ahead = waiting.ahead();
                (Waiting::All(waiting), ahead)
            }
        };
        Ok(Wait {
            waiting,
            ahead,
            at_once: self.limit.is_some_and(|limit| limit.is_zero()),
            scope: self.scope,
            draining: app.draining.clone(),
            permit: app.access.permit(&self.peer, Operation::Hold, self.names),
        })
    }
}

fn one(waiting: lease::Waiting) -> (Waiting, watch::Receiver<Option<usize>>) {
    let ahead = waiting.ahead();
    (Waiting::One(waiting), ahead)
}

/// A wait under way. Dropping it leaves the line.
pub(super) struct Wait {
    waiting: Waiting,
    ahead: watch::Receiver<Option<usize>>,
    at_once: bool,
    scope: String,
    draining: tokio_util::sync::CancellationToken,
    permit: Permit,
}

enum Waiting {
    One(lease::Waiting),
    All(lease::MultiWaiting),
}

/// How a wait ended without a grant.
pub(super) enum Refusal {
    /// Somebody else holds it.
    Held(Problem, Option<Holder>),
    /// Anything else.
    Other(Problem),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        match refusal {
            Refusal::Held(problem, _) | Refusal::Other(problem) => problem,
        }
    }
}

impl Wait {
    /// How many are ahead, as far as is known.
    pub(super) fn ahead(&self) -> watch::Receiver<Option<usize>> {
        self.ahead.clone()
    }

    /// The outcome. Cancel-safe.
    pub(super) async fn outcome(&mut self) -> Result<Grip, Refusal> {
        let answer = tokio::select! {
            biased;
            problem = self.permit.withdrawn() => return Err(Refusal::Other(problem)),
            answer = self.waiting.granted() => answer,
            () = self.draining.cancelled() => return Err(Refusal::Other(app::draining())),
        };
        match answer {
            // Granted in the very moment in which the daemon began to stop, and told to nobody yet.
            Ok(Ok(grip)) if self.draining.is_cancelled() => {
                grip.abandon(End::Released);
                Err(Refusal::Other(app::draining()))
            }
            Ok(Ok(grip)) => Ok(grip),
            Ok(Err((name, holder))) => {
                let holder = holder.map(Holder::from);
                let problem = held(name.as_deref().unwrap_or(&self.scope), self.at_once, holder.clone());
                Err(Refusal::Held(problem, holder))
            }
            Err(error) => Err(Refusal::Other(Problem::from(error))),
        }
    }
}

/// A name that is in the way, of several, and who holds it.
type InTheWay = (Option<String>, Option<lease::Holder>);

impl Waiting {
    async fn granted(&mut self) -> Result<Result<Grip, InTheWay>, lease::Error> {
        Ok(match self {
            Waiting::One(waiting) => match waiting.granted().await? {
                Attempt::Granted(lease) => Ok(lease.into()),
                Attempt::Held(holder) => Err((None, holder)),
            },
            Waiting::All(waiting) => match waiting.granted().await? {
                MultiAttempt::Granted(lease) => Ok(Grip::All(lease)),
                MultiAttempt::Held(name, holder) => Err((Some(name), holder)),
            },
        })
    }
}

/// What is said if somebody else holds it: at once, or at the end of the wait.
pub(super) fn held(name: &str, at_once: bool, holder: Option<Holder>) -> Problem {
    let by = match &holder {
        Some(holder) => format!("held by {} on {} since {}", holder.owner, holder.host, holder.since),
        None => "held by somebody else, or others wait for it".to_owned(),
    };
    let problem = if at_once {
        Problem::new(Code::Held, format!("{name} is {by}; give a longer wait to stand in line"))
            .retry(Retry::After(1000))
    } else {
        Problem::new(Code::WaitElapsed, format!("the wait is over, and {name} is {by}")).retry(Retry::Now)
    };
    problem.held_by(holder)
}
