//! What the auditor read: ownership, succession, the line, leaks.

use chaos::history::{Kind, What};
use chaos::verdict::{Outcome, Verdict};
use serde_json::json;

use super::story::{FIRST, Story, record};

#[test]
fn a_token_is_the_revision_that_granted_it() {
    let property = "a token is its granting revision";
    let mut story = Story::new();
    story.is_untested(property);
    let token = story.record(10, "lock.a", "x", None);
    story.record(900, "lock.a", "x", Some(token));
    story.holds("w1", 1, Kind::Lock, "a", token, (11, 2_000));
    story.deletes(2_000, "lock.a");
    assert_eq!(story.holds_for(property).examined, 2);
    // Outside of what the auditor read, nothing is known.
    story.holds("w2", 1, Kind::Lock, "a", FIRST + 999, (3_000, 4_000));
    assert!(story.holds_for(property).why.is_some());
    story.holds("w2", 2, Kind::Lock, "b", token, (3_000, 4_000));
    story.violates(property, "is a revision of lock.a");
    story.holds("w2", 3, Kind::Lock, "a", token + 2, (3_000, 4_000));
    story.violates(property, "is the revision of a deletion");
    story.holds("w2", 4, Kind::Lock, "a", token + 1, (3_000, 4_000));
    story.violates(property, "is a renewal of another grant");
}

#[test]
fn a_token_that_was_never_written_is_seen_unless_the_auditor_says_that_it_missed_some() {
    let property = "a token is its granting revision";
    for (gap, from) in [(false, 0), (true, FIRST + 2), (false, FIRST + 7)] {
        let mut story = Story::new();
        story.write(10, FIRST + 1, "lock.a", 6, record("x", None));
        if from > 0 {
            story.say(11, "auditor", What::Gap { from });
        }
        story.write(20, FIRST + 9, "here.p", 5, json!("o"));
        story.holds("w1", 1, Kind::Lock, "a", FIRST + 4, (11, 15));
        if gap {
            story.is_untested(property);
        } else {
            story.violates(property, "a revision that was never written");
        }
    }
}

#[test]
fn a_renewal_carries_its_token_unchanged() {
    let property = "a token is its granting revision";
    let mut story = Story::new();
    let token = story.record(10, "lock.a", "x", None);
    story.record(20, "lock.a", "x", Some(token + 1));
    story.violates(property, "carries token");
    let mut story = Story::new();
    story.write(10, FIRST + 1, "lock.a", 6, record("x", None));
    // Read again by a consumer that was made anew.
    story.write(10, FIRST + 1, "lock.a", 6, record("x", None));
    story.holds("w1", 1, Kind::Lock, "a", FIRST + 1, (11, 15));
    story.holds_for(property);
    story.holds_for("the store gives each number once");
}

#[test]
fn a_number_is_given_once() {
    let (promised, assumed) = ("a token is its granting revision", "the store gives each number once");
    let given_twice = |between: &dyn Fn(&mut Story)| {
        let mut story = Story::new();
        story.write(10, FIRST + 1, "lock.a", 6, record("x", None));
        story.holds("w1", 1, Kind::Lock, "a", FIRST + 1, (11, 15));
        between(&mut story);
        story.write(90, FIRST + 1, "lock.a", 6, record("y", None));
        story.ends(99);
        story
    };
    let by_the_store = given_twice(&|_| ());
    by_the_store.violates(assumed, "was written twice");
    by_the_store.holds_for(promised);
    let verdict = Verdict::of(&by_the_store.run());
    assert_eq!((verdict.outcome, verdict.exit_code()), (Outcome::StoreFailed, 1));
    let made_again = given_twice(&|story| story.fault(30, 40, "bucket", "KV_leases"));
    made_again.violates(promised, "was written twice: by a bucket, and by the one made after it");
    made_again.holds_for(assumed);
    let came_back = given_twice(&|story| {
        story.fault(30, 40, "bucket", "KV_leases");
        story.fault(50, 60, "membership-beyond-promise", "KV_leases to 1 replica");
    });
    assert_eq!(came_back.holds_for(assumed).shown, 1);
    came_back.holds_for(promised);
    assert_eq!(Verdict::of(&made_again.run()).outcome, Outcome::Violated);
    // Replicas that count differently show another's write under a token.
    let another = |story: &mut Story| {
        story.record(20, "group.m.i", "z", None);
        story.holds("w2", 1, Kind::Lock, "b", FIRST + 1, (60_000, 60_010));
    };
    assert_eq!(given_twice(&another).holds_for(promised).shown, 1);
}

