//! Who holds and who waits at this moment, told as a few gauges: the oldest, the nearest to its end, the listed ones.
//!
//! The gauges are made when somebody looks, by the clock of that moment: a holder that is past its deadline is no
//! leader in here either, whether or not any timer has fired.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lease::{Ambient as _, KINDS, Moment, Observation, Token};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, Gauge, GaugeVec, IntGaugeVec, Opts};

use super::named::Named;
use crate::app::CLOCK;

/// The grants and waits of a space.
#[derive(Debug, Default)]
pub(super) struct Standing {
    named: Named,
    grants: BTreeMap<Token, Grant>,
    /// How many began to wait for a kind at a moment.
    waits: BTreeMap<(&'static str, Moment), usize>,
}

#[derive(Debug)]
struct Grant {
    kind: &'static str,
    named: Option<usize>,
    since: Moment,
    ttl: Duration,
    until: Moment,
    is_kept: bool,
}

/// What is to be seen of it at a moment.
#[derive(Debug, Default, PartialEq)]
struct View {
    /// The smallest share of time left of what the library renews, and the seconds.
    margin: Option<(f64, f64)>,
    oldest_holds: BTreeMap<&'static str, Duration>,
    oldest_waits: BTreeMap<&'static str, Duration>,
    /// By number: who is led from here.
    leads: BTreeSet<usize>,
    /// By number: for how long it has been held here.
    holds: BTreeMap<usize, Duration>,
}

impl Standing {
    pub(super) fn new(named: Named) -> Standing {
        Standing { named, ..Standing::default() }
    }

    /// A wait that began `since` then has begun, or has ended.
    pub(super) fn waits(&mut self, kind: &'static str, since: Moment, begins: bool) {
        let count = self.waits.entry((kind, since)).or_default();
        *count = if begins { *count + 1 } else { count.saturating_sub(1) };
        if *count == 0 {
            self.waits.remove(&(kind, since));
        }
    }

    /// A lease lasts, or is over.
    pub(super) fn take(&mut self, observation: &Observation) {
        match observation {
            Observation::Lasts { token, kind, name, since, ttl, until, is_kept } => {
                let (ttl, until, is_kept) = (*ttl, *until, *is_kept);
                if let Some(grant) = self.grants.get_mut(token) {
                    (grant.until, grant.is_kept) = (until, is_kept);
                } else {
                    let named = self.named.number(kind, name);
                    self.grants.insert(*token, Grant { kind, named, since: *since, ttl, until, is_kept });
                }
            }
            Observation::Over { token } => drop(self.grants.remove(token)),
            _ => {}
        }
    }

    fn view(&self, now: Moment) -> View {
        let mut view = View::default();
        for grant in self.grants.values().filter(|grant| now < grant.until) {
            let (left, age) = (now.until(grant.until), now.since(grant.since));
            let share = left.as_secs_f64() / grant.ttl.as_secs_f64().max(f64::MIN_POSITIVE);
            if grant.is_kept && view.margin.is_none_or(|(smallest, _)| share < smallest) {
                view.margin = Some((share, left.as_secs_f64()));
            }
            let oldest = view.oldest_holds.entry(grant.kind).or_insert(age);
            *oldest = age.max(*oldest);
            match grant.named {
                Some(number) if grant.kind == "election" => {
                    view.leads.insert(number);
                }
                Some(number) => {
                    let longest = view.holds.entry(number).or_insert(age);
                    *longest = age.max(*longest);
                }
                None => {}
            }
        }
        for kind in KINDS {
            let oldest = self.waits.range((kind, Moment::default())..).next();
            if let Some(((_, since), _)) = oldest.filter(|((of, _), _)| *of == kind) {
                view.oldest_waits.insert(kind, now.since(*since));
            }
        }
        view
    }
}

/// The gauges of a [`Standing`].
pub(super) struct Gauges {
    standing: Arc<Mutex<Standing>>,
    seconds: Gauge,
    ratio: Gauge,
    oldest_hold: GaugeVec,
    oldest_wait: GaugeVec,
    leader: IntGaugeVec,
    lock_held: GaugeVec,
}

impl Gauges {
    pub(super) fn new(standing: Arc<Mutex<Standing>>) -> Result<Gauges, Error> {
        let by = |name: &str, help: &str, label: &str| GaugeVec::new(Opts::new(name, help), &[label]);
        Ok(Gauges {
            standing,
            seconds: Gauge::new(
                "lease_expiry_margin_seconds",
                "What is left of the lease that has the smallest share of its time left.",
            )?,
            ratio: Gauge::new("lease_expiry_margin_ratio", "The smallest share of time left of any lease.")?,
            oldest_hold: by(
                "lease_oldest_hold_seconds",
                "How long the longest of those that are held now has been held; 0 without any.",
                "kind",
            )?,
            oldest_wait: by(
                "lease_oldest_wait_seconds",
                "How long the longest of those that wait now has waited; 0 without any.",
                "kind",
            )?,
            leader: IntGaugeVec::new(
                Opts::new("lease_leader", "Whether this listed election is led from here: 1 or 0."),
                &["election"],
            )?,
            lock_held: by(
                "lease_lock_held_seconds",
                "How long this listed lock has been held from here; 0 while it is not.",
                "lock",
            )?,
        })
    }

    fn show(&self, named: &Named, view: &View) {
        for kind in KINDS {
            let seconds = |of: &BTreeMap<&str, Duration>| of.get(kind).map_or(0.0, Duration::as_secs_f64);
            self.oldest_hold.with_label_values(&[kind]).set(seconds(&view.oldest_holds));
            self.oldest_wait.with_label_values(&[kind]).set(seconds(&view.oldest_waits));
        }
        for (name, number) in named.elections() {
            self.leader.with_label_values(&[name]).set(view.leads.contains(&number).into());
        }
        for (name, number) in named.locks() {
            let held = view.holds.get(&number).map_or(0.0, Duration::as_secs_f64);
            self.lock_held.with_label_values(&[name]).set(held);
        }
    }
}

impl Collector for Gauges {
    fn desc(&self) -> Vec<&Desc> {
        let all: [&dyn Collector; 6] =
            [&self.seconds, &self.ratio, &self.oldest_hold, &self.oldest_wait, &self.leader, &self.lock_held];
        all.into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let view = {
            let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
            let view = standing.view(CLOCK.now());
            self.show(&standing.named, &view);
            view
        };
        let mut seen = Vec::new();
        // Without any lease there is no margin: a number would be an alarm, or hide one.
        if let Some((share, seconds)) = view.margin {
            self.seconds.set(seconds);
            self.ratio.set(share);
            seen.extend(self.seconds.collect());
            seen.extend(self.ratio.collect());
        }
        let others: [&dyn Collector; 4] =
            [&self.oldest_hold, &self.oldest_wait, &self.leader, &self.lock_held];
        seen.extend(others.into_iter().flat_map(Collector::collect));
        // A family without a series is an error to its encoder.
        seen.retain(|family| !family.get_metric().is_empty());
        seen
    }
}
