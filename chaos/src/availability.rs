//! What faults cost: for how long nothing was granted or renewed for anybody, and which leases ran out though their holders
//! were not kept from renewing for as long as the contract says is to be borne. Measured, not judged.
//!
//! Renewals and releases count as well as grants: what everybody wants may be held for long by somebody, and then nobody is
//! granted anything though anything could be.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::checkers::Run;
use crate::checkers::fault::Band;
use crate::checkers::operation::Operation;
use crate::history::Freed;

/// What the faults of one kind cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// The nemesis.
    pub nemesis: String,
    /// How often it struck.
    pub times: usize,
    /// The longest that nothing was granted, renewed or given back, while one of them was in force, in milliseconds.
    pub standstill_ms: u64,
    /// Leases that ran out while one of them was in force, or within a ttl after.
    pub expired: usize,
    /// Those of them that ran out without need.
    pub needless: usize,
}

/// What all faults cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Availability {
    /// The longest such time while nothing was broken, in milliseconds.
    pub calm_ms: u64,
    /// By nemesis.
    pub costs: Vec<Cost>,
    /// Leases that ran out.
    pub expired: usize,
    /// Leases that ran out though their holders were kept from renewing for less than ttl - ttl/5 - 2 s, in words.
    pub needless: Vec<String>,
}

/// A loss that the clock told.
struct Expiry<'a> {
    operation: &'a Operation,
    at_ns: u64,
}

impl Expiry<'_> {
    fn since_ns(&self) -> u64 {
        self.at_ns.saturating_sub(self.operation.ttl_ns())
    }

    /// For how long a fault was in force while it ran out: any may have kept it from renewing.
    fn kept_ns(&self, run: &Run) -> u64 {
        let (from, to) = (self.since_ns(), self.at_ns);
        let mut spells: Vec<(u64, u64)> = run
            .faults
            .iter()
            .filter(|band| band.touches(from, to, 0))
            .map(|band| (band.from.at_ns.max(from), band.to.map_or(to, |end| end.at_ns.min(to))))
            .collect();
        spells.sort_unstable();
        let (mut sum, mut reached) = (0, from);
        for (from, to) in spells {
            sum += to.saturating_sub(from.max(reached));
            reached = reached.max(to);
        }
        sum
    }

    fn is_needless(&self, run: &Run) -> bool {
        let ttl = self.operation.ttl_ns();
        let bearable = ttl.saturating_sub(ttl / 5 + 2_000_000_000);
        // What befalls the holder itself, a pause or a cut, or its daemon, may go on for it after the fault's end.
        let own =
            |band: &Band| band.names(&self.operation.worker) && band.touches(self.since_ns(), self.at_ns, 0);
        !run.faults.iter().any(own) && self.kept_ns(run) < bearable
    }
}

/// When the store was known to have taken something of this operation.
fn confirmations(operation: &Operation) -> Vec<u64> {
    let granted = operation.granted.iter().map(|grant| grant.at.at_ns);
    let renewed = operation.renewed.iter().map(|(at, _)| at.at_ns);
    let freed = operation.released.iter().filter(|(_, freed)| *freed == Freed::Clean).map(|(at, _)| at.at_ns);
    granted.chain(renewed).chain(freed).collect()
}

impl Availability {
    /// Measures a run.
    pub fn of(run: &Run) -> Availability {
        let mut confirmed: Vec<u64> = run.operations.iter().flat_map(confirmations).collect();
        confirmed.sort_unstable();
        let gaps: Vec<(u64, u64)> =
            confirmed.iter().copied().zip(confirmed.iter().copied().skip(1)).collect();
        let healed = run.healed.map_or(u64::MAX, |healed| healed.at_ns);
        let is_calm = |gap: &&(u64, u64)| !run.faults.iter().any(|band| band.touches(gap.0, gap.1, 0));
        let longest = |gaps: &mut dyn Iterator<Item = &(u64, u64)>| {
            gaps.map(|(from, to)| (to - from) / 1_000_000).max().unwrap_or_default()
        };
        let calm_ms = longest(&mut gaps.iter().filter(is_calm).filter(|gap| gap.1 < healed));
        let lost = run.operations.iter().filter_map(|operation| {
            let (at, _) = operation.lost.as_ref().filter(|(_, reason)| reason == "expired")?;
            Some(Expiry { operation, at_ns: at.at_ns })
        });
        let expiries: Vec<Expiry<'_>> = lost.collect();
        let mut costs: BTreeMap<&str, Cost> = BTreeMap::new();
        for band in &run.faults {
            let nemesis = band.nemesis.as_str();
            let cost =
                costs.entry(nemesis).or_insert_with(|| Cost { nemesis: nemesis.into(), ..Cost::default() });
            cost.times += 1;
            let during = |gap: &&(u64, u64)| band.touches(gap.0, gap.1, 0);
            cost.standstill_ms = cost.standstill_ms.max(longest(&mut gaps.iter().filter(during)));
            let felt = expiries.iter().filter(|it| band.touches(it.since_ns(), it.at_ns, 0));
            for expiry in felt {
                cost.expired += 1;
                cost.needless += usize::from(expiry.is_needless(run));
            }
        }
        let needless = expiries.iter().filter(|expiry| expiry.is_needless(run)).map(|expiry| {
            let (title, kept) = (expiry.operation.title(), expiry.kept_ns(run) / 1_000_000);
            format!(
                "{title} ran out; something was broken for {kept} ms of its last {} ms",
                expiry.operation.ttl_ms
            )
        });
        let needless = needless.take(50).collect();
        Availability { calm_ms, costs: costs.into_values().collect(), expired: expiries.len(), needless }
    }

