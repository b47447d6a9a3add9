//! What the library granted, whatever its kind.

use std::collections::BTreeMap;

use lease::{Attempt, Error, Lease, MultiAttempt, MultiLease, Space, Status, Term};

use super::plan::{LIMIT, Plan};
use super::{Settings, Workload};
use crate::history::{Answer, Freed, Kind, Outcome};

/// A grant.
#[derive(Debug)]
pub enum Held {
    /// Of one name.
    One(Lease),
    /// Of several.
    Many(MultiLease),
    /// Of an office.
    Office(Box<Term>),
}

/// Why there is none.
pub type Refusal = (Outcome, String);

impl Held {
    /// Asks the library.
    ///
    /// # Errors
    /// If it was not granted.
    pub async fn acquire(space: &Space, settings: &Settings, plan: &Plan) -> Result<Held, Refusal> {
        let ttl = std::time::Duration::from_millis(settings.ttl_ms);
        let name = plan.names.first().map_or("", String::as_str);
        let owner = settings.name.as_str();
        let one = |attempt: Result<Attempt, Error>| match attempt {
            Ok(Attempt::Granted(lease)) => Ok(Held::One(lease)),
            Ok(Attempt::Held(by)) => Err((Outcome::Held, format!("held by {:?}", by.map(|by| by.owner)))),
            Err(error) => Err(refusal(&error)),
        };
        let is_try = plan.wait.is_zero();
        match plan.kind {
            Kind::Multi => {
                let locks = space.lock_all(plan.names.iter().cloned()).ttl(ttl).owner(owner);
                match locks.acquire_within(plan.wait).await {
                    Ok(MultiAttempt::Granted(lease)) => Ok(Held::Many(lease)),
                    Ok(MultiAttempt::Held(name, _)) => Err((Outcome::Held, format!("{name} is held"))),
                    Err(error) => Err(refusal(&error)),
                }
            }
            Kind::Election => {
                let election = space.election(name).ttl(ttl).owner(owner);
                match election.campaign_within(&settings.name, plan.wait).await {
                    Ok(Some(term)) => Ok(Held::Office(Box::new(term))),
                    Ok(None) => Err((Outcome::Held, "somebody else leads".into())),
                    Err(error) => Err(refusal(&error)),
                }
            }
            Kind::Semaphore => {
                let semaphore = space.semaphore(name, LIMIT).ttl(ttl).owner(owner);
                one(semaphore.acquire_within(plan.wait).await)
            }
            Kind::Shared | Kind::Lock | Kind::Group => {
                let lock = if settings.workload == Workload::Rwlock {
                    let lock = space.rw_lock(name).ttl(ttl).owner(owner);
                    if plan.kind == Kind::Shared { lock.reader() } else { lock.writer() }
                } else {
                    space.lock(name).ttl(ttl).owner(owner)
                };
                one(if is_try { lock.try_acquire().await } else { lock.acquire_within(plan.wait).await })
            }
        }
    }

    fn lease(&self) -> Option<&Lease> {
        match self {
            Held::One(lease) => Some(lease),
            Held::Office(term) => Some(term.lease()),
            Held::Many(_) => None,
        }
    }

    /// The token of each name.
    pub fn tokens(&self, plan: &Plan) -> BTreeMap<String, u64> {
        match self {
            Held::Many(lease) => {
                lease.tokens().into_iter().map(|(name, token)| (name, token.get())).collect()
            }
            _ => plan.names.iter().cloned().zip(self.lease().map(|it| it.token().get())).collect(),
        }
    }

    /// Until when it may be believed.
    pub fn deadline_ns(&self) -> u64 {
        match self {
            Held::Many(lease) => lease.deadline().as_nanos(),
            _ => self.lease().map_or(0, |lease| lease.deadline().as_nanos()),
        }
    }

    /// Whether it is held at this moment.
    pub fn is_held(&self) -> bool {
        let status = match self {
            Held::One(lease) => lease.status(),
            Held::Many(lease) => lease.status(),
            Held::Office(term) => term.status(),
        };
        matches!(status, Status::Held | Status::Jeopardy)
    }

    /// Waits until it is lost, and gives the code of the loss.
    pub async fn lost(&self) -> String {
        match self {
            Held::One(lease) => lease.lost().await.code().to_owned(),
            Held::Many(lease) => lease.lost().await.1.code().to_owned(),
            Held::Office(term) => term.lost().await.code().to_owned(),
        }
    }

    /// Gives it back.
    pub async fn release(self) -> Freed {
        let released = match self {
            Held::One(lease) => lease.release().await,
            Held::Many(lease) => lease.release().await,
            Held::Office(term) => term.resign().await,
        };
        match released {
            Ok(()) => Freed::Clean,
            Err(Error::Lost(_)) => Freed::Lost,
            Err(_) => Freed::Unknown,
        }
    }

    /// Writes a guarded value.
    pub async fn put(&self, key: &str, value: u64) -> Answer {
        let Some(lease) = self.lease() else { return Answer::Unknown };
        match lease.put(key, value.to_string()).await {
            Ok(()) => Answer::Accepted,
            Err(Error::Unknown(_)) => Answer::Unknown,
            Err(_) => Answer::Refused,
        }
    }

    /// Reads a guarded value; `None` if that could not be, 0 if there is none.
    pub async fn get(&self, key: &str) -> Option<u64> {
        match self.lease()?.get(key).await.ok()? {
            None => Some(0),
            Some(it) => std::str::from_utf8(&it.value).ok()?.parse().ok(),
        }
    }
}

fn refusal(error: &Error) -> Refusal {
    let outcome = if matches!(error, Error::Unknown(_)) { Outcome::Unknown } else { Outcome::Failed };
    (outcome, error.to_string())
}
