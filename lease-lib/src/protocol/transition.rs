//! What happened to a lock between two sights of its record. Pure; what lay between them and was not seen is inferred.

use super::record::{End, Holder, Previous, Slot};
use crate::store::Revision;

/// Something that happened to a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transition {
    /// Somebody holds it.
    Granted(Holder),
    /// Its holder renewed it.
    Renewed(Holder),
    /// Its holder renewed it, and shows something else than before.
    Changed(Holder),
    /// The grant was marked as broken; its holder is to stop.
    Broken {
        /// Who holds it still.
        holder: Holder,
        /// What the breaker gave as the reason.
        reason: String,
    },
    /// The grant ended, and the store still knew how.
    Ended(Previous),
    /// The grant is gone, and nothing says that it was given back: its time was up, or it was removed by hand.
    Expired(Holder),
}

/// What is remembered of a record; at first, nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The revision that was seen last.
    pub revision: Revision,
    /// Who holds it, if anybody does.
    holder: Option<Holder>,
    broken: bool,
    /// The store may have begun to number anew, so that a lower revision is news.
    renumbered: bool,
    /// The record cannot be read, so its token is not known: `holder` names the revision of the first such sight.
    unreadable: bool,
}

impl Known {
    /// Whether somebody holds it, as far as is known.
    pub fn is_held(&self) -> bool {
        self.holder.is_some()
    }

    /// The store may number anew from now on: the next sight is news, whatever its revision.
    pub fn renumber(&mut self) {
        self.renumbered = self.revision != 0;
    }

    /// Whether a sight with this revision is news.
    pub fn is_news(&self, revision: Revision) -> bool {
        revision > self.revision || (self.renumbered && revision != 0)
    }

