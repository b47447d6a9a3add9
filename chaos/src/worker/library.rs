//! Locks of every kind through the library.

use std::collections::BTreeMap;
use std::time::Duration;

use lease::{
    Attempt, Error, Lease, Loss, Membership, Moment, MultiAttempt, MultiLease, Space, SpaceOptions, Status,
    Term,
};
use tokio_util::sync::CancellationToken;

use super::grant::{Ask, Refusal};
use super::{BUCKET, Settings};
use crate::history::{Answer, Freed, Kind, Outcome};

/// Connects; goes on trying until told to stop, then `None`.
pub(super) async fn connect(settings: &Settings, stop: &CancellationToken) -> Option<Space> {
    loop {
        let mut options = SpaceOptions { owner: Some(settings.name.clone()), ..SpaceOptions::default() };
        options.nats.bucket = BUCKET.into();
        tokio::select! {
            () = stop.cancelled() => return None,
            space = Space::connect(&settings.url, options) => match space {
                Ok(space) => return Some(space),
                Err(error) => eprintln!("connecting: {error}"),
            },
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// What the library granted.
#[derive(Debug)]
pub(super) enum Granted {
    Lease(Lease),
    Multi(MultiLease),
    Term(Term),
    Member(Membership),
}

/// Asks the library.
pub(super) async fn acquire(space: &Space, ask: &Ask, wait: Duration, me: &str) -> Result<Granted, Refusal> {
    let name = ask.names.first().map(String::as_str).unwrap_or_default();
    match ask.kind {
        Kind::Lock => {
            let lock = space.lock(name).ttl(ask.ttl);
            let lock = if ask.is_renewed { lock } else { lock.renewed_by_caller() };
            one(lock.acquire_within(wait).await)
        }
        Kind::Shared => one(space.rw_lock(name).ttl(ask.ttl).reader().acquire_within(wait).await),
        Kind::Semaphore => {
            let semaphore = space.semaphore(name, ask.limit.unwrap_or(1)).ttl(ask.ttl);
            one(semaphore.acquire_within(wait).await)
        }
        Kind::Multi => {
            match space
                .lock_all(ask.names.clone())
                .ttl(ask.ttl)
                .acquire_within(wait)
                .await
                .map_err(refusal)?
            {
                MultiAttempt::Granted(lease) => Ok(Granted::Multi(lease)),
                MultiAttempt::Held(name, _) => Err(Refusal::new(Outcome::Held, format!("{name} is held"))),
            }
        }
        Kind::Election => {
            let election = space.election(name).ttl(ask.ttl);
            let term = election.campaign_within(&me, wait).await.map_err(refusal)?;
            term.map(Granted::Term).ok_or_else(|| Refusal::new(Outcome::Held, "another leads".into()))
        }
        Kind::Group => space.group(name).ttl(ask.ttl).join(me).await.map(Granted::Member).map_err(refusal),
    }
}

fn one(attempt: Result<Attempt, Error>) -> Result<Granted, Refusal> {
    match attempt.map_err(refusal)? {
        Attempt::Granted(lease) => Ok(Granted::Lease(lease)),
        Attempt::Held(_) => Err(Refusal::new(Outcome::Held, "held".into())),
    }
}

fn refusal(error: Error) -> Refusal {
    let outcome = match error {
        Error::Unknown(_) => Outcome::Unknown,
        _ => Outcome::Failed,
    };
    Refusal::new(outcome, error.to_string())
}

impl Granted {
    /// The lease, where it is one.
    fn lease(&self) -> Option<&Lease> {
        match self {
            Granted::Lease(lease) => Some(lease),
            Granted::Multi(_) => None,
            Granted::Term(term) => Some(term.lease()),
            Granted::Member(member) => Some(member.lease()),
        }
    }

    /// The token of each name.
    pub(super) fn tokens(&self) -> BTreeMap<String, u64> {
        match self {
            Granted::Multi(multi) => {
                multi.tokens().into_iter().map(|(name, token)| (name, token.get())).collect()
            }
            _ => {
                self.lease().map(|lease| (lease.name().to_owned(), lease.token().get())).into_iter().collect()
            }
        }
    }

    /// Until when it is good without a renewal.
    pub(super) fn deadline_ns(&self) -> u64 {
        match self {
            Granted::Multi(multi) => multi.deadline().as_nanos(),
            _ => self.lease().map_or(0, |lease| lease.deadline().as_nanos()),
        }
    }

    /// Whether it is held, at this very moment.
    pub(super) fn is_held(&self) -> bool {
        let status = match self {
            Granted::Multi(multi) => multi.status(),
            _ => self.lease().map_or(Status::Released, Lease::status),
        };
        matches!(status, Status::Held | Status::Jeopardy)
    }

    /// Waits for its loss; gives the code.
    pub(super) async fn lost(&self) -> String {
        let loss: Loss = match self {
            Granted::Multi(multi) => multi.lost().await.1,
            Granted::Lease(lease) => lease.lost().await,
            Granted::Term(term) => term.lost().await,
            Granted::Member(member) => member.lost().await,
        };
        loss.code().into()
    }

    /// Waits for the next renewal. Of several locks together none is told: there it is looked for now and then.
    pub(super) async fn renewed(&self, known_ns: u64) {
        match self.lease() {
            Some(lease) => {
                let mut renewals = lease.renewals();
                // It ends only with the lease, and that is noticed elsewhere.
                if renewals.wait_for(|deadline| *deadline != Moment::from_nanos(known_ns)).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            None => {
                while self.deadline_ns() == known_ns {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Writes a value under the lease into the bucket.
    pub(super) async fn put(&self, key: &str, value: &str) -> Answer {
        let Some(lease) = self.lease() else { return Answer::Refused };
        match lease.put(key, value.to_owned()).await {
            Ok(()) => Answer::Accepted,
            Err(Error::Unknown(_)) => Answer::Unknown,
            Err(_) => Answer::Refused,
        }
    }

    /// Says something else, where that is possible.
    pub(super) async fn proclaim(&self, value: u64) {
        // What came of it is of no interest: it must only not disturb the rest.
        let _ = match self {
            Granted::Term(term) => term.proclaim(&value).await,
            Granted::Member(member) => member.set_value(&value).await,
            Granted::Lease(_) | Granted::Multi(_) => Ok(()),
        };
    }

    /// Gives it back.
    pub(super) async fn release(self) -> Freed {
        let released = match self {
            Granted::Lease(lease) => lease.release().await,
            Granted::Multi(multi) => multi.release().await,
            Granted::Term(term) => term.resign().await,
            Granted::Member(member) => member.leave().await,
        };
        match released {
            Ok(()) => Freed::Clean,
            Err(Error::Lost(_)) => Freed::Lost,
            Err(_) => Freed::Unknown,
        }
    }
}