#[test]
fn what_a_store_loses_on_purpose_is_shown() {
    let property = "the store gives each number once";
    for (nemesis, is_excused) in [("power-all-beyond-promise", true), ("power-all", false)] {
        let mut story = Story::new();
        story.write(10, FIRST + 1, "lock.a", 6, record("x", None));
        story.holds("w1", 1, Kind::Lock, "a", FIRST + 1, (11, 15));
        story.fault(20, 40, nemesis, "n0,n1,n2");
        story.write(90, FIRST + 1, "lock.b", 6, record("y", None));
        if is_excused {
            let shown = story.holds_for(property).notes;
            assert!(shown.iter().any(|it| it.sentence.contains("was written twice")), "{shown:?}");
        } else {
            story.violates(property, "was written twice");
        }
    }
}

#[test]
fn what_is_kept_free_is_no_grant() {
    let mut story = Story::new();
    let mut reserved = record("x", None);
    reserved["reserved"] = json!(true);
    let token = story.writes(10, "lock.a", 3, reserved);
    story.holds("w1", 1, Kind::Lock, "a", token, (11, 15));
    story.violates("a token is its granting revision", "only kept lock.a free");
}

#[test]
fn kinds_have_their_own_keys() {
    let mut story = Story::new();
    let kinds = [
        (Kind::Shared, "read.a.i"),
        (Kind::Semaphore, "sem.a.0"),
        (Kind::Election, "elect.a"),
        (Kind::Group, "group.a.i"),
        (Kind::Multi, "lock.a"),
    ];
    for (op, (kind, key)) in kinds.into_iter().enumerate() {
        let token = story.record(10, key, key, None);
        story.holds("w1", op as u64, kind, "a", token, (11, 15));
    }
    assert_eq!(story.holds_for("a token is its granting revision").examined, 5);
    let token = story.record(20, "read.a.b.i", "z", None);
    story.holds("w1", 9, Kind::Shared, "a", token, (21, 25));
    story.violates("a token is its granting revision", "is a revision of read.a.b.i");
}

#[test]
fn no_grant_is_written_over_while_it_stands() {
    let property = "no grant is written over while it stands";
    let mut story = Story::new();
    story.record(10, "lock.a", "x", None);
    story.deletes(20, "lock.a");
    story.record(30, "lock.a", "y", None);
    story.is_untested(property);
    // Its six seconds, less the slack by which servers' clocks may differ.
    story.record(4_100, "lock.a", "z", None);
    story.holds_for(property);
    story.record(4_200, "lock.a", "x", None);
    story.violates(property, "lock.a was written over by o while the grant of o");
}

#[test]
fn no_grant_is_deleted_by_another_while_it_stands() {
    let property = "no grant is written over while it stands";
    let gone = |attempt: &str| json!({ "gone": true, "attempt": attempt });
    let mut story = Story::new();
    story.record(10, "lock.a", "x", None);
    story.writes(20, "lock.a", 600, gone("x"));
    story.is_untested(property);
    story.record(30, "lock.a", "y", None);
    story.writes(4_100, "lock.a", 600, gone("x"));
    story.holds_for(property);
    story.record(4_200, "lock.a", "y", None);
    story.writes(4_300, "lock.a", 600, gone("x"));
    story.violates(property, "lock.a was deleted by the attempt x while the grant of o stood");
}

#[test]
fn only_who_holds_it_keeps_it_free_for_another() {
    let property = "no grant is written over while it stands";
    let kept_free = |previous: u64| {
        let mut story = Story::new();
        story.record(10, "lock.a", "x", None);
        let mut reserved = record("y", None);
        (reserved["reserved"], reserved["previous"]) = (json!(true), json!({ "token": previous }));
        story.writes(20, "lock.a", 3, reserved);
        story
    };
    kept_free(FIRST + 1).holds_for(property);
    kept_free(FIRST).violates(property, "lock.a was written over by o while the grant of o");
}

#[test]
fn a_set_may_replace_its_own_turn_that_nobody_was_told_of() {
    let property = "no grant is written over while it stands";
    let set = |attempt: &str, holder: &str| {
        let mut value = record(attempt, None);
        value["with"] = json!(["a", "b"]);
        value["holder"] = json!(holder);
        value
    };
    let own = record("x", None)["holder"].as_str().unwrap_or_default().to_owned();
    let mut story = Story::new();
    let token = story.record(10, "lock.a", "x", None);
    story.writes(20, "lock.a", 7, set("y", &own));
    story.is_untested(property);
    story.holds("w1", 1, Kind::Lock, "a", token, (15, 18));
    story.violates(property, "lock.a was written over");
    let mut story = Story::new();
    story.record(10, "lock.a", "x", None);
    story.writes(20, "lock.a", 7, set("y", "another"));
    story.violates(property, "lock.a was written over");
}

