//! No loss, and no error, without a cause.

use std::time::Duration;

use crate::sim::Pid;

/// A fault, and how long it may be felt.
struct Disturbance {
    name: &'static str,
    who: Option<usize>,
    from: Duration,
    until: Duration,
}

/// Everything that may excuse something.
#[derive(Default)]
pub struct Causes {
    found: Vec<Disturbance>,
    /// The outcome of a repeat must be read: where reads are old, it cannot be learned.
    pub told_by_revision: bool,
}

/// Faults that keep nobody from renewing.
const HARMLESS: [&str; 8] = [
    "event-lost",
    "event-late",
    "event-twice",
    "watch-broken",
    "stale-read",
    "left-behind",
    "early-expiry",
    "clock-step",
];

/// What one try costs that has no answer: the limit of a request, and the longest pause.
const A_TRY: Duration = Duration::from_millis(2_300);

impl Causes {
    pub fn disturbed(&mut self, name: &'static str, who: Option<usize>, from: Duration, until: Duration) {
        self.found.push(Disturbance { name, who, from, until });
    }

    /// Whether anything befell this process (or, with `None`, any) from then on.
    pub fn troubled(&self, who: Option<usize>, from: Duration) -> bool {
        self.found
            .iter()
            .rev()
            .any(|it| it.until >= from && (who.is_none() || it.who.is_none() || it.who == who))
    }

    /// Whether this befell this process from then on.
    pub fn troubled_by(&self, name: &str, who: usize, from: Duration) -> bool {
        self.found.iter().rev().any(|it| it.name == name && it.who == Some(who) && it.until >= from)
    }

    /// Whether the bucket was made again, or has lost writes.
    pub fn ever(&self, name: &str) -> bool {
        self.found.iter().any(|it| it.name == name)
    }

    fn hinders(&self, name: &str) -> bool {
        !HARMLESS.contains(&name) || (self.told_by_revision && ["left-behind", "stale-read"].contains(&name))
    }

    /// For how long in all this process was kept from renewing.
    fn kept_from_renewing(&self, who: usize, from: Duration, to: Duration) -> Duration {
        let mut spells: Vec<(Duration, Duration)> = self
            .found
            .iter()
            .filter(|it| it.who.is_none_or(|it| it == who) && self.hinders(it.name))
            .map(|it| (it.from.max(from), it.until.min(to)))
            .filter(|(from, until)| from < until)
            .collect();
        spells.sort();
        let (mut sum, mut reached) = (Duration::ZERO, from);
        for (number, (from, until)) in spells.into_iter().enumerate() {
            // The promise is for one outage. Each further one may cost a try of its own, with what comes before the next.
            sum += if number > 0 && from > reached { A_TRY } else { Duration::ZERO };
            sum += until.saturating_sub(from.max(reached));
            reached = reached.max(until);
        }
        sum
    }

    /// What is wrong with this loss, if anything.
    pub fn lost(&self, at: Duration, by: Pid, reason: &str, ttl: Duration, renewed: bool) -> Option<String> {
        match reason {
            "bucket-replaced" if self.ever("recreate") => None,
            "store-regressed" if self.ever("regress") => None,
            "taken" if self.ever("recreate") || self.ever("regress") => None,
            "draining" if self.ever("drain") => None,
            "expired" if !renewed => None,
            "expired" => {
                // The contract's promise: an outage of T - T/5 - 2 s costs nobody a lease.
                let bearable = ttl.saturating_sub(ttl / 5 + Duration::from_secs(2));
                let kept = self.kept_from_renewing(by.index, at.saturating_sub(ttl + ttl / 50), at);
                (kept.is_zero() || kept + Duration::from_millis(200) < bearable).then(|| {
                    format!(
                        "a lease of {ttl:?} expired though it was only kept from renewing for {kept:?} ({bearable:?} is to be borne)"
                    )
                })
            }
            other => Some(format!("a lease was lost: {other}")),
        }
    }

    /// What is wrong with this error, if anything.
    pub fn failed(&self, at: Duration, by: Pid, since: Duration, error: &str) -> Option<String> {
        let from = since.min(at.saturating_sub(Duration::from_secs(3)));
        (!self.troubled(Some(by.index), from)).then(|| format!("an attempt failed: {error}"))
    }
}
