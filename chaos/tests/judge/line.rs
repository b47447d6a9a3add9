//! Who waits in a line, and who goes first.

use chaos::history::{Kind, What};
use serde_json::json;

use super::story::{FIRST, Story, record};

/// `often` times in a row the same process is granted it that stands behind another in line.
fn overtaken(often: u32, others_place: bool) -> Story {
    overtaken_after("", often, others_place)
}

/// The same, long after that befell the bucket, unless it is empty.
fn overtaken_after(nemesis: &str, often: u32, others_place: bool) -> Story {
    let mut story = Story::new();
    let place = |attempt: &str| json!({ "place": attempt, "attempt": attempt, "process": "p" });
    story.writes(10, "line.lock.a.1", 86_400, place("waits"));
    if !nemesis.is_empty() {
        story.fault(20, 30, nemesis, "KV_leases");
    }
    let begin = if nemesis.is_empty() { 100 } else { 60_000 };
    for turn in 0..u64::from(often) {
        let (at, attempt) = (begin + turn * 100, format!("turn{turn}"));
        if others_place {
            story.writes(at, "line.lock.a.2", 86_400, place(&attempt));
        }
        let mut mine = record(&attempt, None);
        mine["holder"] = json!("greedy");
        story.writes(at + 1, "lock.a", 6, mine);
        story.deletes(at + 2, "line.lock.a.2");
        story.deletes(at + 3, "lock.a");
    }
    story
}

#[test]
fn a_place_goes_with_its_bucket() {
    let property = "nobody is overtaken again and again";
    overtaken_after("step-down", 5, true).violates(property, "passed 5 times in a row");
    overtaken_after("bucket", 5, true).is_untested(property);
}

#[test]
fn a_place_whose_end_was_numbered_twice_is_forgotten() {
    let property = "nobody is overtaken again and again";
    let mut story = overtaken(5, true);
    story.violates(property, "passed 5 times in a row");
    // Another history of the same store: the number is that of the fourth turn.
    story.write(5_000, FIRST + 14, "group.m.i", 6, record("z", None));
    story.holds_for(property);
}

#[test]
fn nobody_is_overtaken_again_and_again() {
    let property = "nobody is overtaken again and again";
    Story::new().is_untested(property);
    overtaken(4, true).holds_for(property);
    let finding = overtaken(5, true).violates(property, "passed 5 times in a row");
    assert_eq!(finding.violations[0].lines, [2, 20]);
    // Who only tries may step in: that is shown.
    assert_eq!(overtaken(7, false).holds_for(property).shown, 1);
    let mut troubled = overtaken(5, true);
    troubled.fault(0, 50, "partition", "n0|n1,n2");
    troubled.is_untested(property);
}

#[test]
fn a_process_that_takes_again_what_it_released_looks_who_waits() {
    let property = "nobody is overtaken again and again";
    let taken_again = |often: u64, waits: bool, nemesis: &str| {
        let mut story = Story::new();
        let place = json!({ "place": "1", "attempt": "waits", "process": "p", "owner": "w2" });
        story.writes(10, "line.lock.a.1", 86_400, place);
        if !nemesis.is_empty() {
            story.fault(20, 900, nemesis, "n0|n1");
        }
        for turn in 0..often {
            let (at, attempt) = (100 + turn * 100, format!("turn{turn}"));
            let (names, limit) = (vec!["a".to_owned()], None);
            let asks = What::Asks { op: turn, kind: Kind::Lock, names, limit, ttl_ms: 4_000, waits };
            story.say(at, "w1", asks);
            let mut mine = record(&attempt, None);
            mine["holder"] = json!("greedy");
            let token = story.writes(at + 1, "lock.a", 6, mine);
            story.granted(at + 2, "w1", turn, "a", token, at + 3_900);
            story.releases(at + 10, "w1", turn);
            story.deletes(at + 11, "lock.a");
        }
        story
    };
    // It looks after every four, but what it reads may be old.
    taken_again(24, true, "").holds_for(property);
    taken_again(25, true, "").violates(property, "passed 25 times in a row by the same process");
    // Over a bridge it is not told who waits, but it can read that.
    taken_again(25, true, "bridge").violates(property, "passed 25 times in a row by the same process");
    taken_again(25, true, "partition").is_untested(property);
    assert_eq!(taken_again(9, false, "").holds_for(property).shown, 1);
    taken_again(9, false, "bridge").is_untested(property);
}

