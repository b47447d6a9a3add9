use std::time::Duration;

use super::brute::is_linearizable;
use super::*;

const LONG: Duration = Duration::from_secs(60);

/// A small generator with a seed (splitmix64), so that a failure can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (it ^ (it >> 31)) % bound
    }
}

fn call(begin: u64, end: impl Into<Option<u64>>, action: Action) -> Call {
    Call { begin, end: end.into(), action, line: 0 }
}

/// Anything at all: mostly not linearizable.
fn anything(chance: &mut Chance) -> Vec<Call> {
    let many = 1 + chance.below(6);
    let one = |chance: &mut Chance| {
        let begin = chance.below(12);
        let end = (chance.below(4) > 0).then(|| begin + chance.below(6));
        let (a, b) = (chance.below(3), chance.below(3));
        let action = match chance.below(4) {
            0 => Action::Write(a),
            1 => Action::Swap { to: a, before: b },
            2 => Action::Read(a),
            _ => Action::Cas { from: a, to: b, done: (chance.below(4) > 0).then(|| chance.below(2) == 0) },
        };
        // Without an answer there is nothing that was seen.
        let action = match (end, action) {
            (None, Action::Swap { to, .. }) => Action::Write(to),
            (None, Action::Cas { from, to, .. }) => Action::Cas { from, to, done: None },
            (_, action) => action,
        };
        call(begin, end, action)
    };
    (0..many).map(|_| one(chance)).collect()
}

/// What a true register would answer, each operation at some moment between its begin and its end.
fn truth(chance: &mut Chance, many: u64, one_lost_in: u64, actions: u64) -> Vec<Call> {
    let mut value = 0;
    let mut calls = Vec::new();
    for number in 1..=many {
        let at = number * 10;
        let (begin, end) = (at.saturating_sub(chance.below(40)), at + chance.below(40));
        let was_lost = chance.below(one_lost_in) == 0;
        if was_lost && chance.below(2) == 0 {
            calls.push(call(begin, None, Action::Write(number)));
            continue;
        }
        let seen = value;
        let action = match chance.below(actions) {
            0 => Action::Write(number),
            1 => Action::Swap { to: number, before: seen },
            2 => Action::Read(seen),
            _ => {
                let from = if chance.below(2) == 0 { seen } else { number };
                Action::Cas { from, to: number, done: Some(from == seen) }
            }
        };
        value = action.apply(value).unwrap();
        match action {
            Action::Write(to) | Action::Swap { to, .. } if was_lost => {
                calls.push(call(begin, None, Action::Write(to)));
            }
            Action::Cas { from, to, .. } if was_lost => {
                calls.push(call(begin, None, Action::Cas { from, to, done: None }));
            }
            _ => calls.push(call(begin, end, action)),
        }
    }
    calls
}

#[test]
fn it_says_what_brute_force_says() {
    let (mut valid, mut invalid) = (0, 0);
    for seed in 0..20_000 {
        let calls = anything(&mut Chance(seed));
        let expected = is_linearizable(&calls);
        match check(&calls, LONG) {
            Judgement::Valid => assert!(expected, "seed {seed}: {calls:?}"),
            Judgement::Invalid { stuck } => {
                assert!(!expected, "seed {seed}: {calls:?}");
                assert!(stuck.iter().all(|index| *index < calls.len()));
            }
            Judgement::Unknown => panic!("seed {seed} took too long"),
        }
        if expected { valid += 1 } else { invalid += 1 }
    }
    println!("{valid} valid, {invalid} invalid");
    assert!(valid > 2_000 && invalid > 2_000, "{valid} valid, {invalid} invalid");
}

#[test]
fn what_a_register_did_is_valid_and_one_changed_answer_is_seen_as_brute_force_sees_it() {
    let mut invalid = 0;
    for seed in 0..3_000 {
        let mut chance = Chance(seed);
        let mut calls = truth(&mut chance, 7, 8, 4);
        assert_eq!(check(&calls, LONG), Judgement::Valid, "seed {seed}: {calls:?}");
        let index = chance.below(calls.len() as u64) as usize;
        calls[index].action = match calls[index].action {
            Action::Read(_) => Action::Read(chance.below(9)),
            Action::Swap { to, .. } => Action::Swap { to, before: chance.below(9) },
            Action::Cas { from, to, done } => Action::Cas { from, to, done: done.map(|done| !done) },
            write => write,
        };
        let expected = is_linearizable(&calls);
        assert_eq!(check(&calls, LONG) == Judgement::Valid, expected, "seed {seed}: {calls:?}");
        invalid += usize::from(!expected);
    }
    assert!(invalid > 300, "{invalid}");
}

#[test]
fn long_histories_are_judged_in_time() {
    for seed in 0..5 {
        let mut calls = truth(&mut Chance(seed), 2_000, 25, 3);
        assert_eq!(check(&calls, LONG), Judgement::Valid, "seed {seed}");
        let last = calls.iter().map(|call| call.begin).max().unwrap_or_default() + 1_000;
        calls.push(call(last, last + 1, Action::Read(1)));
        let stuck = calls.len() - 1;
        match check(&calls, LONG) {
            Judgement::Invalid { stuck: found } => assert!(found.contains(&stuck), "{found:?}"),
            other => panic!("seed {seed}: {other:?}"),
        }
    }
}

#[test]
fn when_the_time_is_over_it_is_unknown() {
    let mut calls: Vec<Call> = (1..=24).map(|it| call(0, 1_000, Action::Write(it))).collect();
    calls.extend((1..=24).map(|it| call(2_000 + it, 2_100, Action::Read(it))));
    assert_eq!(check(&calls, Duration::ZERO), Judgement::Unknown);
}

#[test]
fn nothing_at_all_is_valid() {
    assert_eq!(check(&[], LONG), Judgement::Valid);
}
