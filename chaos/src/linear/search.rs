//! The search: depth first over the orders that respect who had ended before who began.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::{Call, Judgement};

/// How many configurations are remembered: beyond, the answer is unknown, and memory stays below some hundred megabytes.
const CONFIGURATIONS: usize = 1_000_000;
/// How often the clock is looked at.
const LOOK_EVERY: usize = 256;

/// Whether the history of a register is linearizable, unless that takes longer than `limit`.
pub fn check(calls: &[Call], limit: Duration) -> Judgement {
    let mut search = Search::new(calls);
    let until = Instant::now() + limit;
    let mut steps = 0_usize;
    while search.owed > 0 {
        if search.seen.len() >= CONFIGURATIONS
            || (steps.is_multiple_of(LOOK_EVERY) && Instant::now() >= until)
        {
            return Judgement::Unknown;
        }
        steps += 1;
        if !search.step() {
            return Judgement::Invalid { stuck: search.stuck };
        }
    }
    Judgement::Valid
}

/// A configuration: of those with an answer, all of the first `base` and these bits beyond have taken effect; of those
/// without, these; and this is the value.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Configuration {
    base: usize,
    bits: Vec<u64>,
    open: Vec<usize>,
    value: u64,
}

struct Choice {
    /// What was let take effect, as a place in the order, and as one of the candidates.
    place: usize,
    rank: usize,
    /// The value before it.
    value: u64,
    /// Below which place all had taken effect before it.
    low: usize,
}

struct Search<'a> {
    calls: &'a [Call],
    /// Indices of calls: those with an answer by their begins, then those without by theirs.
    order: Vec<usize>,
    /// How many have an answer.
    answered: usize,
    taken: Vec<bool>,
    /// Those without an answer that have taken effect, by place.
    open: BTreeSet<usize>,
    value: u64,
    /// Of those with an answer, all below this place have taken effect.
    low: usize,
    /// How many of the candidates have been tried.
    next: usize,
    chosen: Vec<Choice>,
    seen: BTreeSet<Configuration>,
    /// Of those with an answer, how many have not taken effect.
    owed: usize,
    /// Where the search got farthest: how many were owed, and what it did not get past.
    fewest: usize,
    stuck: Vec<usize>,
}

impl<'a> Search<'a> {
    fn new(calls: &'a [Call]) -> Search<'a> {
        let mut order: Vec<usize> = (0..calls.len()).collect();
        order.sort_by_key(|index| calls.get(*index).map(|call| (call.end.is_none(), call.begin, call.end)));
        let answered = calls.iter().filter(|call| call.end.is_some()).count();
        Search {
            calls,
            taken: vec![false; order.len()],
            order,
            answered,
            open: BTreeSet::new(),
            value: 0,
            low: 0,
            next: 0,
            chosen: Vec::new(),
            seen: BTreeSet::new(),
            owed: answered,
            fewest: usize::MAX,
            stuck: Vec::new(),
        }
    }

    fn call(&self, place: usize) -> Option<&'a Call> {
        self.order.get(place).and_then(|index| self.calls.get(*index))
    }

    fn is_taken(&self, place: usize) -> bool {
        self.taken.get(place).copied().unwrap_or(true)
    }

    /// Lets one more take effect, or takes the last back. `false`: all orders have been tried.
    fn step(&mut self) -> bool {
        let candidates = self.candidates();
        for (rank, place) in candidates.iter().copied().enumerate().skip(self.next) {
            let Some(value) = self.call(place).and_then(|call| call.action.apply(self.value)) else {
                continue;
            };
            if place >= self.answered && !self.is_useful(place, value, &candidates) {
                continue;
            }
            if self.is_new(place, value) {
                self.chosen.push(Choice { place, rank, value: self.value, low: self.low });
                self.take(place, true);
                (self.value, self.next) = (value, 0);
                while self.low < self.answered && self.is_taken(self.low) {
                    self.low += 1;
                }
                return true;
            }
        }
        if self.owed < self.fewest {
            self.fewest = self.owed;
            let answered = candidates.iter().filter(|place| **place < self.answered);
            self.stuck = answered.filter_map(|place| self.order.get(*place)).copied().collect();
        }
        let Some(choice) = self.chosen.pop() else { return false };
        self.take(choice.place, false);
        (self.value, self.low, self.next) = (choice.value, choice.low, choice.rank + 1);
        true
    }

    /// What may take effect next: whoever begins after another has ended comes after it. Those without an answer come
    /// last: they may never have happened.
    fn candidates(&self) -> Vec<usize> {
        let mut earliest = u64::MAX;
        let mut candidates = Vec::new();
        let begun = |place: usize, earliest| self.call(place).filter(|call| call.begin <= earliest);
        for place in self.low..self.answered {
            let Some(call) = begun(place, earliest) else { break };
            if !self.is_taken(place) {
                candidates.push(place);
                earliest = earliest.min(call.end.unwrap_or(u64::MAX));
            }
        }
        candidates.retain(|place| begun(*place, earliest).is_some());
        let open = (self.answered..self.order.len()).take_while(|place| begun(*place, earliest).is_some());
        candidates.extend(open.filter(|place| !self.is_taken(*place)));
        candidates
    }

    /// Whether what need not have happened, and makes the value `after`, is of use for what comes next. It is not where
    /// that would end the same without it; nor where that leaves either value as it is: then it may as well happen later.
    fn is_useful(&self, place: usize, after: u64, candidates: &[usize]) -> bool {
        let now = self.value;
        let others = candidates.iter().filter(|other| **other != place).filter_map(|other| self.call(*other));
        let needs = |call: &Call| {
            let (with, without) = (call.action.apply(after), call.action.apply(now));
            let passes = with == Some(after) && without == Some(now);
            with.is_some() && with != without && !passes
        };
        after != now && others.into_iter().any(needs)
    }

    fn take(&mut self, place: usize, taken: bool) {
        if let Some(it) = self.taken.get_mut(place) {
            *it = taken;
        }
        match (place < self.answered, taken) {
            (true, true) => self.owed -= 1,
            (true, false) => self.owed += 1,
            (false, true) => drop(self.open.insert(place)),
            (false, false) => drop(self.open.remove(&place)),
        }
    }

    /// Whether the configuration after `place` has taken effect was not met before; it is remembered.
    fn is_new(&mut self, place: usize, value: u64) -> bool {
        let is = |at: usize| at == place || self.is_taken(at);
        let mut base = self.low;
        while base < self.answered && is(base) {
            base += 1;
        }
        let mut bits: Vec<u64> = Vec::new();
        // Nothing that begins after the earliest end of those left can have taken effect.
        let mut earliest = u64::MAX;
        for at in base..self.answered {
            let Some(call) = self.call(at).filter(|call| call.begin <= earliest) else { break };
            let (word, bit) = ((at - base) / 64, (at - base) % 64);
            if is(at) {
                bits.resize(word + 1, 0);
                if let Some(word) = bits.last_mut() {
                    *word |= 1 << bit;
                }
            } else {
                earliest = earliest.min(call.end.unwrap_or(u64::MAX));
            }
        }
        let mut open: Vec<usize> = self.open.iter().copied().collect();
        if place >= self.answered {
            open.push(place);
            open.sort_unstable();
        }
        self.seen.insert(Configuration { base, bits, open, value })
    }
}