    /// Takes a newer sight. An older one, or the same again, says nothing; that the record is absent has no revision, and
    /// it is for the caller to know that this is news.
    pub fn follow(&mut self, slot: &Slot) -> Vec<Transition> {
        let revision = slot.revision();
        if revision != 0 && !self.is_news(revision) {
            return Vec::new();
        }
        let first = self.revision == 0;
        let renumbered = std::mem::take(&mut self.renumbered) && revision != 0;
        self.revision = if renumbered { revision } else { revision.max(self.revision) };
        let (now, previous, broken) = match slot {
            Slot::Free { previous, .. } => (None, previous.clone(), None),
            // Kept free for the next one: the grant before it has ended.
            Slot::Taken { record, .. } if record.reserved => (None, record.previous.clone(), None),
            Slot::Taken { record, .. } => {
                (Some(record.holder_at(revision)), record.previous.clone(), record.broken.clone())
            }
            // Each reader is told of under a key of its own.
            Slot::Shared { record, .. } => (None, record.previous.clone(), None),
            Slot::Foreign { .. } => (Some(Holder::unreadable(revision)), None, None),
        };
        let before = self.holder.take();
        let unreadable = matches!(slot, Slot::Foreign { .. });
        // Written again by a newer release: most likely a renewal, and no reason to tell that one came and one went.
        let now = match &before {
            Some(same) if unreadable && self.unreadable => Some(same.clone()),
            _ => now,
        };
        self.unreadable = unreadable;
        let was_broken = std::mem::replace(&mut self.broken, broken.is_some());
        let same = before.as_ref().zip(now.as_ref()).is_some_and(|(before, now)| before.token == now.token);
        let shows = before.as_ref().map(|before| (before.metadata.clone(), before.value.clone()));
        let mut transitions = Vec::new();
        if !same {
            transitions.extend(match (before, previous) {
                (Some(gone), Some(previous)) if previous.token == gone.token => Some(match previous.why {
                    End::Expired => Transition::Expired(gone),
                    _ => Transition::Ended(previous),
                }),
                (Some(gone), _) => Some(Transition::Expired(gone)),
                // The first sight of it: so much is known of the grant before.
                (None, Some(previous)) if first && now.is_none() => Some(Transition::Ended(previous)),
                (None, _) => None,
            });
            transitions.extend(now.clone().map(Transition::Granted));
        }
        match (&now, broken) {
            (Some(holder), Some(reason)) if !was_broken => {
                transitions.push(Transition::Broken { holder: holder.clone(), reason });
            }
            (Some(holder), None)
                if same
                    && shows
                        .is_some_and(|(shown, said)| shown != holder.metadata || said != holder.value) =>
            {
                transitions.push(Transition::Changed(holder.clone()));
            }
            (Some(holder), None) if same => transitions.push(Transition::Renewed(holder.clone())),
            _ => {}
        }
        self.holder = now;
        transitions
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::protocol::{End, Record};
    use crate::token::Token;

    fn taken(revision: u64, attempt: &str, token: Option<u64>, previous: Option<u64>) -> Slot {
        let previous = previous.map(|token| Previous {
            token: Token::new(token),
            holder: "before".into(),
            ended: String::new(),
            why: End::Released,
        });
        let record = Record {
            v: 1,
            holder: "p".into(),
            owner: attempt.into(),
            host: String::new(),
            pid: 0,
            attempt: attempt.into(),
            token: token.map(Token::new),
            fence: None,
            ttl_ms: 20_000,
            grace_secs: 0,
            since: String::new(),
            metadata: BTreeMap::new(),
            previous,
            reserved: false,
            broken: None,
            readers: Vec::new(),
            with: Vec::new(),
            value: None,
            guarded: 0,
        };
        Slot::Taken { revision, record, ttl_secs: 22, written_micros: 0 }
    }

    const ABSENT: Slot = Slot::Free { revision: 0, previous: None, by: None };

    fn words(transitions: Vec<Transition>) -> Vec<String> {
        let word = |transition| match transition {
            Transition::Granted(holder) => format!("granted {}", holder.token),
            Transition::Renewed(holder) => format!("renewed {}", holder.token),
            Transition::Changed(holder) => format!("changed {}", holder.token),
            Transition::Broken { holder, reason } => format!("broken {} {reason}", holder.token),
            Transition::Ended(previous) => format!("ended {}", previous.token),
            Transition::Expired(holder) => format!("expired {}", holder.token),
        };
        transitions.into_iter().map(word).collect()
    }

    #[test]
    fn a_grant_is_renewed_and_ends() {
        let mut known = Known::default();
        assert_eq!(words(known.follow(&ABSENT)), [""; 0]);
        assert_eq!(words(known.follow(&taken(5, "a", None, None))), ["granted 5"]);
        assert_eq!(words(known.follow(&taken(7, "a", Some(5), None))), ["renewed 5"]);
        assert_eq!(words(known.follow(&taken(7, "a", Some(5), None))), [""; 0], "the same again");
        assert_eq!(words(known.follow(&taken(6, "z", None, None))), [""; 0], "an old one");
        let previous =
            Previous { token: Token::new(5), holder: "a".into(), ended: String::new(), why: End::Released };
        let freed = Slot::Free { revision: 9, previous: Some(previous), by: None };
        assert_eq!(words(known.follow(&freed)), ["ended 5"]);
        assert_eq!(words(Known::default().follow(&freed)), ["ended 5"], "the first sight of it");
        assert!(!known.is_held());
        assert_eq!(words(known.follow(&ABSENT)), [""; 0], "the marker has gone");
    }

    #[test]
    fn what_was_not_seen_is_inferred() {
        let mut known = Known::default();
        assert_eq!(words(known.follow(&taken(5, "a", None, Some(3)))), ["granted 5"]);
        assert_eq!(words(known.follow(&taken(9, "b", None, Some(5)))), ["ended 5", "granted 9"]);
        assert_eq!(words(known.follow(&taken(20, "c", Some(12), Some(11)))), ["expired 9", "granted 12"]);
        assert_eq!(words(known.follow(&ABSENT)), ["expired 12"]);
    }

    #[test]
    fn what_a_holder_shows_is_compared() {
        let shows = |revision, value: &str| match taken(revision, "a", Some(5), None) {
            Slot::Taken { revision, mut record, ttl_secs, written_micros } => {
                record.value = Some(crate::protocol::Payload::of(&value).expect("short"));
                Slot::Taken { revision, record, ttl_secs, written_micros }
            }
            other => other,
        };
        let mut known = Known::default();
        assert_eq!(words(known.follow(&shows(5, "one"))), ["granted 5"]);
        assert_eq!(words(known.follow(&shows(6, "one"))), ["renewed 5"]);
        assert_eq!(words(known.follow(&shows(7, "two"))), ["changed 5"]);
        assert_eq!(words(known.follow(&shows(8, "two"))), ["renewed 5"]);
        assert_eq!(words(known.follow(&taken(9, "a", Some(5), None))), ["changed 5"], "it shows nothing now");
        assert_eq!(words(known.follow(&taken(20, "b", Some(12), None))), ["expired 5", "granted 12"]);
    }

    #[test]
    fn what_cannot_be_read_stays_one_grant() {
        let mut known = Known::default();
        assert_eq!(words(known.follow(&Slot::Foreign { revision: 5 })), ["granted 5"]);
        assert_eq!(words(known.follow(&Slot::Foreign { revision: 9 })), ["renewed 5"]);
        assert_eq!(words(known.follow(&taken(12, "a", None, None))), ["expired 5", "granted 12"]);
        assert_eq!(words(known.follow(&Slot::Foreign { revision: 15 })), ["expired 12", "granted 15"]);
        assert_eq!(words(known.follow(&ABSENT)), ["expired 15"]);
    }

    #[test]
    fn a_mark_is_told_once() {
        let mut known = Known::default();
        assert_eq!(words(known.follow(&taken(5, "a", None, None))), ["granted 5"]);
        let marked = |revision| match taken(revision, "a", Some(5), None) {
            Slot::Taken { revision, record, ttl_secs, written_micros } => Slot::Taken {
                revision,
                record: Record { broken: Some("stuck".into()), ..record },
                ttl_secs,
                written_micros,
            },
            other => other,
        };
        assert_eq!(words(known.follow(&marked(6))), ["broken 5 stuck"]);
        assert_eq!(words(known.follow(&marked(7))), [""; 0]);
    }

    /// A store that lost writes gives their numbers again, to others.
    #[test]
    fn after_a_loss_lower_numbers_are_news_once() {
        let mut known = Known::default();
        known.follow(&taken(50, "a", None, None));
        assert_eq!(words(known.follow(&taken(41, "b", None, None))), [""; 0]);
        known.renumber();
        assert_eq!(words(known.follow(&taken(41, "b", None, None))), ["expired 50", "granted 41"]);
        assert_eq!((known.revision, known.is_news(41), known.is_news(42)), (41, false, true));
        assert_eq!(words(known.follow(&taken(40, "a", None, None))), [""; 0]);
    }
}