#[test]
fn no_reader_is_written_over_while_it_stands() {
    let property = "no grant is written over while it stands";
    let list = json!({ "v": 1, "attempt": "", "readers": ["i", "j"] });
    let mut story = Story::new();
    story.writes(10, "lock.a", 0, list);
    story.record(11, "read.a.i", "i", None);
    story.record(12, "read.a.j", "j", None);
    story.deletes(20, "read.a.i");
    story.deletes(21, "read.a.j");
    story.record(22, "lock.a", "x", None);
    story.holds_for(property);
    let mut lines = story.lines.clone();
    lines.remove(5);
    // The auditor did not see a deletion, and knows that it missed something: nothing is said.
    story.lines = lines;
    assert!(story.finding(property).why.is_some());
    let mut story = Story::new();
    story.writes(10, "lock.a", 0, json!({ "v": 1, "attempt": "", "readers": ["i"] }));
    story.record(11, "read.a.i", "i", None);
    story.record(22, "lock.a", "x", None);
    story.violates(property, "while its reader i stood");
}

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
    taken_again(4, true, "").holds_for(property);
    taken_again(5, true, "").violates(property, "passed 5 times in a row by the same process");
    // It is not told who waits, but it can read that.
    taken_again(5, true, "bridge").violates(property, "passed 5 times in a row by the same process");
    taken_again(5, true, "partition").is_untested(property);
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
}

/// Who stands second is granted it, after what is said to have happened.
fn out_of_turn(happened: impl FnOnce(&mut Story)) -> Story {
    let mut story = Story::new();
    for worker in ["w1", "w2", "w3", "w3.1"] {
        story.starts(1, worker, "library");
    }
    let place = |owner: &str| json!({ "attempt": format!("of-{owner}"), "owner": owner, "process": owner });
    story.writes(10, "line.lock.a.1", 86_400, place("w1"));
    story.writes(11, "line.lock.a.2", 86_400, place("w2"));
    happened(&mut story);
    story.record(1_030, "lock.a", "of-w2", None);
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
}

#[test]
fn what_is_free_is_taken() {
    let property = "what is free is taken";
    Story::new().is_untested(property);
    let place = |owner: &str| json!({ "attempt": format!("of-{owner}"), "owner": owner, "process": owner });
    // Healed at 1 s; held from 2 s on for 6 s, or given back at 9 s; waited for until 20 s.
    let story = |given_back: Option<u64>, taken: Option<u64>, dies: Option<u64>| {
        let mut story = Story::new();
        story.starts(1, "w1", "library");
        story.say(1_000, "runner", What::Healed);
        story.record(2_000, "lock.a", "x", None);
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
    // Somebody may have taken it, or the waiter have left, where the auditor did not read.
    let mut missed = story(None, None, None);
    missed.say(20_500, "auditor", What::Gap { from: FIRST + 5 });
    missed.write(21_000, FIRST + 9, "lock.b", 6, record("z", None));
    missed.is_untested(property);
}

#[test]
fn nothing_is_leaked() {
    let property = "nothing is leaked";
    let mut story = Story::new();
    story.is_untested(property);
    story.record(10, "lock.a", "x", None);
    story.writes(11, "sem.s.limit", 0, json!({ "limit": 2 }));
    story.writes(12, "lock.r", 0, json!({ "v": 1, "attempt": "", "readers": ["i"] }));
    story.writes(13, "data.k", 0, json!(1));
    let here = story.writes(14, "here.p", 5, json!("o"));
    assert!(story.holds_for(property).why.is_some(), "nobody looked at the end");
    let keys = |revision| [("here.p".to_owned(), revision)].into();
    story.say(7_000, "auditor", What::Remains { keys: keys(here) });
    assert_eq!(story.holds_for(property).why, None);
    story.say(7_100, "auditor", What::Remains { keys: keys(here) });
    story.violates(property, "here.p is still there, 86 ms after its time and the slack");
    let mut story = Story::new();
    story.writes(10, "lock.a", 0, record("x", None));
    story.violates(property, "lock.a was written without a TTL");
}

#[test]
fn a_place_goes_with_who_stood_in_it() {
    let property = "nothing is leaked";
    let (key, place) = ("line.lock.a.p-0", json!({ "attempt": "x", "owner": "w1" }));
    let at_the_end = |between: &dyn Fn(&mut Story)| {
        let mut story = Story::new();
        story.starts(1, "w1", "socket");
        let order = story.writes(10, key, 86_400, place.clone());
        between(&mut story);
        story.say(5_000, "runner", What::Healed);
        story.say(8_900, "runner", What::Gone { worker: "w1".into() });
        story.say(9_000, "auditor", What::Remains { keys: [(key.to_owned(), order)].into() });
        story
    };
    at_the_end(&|_| ()).violates(property, "a place of w1, who ended by itself");
    // Who was killed, or whose daemon was, leaves it to others.
    let killed = |story: &mut Story| {
        story.say(900, "runner", What::Gone { worker: "w1".into() });
    };
    at_the_end(&killed).holds_for(property);
    at_the_end(&|story| story.fault(800, 900, "kill-daemon", "d1")).holds_for(property);
    at_the_end(&|story| story.fault(800, 900, "kill-daemon", "d2")).violates(property, "ended by itself");
    let deleted = |story: &mut Story| {
        story.deletes(6_000, key);
    };
    assert_eq!(at_the_end(&deleted).holds_for(property).shown, 1);
}