#[test]
fn a_place_is_kept() {
    let property = "a place is kept";
    // Behind w1, w2 takes another place.
    let moved = |key: &str, workload: &str, between: &dyn Fn(&mut Story)| {
        let mut story = Story::new();
        for worker in ["w1", "w2"] {
            let (via, workload) = ("library".to_owned(), workload.to_owned());
            story.say(1, "runner", What::Started { worker: worker.into(), pid: 1, via, workload });
        }
        let place = |whose: &str| json!({ "attempt": format!("of-{whose}"), "owner": whose });
        story.writes(10, "line.lock.a.p-0", 86_400, place("w1"));
        story.writes(11, "line.lock.a.q-0", 86_400, place("w2"));
        between(&mut story);
        story.writes(500, key, 86_400, place("w2"));
        story
    };
    let (same, another) = ("line.lock.a.q-0", "line.lock.a.q-1");
    Story::new().is_untested(property);
    moved(another, "patient", &|_| ()).violates(property, "w2 stood in the line of lock.a behind others");
    moved(another, "patient", &|story| {
        story.deletes(400, same);
    })
    .violates(property, "went to its end");
    // Removed by somebody who thought it dead, and taken again.
    assert_eq!(moved(same, "patient", &|_| ()).holds_for(property).examined, 3);
    // It had become the first meanwhile; it had its turn; it wants other locks too; its bucket went.
    let first = |story: &mut Story| {
        story.deletes(300, "line.lock.a.p-0");
    };
    moved(another, "patient", &first).holds_for(property);
    let turn = |story: &mut Story| {
        let mut kept = record("of-w2", None);
        kept["reserved"] = json!(true);
        story.writes(300, "lock.a", 3, kept);
    };
    moved(another, "patient", &turn).holds_for(property);
    moved(another, "multi", &|_| ()).is_untested(property);
    moved(another, "patient", &|story| story.fault(200, 300, "bucket", "KV_leases")).holds_for(property);
    // Who stood ahead in a bucket that was deleted does so no more.
    let mut anew = Story::new();
    anew.say(
        1,
        "runner",
        What::Started { worker: "w2".into(), pid: 1, via: "library".into(), workload: "patient".into() },
    );
    let place = |whose: &str| json!({ "attempt": format!("of-{whose}"), "owner": whose });
    anew.writes(10, "line.lock.a.p-0", 86_400, place("w1"));
    anew.fault(20, 30, "bucket", "KV_leases");
    anew.writes(40, "line.lock.a.q-0", 86_400, place("w2"));
    anew.writes(500, another, 86_400, place("w2"));
    anew.holds_for(property);
}

/// Who stands second is granted it, after what is said to have happened.
fn out_of_turn(happened: impl FnOnce(&mut Story)) -> Story {
    out_of_turn_at(1_030, happened)
}

fn out_of_turn_at(at: u64, happened: impl FnOnce(&mut Story)) -> Story {
    let mut story = Story::new();
    for worker in ["w1", "w2", "w3", "w3.1"] {
        story.starts(1, worker, "library");
    }
    let place = |owner: &str| json!({ "attempt": format!("of-{owner}"), "owner": owner, "process": owner });
    story.writes(10, "line.lock.a.1", 86_400, place("w1"));
    story.writes(11, "line.lock.a.2", 86_400, place("w2"));
    happened(&mut story);
    story.record(at, "lock.a", "of-w2", None);
    story
}

