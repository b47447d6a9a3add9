//! A long history of many workers as a sound run would write it, with faults, losses and an overlap under a pause.

use chaos::history::{Answer, Kind, Outcome, What};
use serde_json::json;

use super::story::{Story, record};

/// `workers` that hold three locks for `seconds`.
pub fn busy(seed: u64, workers: u64, seconds: u64) -> Vec<String> {
    let mut story = Story::new();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut chance = |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    };
    for worker in 0..workers {
        story.starts(1, &format!("w{worker}"), if worker % 2 == 0 { "library" } else { "socket" });
    }
    let third = seconds * 1_000 / 3;
    story.fault(third / 2, third, "partition", "n0|n1,n2");
    story.fault(third + 700, third + 4_000, "pause", "w3");
    story.fault(third + 1_000, third + 3_000, "kill", "n1");
    story.fault(2 * third - 900, 2 * third, "packet-loss", "n2");
    story.say(2 * third + 10, "runner", What::Healed);
    let mut ops = vec![0; workers as usize];
    let mut value = 0;
    for (index, name) in ["orders.42", "payments", "nightly-report"].into_iter().enumerate() {
        let mut now = 20 + index as u64;
        let mut last_value = 0;
        while now < seconds * 1_000 - 600 {
            let worker = chance(workers);
            let who = format!("w{worker}");
            ops[worker as usize] += 1;
            let op = ops[worker as usize];
            let slow = if (third / 2..third).contains(&now) { 40 } else { 1 };
            let asks = now.saturating_sub(chance(300)).max(2);
            story.asks(asks, &who, op, Kind::Lock, &[name]);
            if chance(12) == 0 {
                story.refused(now, &who, op, if slow > 1 { Outcome::Failed } else { Outcome::Held });
                now += 20;
                continue;
            }
            let granted = now + (1 + chance(6)) * slow;
            let key = format!("lock.{name}");
            let attempt = format!("{who}-{op}");
            let token = story.record(granted, &key, &attempt, None);
            story.granted(granted, &who, op, name, token, granted + 3_900);
            let held = 20 + chance(700);
            let until = granted + held;
            value += 1;
            let (resource, at) = (format!("stock.{name}"), granted + held / 2);
            story.say(at, &who, What::Uses { op, resource, token, value });
            let (answer, before) =
                if chance(30) == 0 { (Answer::Unknown, None) } else { (Answer::Accepted, Some(last_value)) };
            if answer == Answer::Accepted {
                last_value = value;
            }
            story.say(at + 2, &who, What::Used { op, value, answer, before });
            if now > third / 2 && chance(25) == 0 {
                story.lost(granted + 3_900, &who, op);
                now = until + 6_000;
            } else {
                story.releases(until, &who, op);
                let left = json!({ "gone": true, "attempt": attempt });
                story.writes(until + 1, &key, 600, left);
                now = until + 2 + chance(30);
            }
        }
    }
    story.asks(third + 650, "w3", 9_999, Kind::Lock, &["paused"]);
    let token = story.writes(third + 660, "lock.paused", 2, record("slept", None));
    story.granted(third + 661, "w3", 9_999, "paused", token, third + 1_500);
    story.lost(third + 4_005, "w3", 9_999);
    story.asks(third + 700, "w1", 9_999, Kind::Lock, &["paused"]);
    let token = story.record(third + 2_700, "lock.paused", "awake", None);
    story.granted(third + 2_701, "w1", 9_999, "paused", token, third + 6_000);
    story.releases(third + 4_900, "w1", 9_999);
    story.writes(third + 4_901, "lock.paused", 600, json!({ "gone": true, "attempt": "awake" }));
    story.ends(seconds * 1_000);
    story.lines
}

#[test]
fn it_is_sound() {
    let lines = busy(1, 16, 60);
    let run = chaos::checkers::Run::read(lines.iter().map(String::as_str));
    let verdict = chaos::verdict::Verdict::of(&run);
    assert_eq!(verdict.exit_code(), 0, "{}", verdict.table());
}
