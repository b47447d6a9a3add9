//! Waiting until enough have joined.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_stream::StreamExt;

use super::{Group, MAX_MEMBERS, Member, MemberEvent};
use crate::ambient::{Moment, sleep_until};
use crate::error::Error;

/// How long after a list that showed too few (it may be old, or have had no answer) the next one is made.
const LIST_AGAIN: Duration = Duration::from_secs(1);

/// A barrier: opens once so many are members of a group at the same time. Made by [`Group::barrier`]; cheap to clone.
///
/// It is about what was **seen**: any of them may leave, or be lost, before the caller has gone on. Whoever needs to know
/// that they are still there watches them.
#[derive(Clone, Debug)]
pub struct Barrier {
    group: Group,
    members: usize,
}

impl Barrier {
    pub(super) fn new(group: Group, members: usize) -> Barrier {
        Barrier { group, members }
    }

    /// Waits until enough members have been seen at the same time; gives those, in the order in which they joined.
    ///
    /// Cancel-safe: nothing is written.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a number outside 1 to 10,000, and [`Error::InvalidName`], before anything is sent;
    /// [`Error::TooMany`] once the group has more than 10,000 members; [`Error::Closing`]. An unreachable store is waited for.
    pub async fn wait(&self) -> Result<Vec<Member>, Error> {
        if !(1..=MAX_MEMBERS).contains(&self.members) {
            return Err(Error::InvalidSetting {
                setting: "barrier",
                value: self.members.to_string(),
                allowed: format!("allowed are 1 to {MAX_MEMBERS} members"),
            });
        }
        let core = self.group.space.core();
        let mut events = self.group.watch()?;
        let mut present = Present::default();
        let mut list_at = core.now();
        loop {
            let wake = self.enough(present.0.len()).then_some(list_at);
            tokio::select! {
                biased;
                // First, so that a group in which much happens does not keep it from being looked at.
                () = reached(&self.group, wake) => {
                    match self.group.members().await {
                        Ok(listed) => {
                            let together = present.still_there(listed);
                            if self.enough(together.len()) {
                                return Ok(together);
                            }
                        }
                        Err(error @ Error::TooMany { .. }) => return Err(error),
                        Err(error) => tracing::debug!(%error, "a barrier cannot list who is there; it lists again"),
                    }
                    list_at = core.now() + LIST_AGAIN;
                }
                event = events.next() => match event {
                    Some(event) => {
                        if present.follow(event?) {
                            list_at = core.now();
                        }
                    }
                    // The watch tells before it ends, unless the runtime is being shut down.
                    None => return Err(Error::Closing),
                },
            }
        }
    }

    /// Waits for at most `limit`, which includes the time that looking takes; `None` if there were too few until then.
    /// Cancel-safe, as [`Barrier::wait`].
    ///
    /// # Errors
    /// As [`Barrier::wait`].
    pub async fn wait_within(&self, limit: Duration) -> Result<Option<Vec<Member>>, Error> {
        let end = self.group.space.core().now() + limit;
        tokio::select! {
            biased;
            outcome = self.wait() => outcome.map(Some),
            () = reached(&self.group, Some(end)) => Ok(None),
        }
    }

    fn enough(&self, count: usize) -> bool {
        count >= self.members
    }
}

/// Returns at the moment, or never without one.
async fn reached(group: &Group, at: Option<Moment>) {
    match at {
        Some(at) => sleep_until(group.space.core().ambient.as_ref(), at).await,
        None => std::future::pending().await,
    }
}

/// Who has joined and is not known to be gone, by id.
///
/// To be gone may become known late, and two who are in here may never have met. But a member is there from its joining
/// to its end without a gap. So whoever was in here *before* a list began, and is on it, was there when it began: all of
/// them at the same time.
#[derive(Debug, Default)]
struct Present(BTreeSet<String>);

impl Present {
    /// Takes an event; whether somebody is there that was not. The watch bounds how many there are.
    fn follow(&mut self, event: MemberEvent) -> bool {
        match event {
            MemberEvent::Joined(member) | MemberEvent::Changed(member) => return self.0.insert(member.id),
            MemberEvent::Left { id, .. } => self.0.remove(&id),
            MemberEvent::Expired(member) => self.0.remove(&member.id),
        };
        false
    }

    /// Who of a list that began after all of these were seen has been there when it began.
    fn still_there(&self, listed: Vec<Member>) -> Vec<Member> {
        listed.into_iter().filter(|member| self.0.contains(&member.id)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{End, Holder, Previous};
    use crate::token::Token;

    fn member(id: &str) -> Member {
        Member::of(id, Holder::unreadable(1))
    }

    fn left(id: &str) -> MemberEvent {
        let previous = Previous {
            token: Token::new(1),
            holder: String::new(),
            ended: String::new(),
            why: End::Released,
        };
        MemberEvent::Left { id: id.into(), previous }
    }

    #[test]
    fn only_those_seen_before_and_listed_after_were_together() {
        let mut present = Present::default();
        assert!(present.follow(MemberEvent::Joined(member("a"))));
        assert!(present.follow(MemberEvent::Joined(member("b"))));
        assert!(!present.follow(MemberEvent::Joined(member("b"))), "no news");
        let ids = |members: Vec<Member>| members.into_iter().map(|member| member.id).collect::<Vec<_>>();
        assert_eq!(ids(present.still_there(vec![member("a"), member("b")])), ["a", "b"]);
        assert_eq!(ids(present.still_there(vec![member("b"), member("c")])), ["b"], "a is gone, c is new");
        assert!(!present.follow(left("a")));
        assert!(!present.follow(MemberEvent::Expired(member("b"))));
        assert!(!present.follow(left("z")), "never seen");
        assert!(present.0.is_empty());
    }
}
