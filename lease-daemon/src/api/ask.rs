//! What `hold` and `acquire` have in common: the question, and the wait for its answer.

use std::collections::BTreeMap;
use std::time::Duration;

use lease::{Attempt, End, Lease, Lock, Name};
use tokio::sync::watch;

use crate::app::{self, App};
use crate::peer::Peer;
use crate::wire::{Code, Holder, Problem, Retry, Span};

/// The longest wait that can be named: for longer ones there is the wait without a limit.
const MAX_WAIT: Duration = Duration::from_secs(30 * 24 * 3600);

/// A checked request for a lock.
pub(super) struct Question {
    lock: Lock,
    /// How long to wait; `None` for as long as the connection stays.
    pub limit: Option<Duration>,
    name: String,
}

/// The fields of a request that both have.
pub(super) struct Wishes {
    pub ttl: Option<Span>,
    pub wait: Option<Span>,
    pub owner: Option<String>,
    pub metadata: Option<BTreeMap<String, String>>,
}

impl Question {
    /// Checks the wishes of `peer`.
    pub(super) fn new(app: &App, peer: &Peer, name: &Name, wishes: Wishes) -> Result<Question, Problem> {
        if let Some(wait) = wishes.wait.filter(|wait| wait.0 > MAX_WAIT) {
            let detail = format!(
                "invalid wait {wait}: allowed is 0s to 30 days; left out, it waits as long as the connection stays"
            );
            return Err(Problem::new(Code::InvalidWait, detail));
        }
        if wishes.owner.as_ref().is_some_and(String::is_empty) {
            return Err(Problem::new(
                Code::InvalidOwner,
                "the owner is empty; leave it out to be named by user and process",
            ));
        }
        let mut lock =
            app.granting()?.lock(name.as_str()).owner(wishes.owner.unwrap_or_else(|| peer.owner()));
        if let Some(Span(ttl)) = wishes.ttl {
            lock = lock.ttl(ttl);
        }
        if let Some(metadata) = wishes.metadata {
            lock = lock.metadata(metadata);
        }
        lock.check()?;
        Ok(Question { lock, limit: wishes.wait.map(Duration::from), name: name.as_str().to_owned() })
    }

    /// Leaves renewing to the client.
    pub(super) fn renewed_by_client(self) -> Question {
        Question { lock: self.lock.renewed_by_caller(), ..self }
    }

    /// Puts the question. Dropping the wait leaves the line.
    pub(super) fn put(self, app: &App) -> Result<Wait, Problem> {
        let waiting = self.lock.wait(self.limit)?;
        Ok(Wait {
            ahead: waiting.ahead(),
            waiting,
            at_once: self.limit.is_some_and(|limit| limit.is_zero()),
            name: self.name,
            draining: app.draining.clone(),
        })
    }
}

/// A wait under way. Dropping it leaves the line.
pub(super) struct Wait {
    waiting: lease::Waiting,
    ahead: watch::Receiver<Option<usize>>,
    at_once: bool,
    name: String,
    draining: tokio_util::sync::CancellationToken,
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
    pub(super) async fn outcome(&mut self) -> Result<Lease, Refusal> {
        let answer = tokio::select! {
            biased;
            answer = self.waiting.granted() => answer,
            () = self.draining.cancelled() => return Err(Refusal::Other(app::draining())),
        };
        match answer {
            // Granted in the very moment in which the daemon began to stop, and told to nobody yet.
            Ok(Attempt::Granted(lease)) if self.draining.is_cancelled() => {
                lease.abandon(End::Released);
                Err(Refusal::Other(app::draining()))
            }
            Ok(Attempt::Granted(lease)) => Ok(lease),
            Ok(Attempt::Held(holder)) => {
                let holder = holder.map(Holder::from);
                let problem = held(&self.name, self.at_once, holder.clone());
                Err(Refusal::Held(problem, holder))
            }
            Err(error) => Err(Refusal::Other(Problem::from(error))),
        }
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
