//! What happens to the members of a group.

use super::Member;
use crate::protocol::{Previous, Transition};
use crate::watch::Happened;

/// Something that happened in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemberEvent {
    /// A member is there: it has joined, or was there when the watch began.
    Joined(Member),
    /// A member shows another value.
    Changed(Member),
    /// A member has left by its own wish.
    Left {
        /// [`Member::id`].
        id: String,
        /// Its token, its owner, when it left, and why.
        previous: Previous,
    },
    /// A member is gone without having left: it was silent for its TTL, or its key was removed by hand. As it was last seen.
    Expired(Member),
}

impl MemberEvent {
    /// What a member's record tells of it; `None` if nothing that concerns others.
    pub(super) fn of(happened: Happened) -> Option<MemberEvent> {
        let Happened { name: id, what, .. } = happened;
        match what {
            Transition::Granted(holder) => Some(MemberEvent::Joined(Member::of(&id, holder))),
            Transition::Changed(holder) => Some(MemberEvent::Changed(Member::of(&id, holder))),
            Transition::Ended(previous) => Some(MemberEvent::Left { id, previous }),
            Transition::Expired(holder) => Some(MemberEvent::Expired(Member::of(&id, holder))),
            // A member whose key was marked by hand is one until it has stopped.
            Transition::Renewed(_) | Transition::Broken { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{End, Holder, Payload};
    use crate::token::Token;

    fn holder(token: u64, value: &str) -> Holder {
        Holder {
            owner: "o".into(),
            host: "h".into(),
            pid: 7,
            token: Token::new(token),
            since: "s".into(),
            ttl_ms: 20_000,
            metadata: Default::default(),
            value: Some(Payload::of(&value).expect("short")),
        }
    }

    fn told(what: Transition) -> Option<MemberEvent> {
        MemberEvent::of(Happened { name: "id".into(), revision: 9, what })
    }

    #[test]
    fn each_transition_is_told_as_what_it_means_to_a_group() {
        let member = Member {
            id: "id".into(),
            value: Some(Payload::of(&"v").expect("short")),
            owner: "o".into(),
            host: "h".into(),
            pid: 7,
            token: Token::new(5),
            since: "s".into(),
            ttl_ms: 20_000,
        };
        let seen = || holder(5, "v");
        assert_eq!(told(Transition::Granted(seen())), Some(MemberEvent::Joined(member.clone())));
        assert_eq!(told(Transition::Changed(seen())), Some(MemberEvent::Changed(member.clone())));
        assert_eq!(told(Transition::Expired(seen())), Some(MemberEvent::Expired(member)));
        assert_eq!(told(Transition::Renewed(seen())), None);
        assert_eq!(told(Transition::Broken { holder: seen(), reason: "r".into() }), None);
        let previous =
            Previous { token: Token::new(5), holder: "o".into(), ended: "e".into(), why: End::Released };
        let left = MemberEvent::Left { id: "id".into(), previous: previous.clone() };
        assert_eq!(told(Transition::Ended(previous)), Some(left));
    }
}