#[test]
fn a_claim_is_in_turn() {
    let property = "a claim is in turn";
    Story::new().is_untested(property);
    let finding =
        out_of_turn(|_| ()).violates(property, "lock.a was claimed by w2, past w1, who stood ahead");
    assert_eq!(finding.violations[0].lines, [6, 8]);
    // What befalls others is no excuse; what befalls one of the two, or a server, is.
    let befell = |nemesis: &str, target: &str| out_of_turn(|story| story.fault(20, 30, nemesis, target));
    befell("pause-worker", "w3").violates(property, "past w1");
    befell("kill-worker", "w3").violates(property, "past w1");
    for (nemesis, target) in
        [("pause-worker", "w1"), ("pause-daemon", "d2"), ("split", "w2|w3"), ("kill", "n1")]
    {
        befell(nemesis, target).is_untested(property);
    }
    let died = |story: &mut Story| {
        story.say(900, "runner", What::Gone { worker: "w1".into() });
    };
    out_of_turn(died).is_untested(property);
    // Whose daemon has ended since it took the place, however long ago, does not wait there any more.
    let much_later =
        |nemesis: &str, from: u64| out_of_turn_at(30_000, |story| story.fault(from, from + 5, nemesis, "d1"));
    much_later("stop-daemon", 20).is_untested(property);
    much_later("pause-daemon", 20).violates(property, "past w1");
    much_later("stop-daemon", 2).violates(property, "past w1");
    // Handed on within its process, it is no claim; kept free for it by another, it is its turn as well.
    let after = |attempt: &str, holder: &str, is_reserved: bool| {
        let mut before = record(attempt, None);
        (before["holder"], before["reserved"]) = (json!(holder), json!(is_reserved));
        out_of_turn(|story| {
            story.writes(900, "lock.a", 3, before);
        })
    };
    after("x", "p-x", false).violates(property, "past w1");
    after("x", "p-of-w2", false).is_untested(property);
    after("of-w2", "p-x", true).violates(property, "lock.a was kept free for w2, past w1");
    // Who was granted it and gave it back has not yet left its place.
    let given_back = |story: &mut Story| {
        story.record(800, "lock.a", "of-w1", None);
        let mut kept = record("of-w2", None);
        kept["reserved"] = json!(true);
        story.writes(900, "lock.a", 3, kept);
    };
    out_of_turn(given_back).holds_for(property);
}

#[test]
fn what_is_free_is_taken() {
    let property = "what is free is taken";
    Story::new().is_untested(property);
    let place = |owner: &str| json!({ "attempt": format!("of-{owner}"), "owner": owner, "process": owner });
    // Healed at 1 s; held from then on until 11 s, or given back before; waited for until 20 s.
    let story = |given_back: Option<u64>, taken: Option<u64>, dies: Option<u64>| {
        let mut story = Story::new();
        story.starts(1, "w1", "library");
        story.say(1_000, "runner", What::Healed);
        story.record(1_000, "lock.a", "x", None);
        story.writes(3_000, "line.lock.a.1", 86_400, place("w1"));
        story.record(5_000, "lock.a", "x", Some(1));
        given_back.map(|at| story.deletes(at, "lock.a"));
        taken.map(|at| story.record(at, "lock.a", "of-w1", None));
        dies.map(|at| story.say(at, "runner", What::Gone { worker: "w1".into() }));
        story.deletes(20_000, "line.lock.a.1");
        story
    };
    let finding = story(None, None, None).violates(property, "lock.a stood free for 9.00 s while somebody");
    assert_eq!((finding.examined, &finding.violations[0].lines[..]), (1, &[3, 5][..]));
    // What it was before has no part in it: from 7 s on it is looked at.
    story(Some(5_500), Some(12_100), None).violates(property, "free for 5.10 s");
    story(Some(5_500), Some(11_900), None).holds_for(property);
    story(None, Some(15_900), None).holds_for(property);
    story(None, None, Some(15_900)).holds_for(property);
    story(None, None, Some(6_900)).is_untested(property);
    // Readers have it for as long as the last of them; of one whose record was not read nobody knows.
    let read = |renewed: u64, ends: Option<u64>, listed: &[&str]| {
        let mut story = Story::new();
        story.starts(1, "w1", "library");
        story.say(1_000, "runner", What::Healed);
        story.writes(1_000, "lock.a", 0, json!({ "v": 1, "attempt": "", "readers": listed }));
        story.writes(1_000, "read.a.i", 6, record("i", None));
        story.writes(renewed, "read.a.i", 6, record("i", Some(1)));
        ends.map(|at| story.deletes(at, "read.a.i"));
        story.writes(3_000, "line.lock.a.1", 86_400, place("w1"));
        story.deletes(20_000, "line.lock.a.1");
        story
    };
    read(5_000, None, &["i"]).violates(property, "lock.a stood free for 9.00 s");
    read(5_000, Some(8_000), &["i"]).violates(property, "lock.a stood free for 12.00 s");
    read(9_500, None, &["i"]).holds_for(property);
    read(5_000, None, &["i", "j"]).holds_for(property);
    // Somebody may have taken it, or the waiter have left, where the auditor did not read.
    let mut missed = story(None, None, None);
    missed.say(20_500, "auditor", What::Gap { from: FIRST + 5 });
    missed.write(21_000, FIRST + 9, "lock.b", 6, record("z", None));
    missed.is_untested(property);
}