    /// A line for each kind of fault.
    pub fn table(&self) -> String {
        let seconds = |ms: u64| format!("{:.1} s", ms as f64 / 1_000.0);
        let mut text = format!(
            "what faults cost; without any, the store confirmed nothing for {} at most\n",
            seconds(self.calm_ms)
        );
        for Cost { nemesis, times, standstill_ms, expired, needless } in &self.costs {
            text += &format!(
                "  {nemesis:<24} {times:>4} times, nothing confirmed for up to {:>7}, {expired:>4} leases ran out, {needless} without need\n",
                seconds(*standstill_ms)
            );
        }
        for why in self.needless.iter().take(5) {
            text += &format!("      {why}\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker that was granted something with a ttl of 20 s at 1 s, and lost it by the clock at 21 s; servers were cut
    /// off for so many seconds from 2 s on; another was granted something at 1, 2, … s but for that time.
    fn run(seconds: u64, target: &str) -> Run {
        let mut lines = vec![
            r#"{"at_ns":1,"who":"runner","what":"began","scenario":"s","seed":1,"release":"r","command":"c","slack_ms":2000}"#
                .to_owned(),
        ];
        let mut say = |at: u64, who: &str, what: &str| {
            lines.push(format!(r#"{{"at_ns":{},"who":"{who}",{what}}}"#, at * 1_000_000_000));
        };
        let asks = |op: u64| format!(r#""what":"asks","op":{op},"kind":"lock","names":["a"],"ttl_ms":20000"#);
        let granted =
            |op: u64| format!(r#""what":"granted","op":{op},"tokens":{{"a":{op}}},"deadline_ns":1"#);
        say(1, "w1", &asks(1));
        say(1, "w1", &granted(1));
        let fault = |phase: &str| {
            format!(r#""what":"fault","fault":1,"nemesis":"partition","target":"{target}","phase":"{phase}""#)
        };
        for at in 1..=24 {
            if at == 2 {
                say(at, "runner", &fault("begins"));
            }
            if at == 2 + seconds {
                say(at, "runner", &fault("ends"));
            }
            if at < 2 || at > 2 + seconds {
                say(at, "w2", &asks(at + 10));
                say(at, "w2", &granted(at + 10));
            }
            if at == 21 {
                say(at, "w1", r#""what":"lost","op":1,"reason":"expired""#);
            }
        }
        Run::read(lines.iter().map(String::as_str))
    }

    #[test]
    fn an_outage_costs_what_it_lasts_and_a_lease_that_bore_less_than_promised_was_lost_without_need() {
        let short = Availability::of(&run(10, "n0|n1,n2"));
        assert_eq!((short.calm_ms, short.expired, short.needless.len()), (1_000, 1, 1), "{short:?}");
        assert_eq!(short.costs.len(), 1);
        let cost = &short.costs[0];
        assert_eq!(
            (cost.times, cost.standstill_ms, cost.expired, cost.needless),
            (1, 12_000, 1, 1),
            "{cost:?}"
        );
        // 16 s are more than is to be borne.
        assert_eq!(Availability::of(&run(16, "n0|n1,n2")).needless, Vec::<String>::new());
        // What befell the holder itself counts for as long as it takes.
        assert_eq!(Availability::of(&run(10, "w1|n0,n1,n2")).needless, Vec::<String>::new());
    }
}
