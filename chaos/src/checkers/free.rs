//! What is free is taken: once all is healed, no lock stands free for long while somebody who lives waits in its line. Whoever
//! is first hears of it by an event, and looks every 2 s where none came; so a line that does not move stands behind
//! something that is not there.

use std::collections::BTreeMap;

use super::audit::Revision;
use super::places::{Place, sets};
use super::{Finding, Run, length, out};

/// For how long a lock may stand free: two looks, and what a slow store adds.
const BOUND_NS: u64 = 5_000_000_000;
/// How long presence, reservations and looks may take to come round again, once the store works.
const ROUND_NS: u64 = 6_000_000_000;

/// From when to when.
type Span = (u64, u64);

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let mut finding = Finding::new("what is free is taken", "contract §1.5; lease-lib/src/docs/fairness.md");
    let Some(healed) = run.healed else { return finding.done("the run was not healed") };
    if out::is_out(run) {
        return finding.done(out::OUT);
    }
    // Of what was missed nobody knows whether it took, or left, what is looked at.
    let begin = works_from(run, healed.at_ns).saturating_add(ROUND_NS).max(sure_from(run));
    // Of each lock, since when it stands free and was waited for: the longest only, or one that is stuck is told many times.
    let taken = taken(run);
    let mut longest: BTreeMap<&str, (u64, usize)> = BTreeMap::new();
    let waits = waits(run);
    for (wanted, place, until) in &waits {
        let from = place.at_ns.max(begin);
        if from >= *until {
            continue;
        }
        finding.examine();
        let none = Vec::new();
        let free = longest_free(taken.get(wanted).unwrap_or(&none), (from, *until));
        let it = longest.entry(wanted).or_default();
        *it = (*it).max((free, place.said));
    }
    for (wanted, (free, said)) in longest {
        if free > BOUND_NS {
            let what = format!("{wanted} stood free for {} while somebody waited for it", length(free));
            finding.violate([healed.line, said], format!("{what}; {} are allowed.", length(BOUND_NS)));
        }
    }
    finding.done("nobody waited for a lock after healing")
}

/// From when on the store takes writes again: servers that are well may yet have to find a leader.
fn works_from(run: &Run, healed: u64) -> u64 {
    let later = run.audit.in_order().map(|write| write.at.at_ns).filter(|at| *at >= healed);
    later.min().unwrap_or(healed)
}

/// From when on no write is missing.
fn sure_from(run: &Run) -> u64 {
    let unsure = run.audit.walk().filter(|(is_unsure, _)| *is_unsure);
    unsure.map(|(_, write)| write.at.at_ns).max().unwrap_or_default()
}

/// When each lock was held, or kept free for somebody, in the order in which that began.
fn taken(run: &Run) -> BTreeMap<&str, Vec<Span>> {
    let mut taken: BTreeMap<&str, Vec<Span>> = BTreeMap::new();
    let readers = readers(run);
    for write in run.audit.in_order().filter(|it| it.key.starts_with("lock.")) {
        let (spans, at_ns) = (taken.entry(&write.key).or_default(), write.at.at_ns);
        if let Some(last) = spans.last_mut() {
            last.1 = last.1.min(at_ns);
        }
        if !write.is_deletion {
            let listed = write.record().map(|record| record.readers).unwrap_or_default();
            // Without a TTL it lists readers, whose own records tell; of one that was not read nobody knows.
            let of_reader = |id: &&str| readers.get(format!("{}.{id}", write.key).as_str()).copied();
            let ends = listed.iter().map(|id| of_reader(id).unwrap_or(u64::MAX)).max();
            spans.push((at_ns, ends.filter(|_| write.ttl_secs == 0).unwrap_or_else(|| write.ends_ns())));
        }
    }
    taken
}

/// When each reader's record ended, by the lock's key and its own id: deleted, or not renewed.
fn readers(run: &Run) -> BTreeMap<String, u64> {
    let writes = run.audit.in_order().filter_map(|write| Some((write.key.strip_prefix("read.")?, write)));
    let end = |write: &Revision| if write.is_deletion { write.at.at_ns } else { write.ends_ns() };
    writes.map(|(reader, write)| (format!("lock.{reader}"), end(write))).collect()
}

/// Every place of one who waits for a single lock, with the lock and until when: until it goes, or its process, or the run
/// ends.
fn waits(run: &Run) -> Vec<(&str, Place, u64)> {
    let sets = sets(run);
    let (mut standing, mut gone): (BTreeMap<&str, (&str, Place)>, Vec<_>) = Default::default();
    for (is_unsure, write) in run.audit.walk() {
        if is_unsure {
            standing.clear();
        }
        let Some(wanted) = write.line().filter(|wanted| wanted.starts_with("lock.")) else { continue };
        if let Some((wanted, place)) = standing.remove(write.key.as_str()) {
            gone.push((wanted, place, write.at.at_ns));
        }
        if let Some(place) = Place::of(write).filter(|place| !sets.contains(&place.attempt)) {
            standing.insert(&write.key, (wanted, place));
        }
    }
    gone.extend(standing.into_values().map(|(wanted, place)| (wanted, place, run.span.1)));
    for (_, place, until) in &mut gone {
        let ends = run.lives.iter().filter(|life| life.worker == place.owner).filter_map(|life| life.gone);
        *until = ends.map(|at| at.at_ns).fold(*until, u64::min);
    }
    gone
}

/// The longest time within these bounds in which nothing of `taken` was.
fn longest_free(taken: &[Span], (from, until): Span) -> u64 {
    let (mut free, mut longest) = (from, 0);
    for (begin, end) in taken.iter().filter(|(begin, end)| *begin < until && *end > from) {
        longest = longest.max(begin.saturating_sub(free));
        free = free.max(*end);
    }
    longest.max(until.saturating_sub(free))
}
