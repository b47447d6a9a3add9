//! Puts together what the sources read, in the order of the revisions.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::PATIENCE;
use super::source::Read;
use crate::clock::{nanos, now_ns};
use crate::history::{Line, What};
use crate::sink::Sink;

/// As many revisions are remembered, to see that none is written twice.
const MOST: usize = 2_000_000;

/// Writes until it is stopped; gives how many revisions were missed.
pub(super) async fn merge(
    first: u64,
    mut told: mpsc::Receiver<Read>,
    sink: Arc<Sink>,
    mut stop: watch::Receiver<bool>,
) -> u64 {
    let mut merging = Merging { next: first, waiting: BTreeMap::new(), seen: BTreeMap::new(), missed: 0 };
    loop {
        tokio::select! {
            biased;
            read = told.recv() => match read {
                Some((at_ns, what)) => merging.take(at_ns, what, &sink),
                None => break,
            },
            _ = stop.wait_for(|is_over| *is_over) => break,
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
        merging.give_up(now_ns().saturating_sub(nanos(PATIENCE)), &sink);
    }
    merging.give_up(u64::MAX, &sink);
    merging.missed
}

struct Merging {
    /// The first revision that is not written yet.
    next: u64,
    waiting: BTreeMap<u64, (u64, What)>,
    seen: BTreeMap<u64, u64>,
    missed: u64,
}

impl Merging {
    fn take(&mut self, at_ns: u64, what: What, sink: &Sink) {
        let What::Revision { revision, key, written_us, .. } = &what else { return };
        let revision = *revision;
        let mut hasher = DefaultHasher::new();
        (key, written_us).hash(&mut hasher);
        let hash = hasher.finish();
        match self.seen.insert(revision, hash) {
            Some(before) if before == hash => return,
            // Written twice: the store lost an acknowledged write. Whatever the order, the checkers must see it.
            Some(_) => return write(sink, at_ns, what),
            None => {}
        }
        while self.seen.len() > MOST {
            self.seen.pop_first();
        }
        if revision < self.next {
            // Later than the patience; the gap has been told.
            return write(sink, at_ns, what);
        }
        self.waiting.insert(revision, (at_ns, what));
        self.in_order(sink);
    }

    fn in_order(&mut self, sink: &Sink) {
        while let Some((at_ns, what)) = self.waiting.remove(&self.next) {
            self.next += 1;
            write(sink, at_ns, what);
        }
    }

    /// Goes past what is missing before a revision that was read before `before_ns`.
    fn give_up(&mut self, before_ns: u64, sink: &Sink) {
        while let Some((revision, (at_ns, _))) = self.waiting.first_key_value() {
            if *at_ns >= before_ns {
                return;
            }
            self.missed += revision - self.next;
            write(sink, now_ns(), What::Gap { from: self.next });
            self.next = *revision;
            self.in_order(sink);
        }
    }
}

fn write(sink: &Sink, at_ns: u64, what: What) {
    sink.write(&Line { at_ns, who: "auditor".into(), what });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(revision: u64, written_us: u64) -> What {
        let key = "lock.a".to_owned();
        What::Revision { revision, key, written_us, is_deletion: false, ttl_secs: 7, value: None }
    }

    /// What is written, in short: `5`, `gap 6`.
    fn written(name: &str, feed: impl FnOnce(&mut Merging, &Sink)) -> Vec<String> {
        let folder = support::Folder::new(name);
        let path = folder.join("history.jsonl");
        let sink = Sink::create(&path).expect("a file");
        let mut merging = Merging { next: 5, waiting: BTreeMap::new(), seen: BTreeMap::new(), missed: 0 };
        feed(&mut merging, &sink);
        sink.flush().expect("written");
        let text = std::fs::read_to_string(&path).expect("read");
        let lines = text.lines().map(|line| serde_json::from_str::<Line>(line).expect("a line").what);
        let short = lines.map(|what| match what {
            What::Revision { revision, .. } => revision.to_string(),
            What::Gap { from } => format!("gap {from}"),
            what => format!("{what:?}"),
        });
        short.collect()
    }

    #[test]
    fn what_any_source_read_comes_once_and_in_order() {
        let lines = written("merge", |merging, sink| {
            for number in [6, 5, 6, 8, 7, 5] {
                merging.take(number, revision(number, number), sink);
            }
            assert_eq!(merging.missed, 0);
        });
        assert_eq!(lines, ["5", "6", "7", "8"]);
    }

    #[test]
    fn what_nobody_read_is_a_gap_and_only_once_it_is_late() {
        let lines = written("merge", |merging, sink| {
            merging.take(100, revision(8, 8), sink);
            merging.give_up(100, sink);
            assert_eq!(merging.missed, 0);
            merging.give_up(101, sink);
            assert_eq!(merging.missed, 3);
            // Later than that it is still worth to be known.
            merging.take(200, revision(6, 6), sink);
            merging.take(201, revision(9, 9), sink);
        });
        assert_eq!(lines, ["gap 5", "8", "6", "9"]);
    }

    #[test]
    fn a_number_that_was_written_twice_is_shown_twice() {
        let lines = written("merge", |merging, sink| {
            merging.take(1, revision(5, 5), sink);
            merging.take(2, revision(5, 6), sink);
        });
        assert_eq!(lines, ["5", "5"]);
    }
}
