//! Groups: members with values, each for as long as it lives.

mod barrier;
mod event;
mod joining;
mod listing;
mod member;

use std::time::Duration;

use serde::Serialize;
use tokio_stream::{Stream, StreamExt};

pub use barrier::Barrier;
pub use event::MemberEvent;
pub use member::{Member, Membership};

use crate::error::Error;
use crate::lock::Lock;
use crate::name::Name;
use crate::protocol::{DEFAULT_TTL, Payload, key};
use crate::space::Space;
use crate::watch::{WatchEvent, WatchFrom, Watched, watch};
use joining::Wanted;

/// The most members of one group that are listed or watched.
pub const MAX_MEMBERS: usize = 10_000;

/// A group: a name, and how to be a member of it. Made by [`Space::group`]; cheap to clone.
///
/// A member holds a key of its own with a TTL, under a lease that is renewed in the background: it belongs to the group
/// until it leaves, or until it has been silent for its TTL. Nothing limits who joins, and one process may join more than
/// once. Tokens rise in the order in which the members joined.
///
/// Settings are checked when the group is used, by [`Group::check`], before anything is sent.
///
/// ```
/// # async fn run() -> Result<(), lease::Error> {
/// use lease::MemberEvent;
/// use tokio_stream::StreamExt;
///
/// let space = lease::Space::embedded();
/// let workers = space.group("workers");
/// let one = workers.join("10.0.0.1:8080").await?;
/// let two = workers.join("10.0.0.2:8080").await?;
///
/// let members = workers.members().await?; // in the order in which they joined
/// let addresses: Vec<String> = members.iter().filter_map(|member| member.value.as_ref()?.read().ok()).collect();
/// assert_eq!(addresses, ["10.0.0.1:8080", "10.0.0.2:8080"]);
/// assert_eq!(workers.barrier(2).wait().await?.len(), 2);
///
/// let mut events = workers.watch()?; // begins with those who are there
/// let first = events.next().await.expect("goes on")?;
/// assert!(matches!(first, MemberEvent::Joined(member) if member.token == one.token()));
/// two.leave().await?;
/// # drop(one); Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run()).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Group {
    space: Space,
    name: String,
    ttl: Duration,
    owner: Option<String>,
    renewed_by_caller: bool,
}

impl Group {
    pub(crate) fn new(space: Space, name: &str) -> Group {
        Group { space, name: name.to_owned(), ttl: DEFAULT_TTL, owner: None, renewed_by_caller: false }
    }

    /// How long a member outlives its last sign of life: 2 s to 24 h, by default 20 s. See [`Lock::ttl`].
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Group {
        Group { ttl, ..self }
    }

    /// Who the member says it is, for people: see [`Lock::owner`].
    #[must_use]
    pub fn owner(self, owner: impl Into<String>) -> Group {
        Group { owner: Some(owner.into()), ..self }
    }

    /// Leaves renewing to the caller, by [`Lease::renew`](crate::Lease::renew) of [`Membership::lease`].
    #[must_use]
    pub fn renewed_by_caller(self) -> Group {
        Group { renewed_by_caller: true, ..self }
    }

    /// Checks the name and the settings, without any IO.
    ///
    /// # Errors
    /// [`Error::InvalidName`] or [`Error::InvalidSetting`], with the offending value and what is allowed.
    pub fn check(&self) -> Result<(), Error> {
        self.wanted(&"").map(|_| ())
    }

    /// Becomes a member, with something to say: any value that JSON can say in 32 KiB, which others see. It is written with every renewal, five times in
    /// a TTL: keep it short where the TTL is.
    ///
    /// Cancel-safe: dropping the future gives the membership back if it was granted after all, or may be yet.
    ///
    /// # Errors
    /// Invalid settings, before anything is sent. [`Error::Unreachable`] if the store took nothing for 12 s (longer than a
    /// failover takes) or for the TTL, [`Error::Unknown`] if it may have taken it in that time and did not say so: then a
    /// member may be seen that nobody is, at the latest until its TTL is over. [`Error::Quiet`], [`Error::Regressed`],
    /// [`Error::Denied`], [`Error::Closing`].
    pub async fn join(&self, value: &(impl Serialize + ?Sized)) -> Result<Membership, Error> {
        let answer = joining::start(self.space.core(), self.wanted(&value)?);
        // The task answers before it ends, unless the runtime is being shut down.
        answer.await.unwrap_or(Err(Error::Closing))
    }

    /// Who is there, in the order in which they joined.
    ///
    /// It may be some seconds old. A member that died is listed until its TTL, rounded up, and the slack are over.
    ///
    /// # Errors
    /// [`Error::InvalidName`]; [`Error::TooMany`] above 10,000 members; [`Error::Unreachable`] if the store does not answer,
    /// or if the members are not listed within 12 s because they change faster.
    pub async fn members(&self) -> Result<Vec<Member>, Error> {
        let name = Name::new(self.name.clone())?;
        listing::list(self.space.core(), name.as_str()).await
    }

    /// Watches who comes and goes, until the stream is dropped. It begins with one [`MemberEvent::Joined`] for each member
    /// that is there, in no particular order.
    ///
    /// What happened may be told late, and several changes of one member as one if the reader is slow or events were lost;
    /// the last is always told, within seconds. An expiry is noticed about a second after it. Of a member that came and
    /// left unnoticed, only that it left may be told.
    ///
    /// # Errors
    /// [`Error::InvalidName`]. The stream ends with [`Error::TooMany`] above 10,000 members, or [`Error::Closing`]; it
    /// outlives an unreachable store.
    pub fn watch(
        &self,
    ) -> Result<impl Stream<Item = Result<MemberEvent, Error>> + Send + Unpin + use<>, Error> {
        let name = Name::new(self.name.clone())?;
        let watched = Watched {
            filter: key::members(name.as_str()),
            name: |key| key::name_of_member(key).map(|(_, id)| id),
            most: MAX_MEMBERS,
            what: "members of one group",
        };
        let happened = watch(self.space.core(), watched, WatchFrom::Present);
        Ok(happened.filter_map(|event| match event {
            Ok(WatchEvent::Happened(happened)) => MemberEvent::of(happened).map(Ok),
            // What was missed has been told before.
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        }))
    }

    /// Opens once `members` (1 to 10,000) have joined. It does not join by itself.
    pub fn barrier(&self, members: usize) -> Barrier {
        Barrier::new(self.clone(), members)
    }

    fn wanted(&self, value: &impl Serialize) -> Result<Wanted, Error> {
        // The settings are those of a lock.
        let lock = Lock::new(self.space.clone(), &self.name).ttl(self.ttl);
        let lock = match &self.owner {
            Some(owner) => lock.owner(owner.clone()),
            None => lock,
        };
        let (times, owner) = lock.times_and_owner()?;
        let value = Payload::of(value)?;
        let renewed_by_caller = self.renewed_by_caller;
        Ok(Wanted { name: self.name.clone(), owner, value, times, renewed_by_caller })
    }
}
