//! What is kept about the past of each key: its last lines.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::ambient::Moment;
use crate::store::{CHRONICLE_LINES, CHRONICLE_SECS, Revision};

/// How many keys have a past. Beyond that the one whose last line is the oldest loses it: a process that runs for
/// months must not grow with every name it has ever locked.
const MOST_KEYS: usize = 1_024;

/// Lines by key. Both tables always agree.
#[derive(Default)]
pub(super) struct Annals {
    last: Revision,
    keys: BTreeMap<String, VecDeque<Line>>,
    /// Keys by the revision of their newest line.
    newest: BTreeMap<Revision, String>,
}

struct Line {
    revision: Revision,
    expires: Moment,
    text: Bytes,
}

impl Annals {
    pub(super) fn add(&mut self, key: &str, text: Bytes, now: Moment) {
        self.last += 1;
        let (revision, expires) = (self.last, now + Duration::from_secs(CHRONICLE_SECS));
        let lines = self.keys.entry(key.to_owned()).or_default();
        if let Some(before) = lines.back() {
            self.newest.remove(&before.revision);
        }
        lines.push_back(Line { revision, expires, text });
        if lines.len() > CHRONICLE_LINES {
            lines.pop_front();
        }
        self.newest.insert(revision, key.to_owned());
        if self.keys.len() > MOST_KEYS
            && let Some((_, oldest)) = self.newest.pop_first()
        {
            self.keys.remove(&oldest);
            tracing::debug!(key = oldest, limit = MOST_KEYS, "too many keys have a past: one loses it");
        }
    }

    pub(super) fn of(&self, key: &str, now: Moment) -> Vec<(Revision, Bytes)> {
        let lines = self.keys.get(key).into_iter().flatten();
        let kept = lines.filter(|line| line.expires > now);
        kept.map(|line| (line.revision, line.text.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(annals: &Annals, key: &str, now: Moment) -> Vec<String> {
        let lines = annals.of(key, now);
        assert!(lines.windows(2).all(|pair| pair[0].0 < pair[1].0), "{lines:?}");
        lines.into_iter().map(|(_, text)| String::from_utf8_lossy(&text).into_owned()).collect()
    }

    #[test]
    fn keys_and_lines_are_bounded() {
        let (mut annals, now) = (Annals::default(), Moment::from_nanos(0));
        for round in 0..70 {
            annals.add("a", format!("{round}").into(), now);
        }
        assert_eq!(texts(&annals, "a", now), (6..70).map(|n| n.to_string()).collect::<Vec<_>>());
        for key in 0..MOST_KEYS - 1 {
            annals.add(&format!("k{key}"), "x".into(), now);
        }
        assert_eq!(annals.of("a", now).len(), 64, "there is room for it");
        annals.add("k0", "y".into(), now);
        annals.add("b", "z".into(), now);
        assert_eq!(annals.of("a", now).len(), 0, "the one that was not added to for longest has gone");
        annals.add("c", "z".into(), now);
        assert_eq!((annals.of("k0", now).len(), annals.of("k1", now).len()), (2, 0));
        assert_eq!((annals.keys.len(), annals.newest.len()), (MOST_KEYS, MOST_KEYS));
    }

    #[test]
    fn lines_expire() {
        let (mut annals, now) = (Annals::default(), Moment::from_nanos(0));
        let day = Duration::from_secs(24 * 3600);
        annals.add("a", "old".into(), now);
        annals.add("a", "new".into(), now + day);
        assert_eq!(texts(&annals, "a", now + day * 90), ["new"]);
        assert_eq!(texts(&annals, "a", now + day * 91), Vec::<String>::new());
    }
}
