//! What the auditor read: ownership, succession, leaks.

use chaos::history::{ACCEPT, ACCEPTANCE, Freed, Kind, Outcome as Answer, What};
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
fn that_a_store_was_made_to_lose_writes_excuses_only_what_it_lost() {
    let (written_over, lost) = ("no grant is written over while it stands", "no loss without a cause");
    let story = |is_seen: bool| {
        let mut story = Story::new();
        story.fault(1, 5, "membership-beyond-promise", "KV_leases to 1 replica");
        story.record(10, "lock.a", "y", None);
        story.writes(20, "lock.a", 600, json!({ "gone": true, "attempt": "x" }));
        story.writes(21, "lock.r", 0, json!({ "v": 1, "attempt": "", "readers": ["i"] }));
        story.record(22, "read.r.i", "i", None);
        story.record(23, "lock.r", "x", None);
        let token = story.record(10_000, "lock.b", "z", None);
        story.asks(9_990, "w1", 1, Kind::Lock, &["b"]);
        story.granted(10_001, "w1", 1, "b", token, 13_950);
        story.say(10_500, "w1", What::Lost { op: 1, reason: "taken".into() });
        if is_seen {
            story.write(40, FIRST + 50, "lock.c", 6, record("v", None));
            story.write(50, FIRST + 50, "lock.d", 6, record("w", None));
        }
        story
    };
    story(false).violates(written_over, "lock.a was deleted by the attempt x");
    story(false).violates(written_over, "lock.r was written over while its reader i stood");
    assert_eq!(story(true).holds_for(written_over).shown, 2);
    story(false).violates(lost, "nothing had happened to what it held");
    story(true).is_untested(lost);
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
fn what_is_told_to_be_given_back_is() {
    let property = "nothing is leaked";
    let released = |outcome: Freed, between: &dyn Fn(&mut Story)| {
        let mut story = Story::new();
        story.asks(8, "w1", 1, Kind::Lock, &["a"]);
        let token = story.record(10, "lock.a", "x", None);
        story.granted(12, "w1", 1, "a", token, 3_959);
        story.record(800, "lock.a", "x", Some(token));
        story.say(900, "w1", What::Releases { op: 1 });
        between(&mut story);
        story.say(910, "w1", What::Released { op: 1, outcome });
        story.write(7_000, FIRST + 9, "lock.b", 6, record("y", None));
        story
    };
    let deleted = |story: &mut Story| {
        story.deletes(905, "lock.a");
    };
    released(Freed::Clean, &deleted).holds_for(property);
    released(Freed::Clean, &|_| ()).violates(property, "w1's op 1 was told that it gave back lock.a");
    released(Freed::Unknown, &|_| ()).holds_for(property);
    // Kept free for the next in line.
    let kept = |story: &mut Story| {
        let mut kept = record("z", None);
        kept["reserved"] = json!(true);
        story.writes(905, "lock.a", 3, kept);
    };
    released(Freed::Clean, &kept).holds_for(property);
    // Renewed once more, and then nothing.
    let renewed = |story: &mut Story| {
        story.record(905, "lock.a", "x", Some(FIRST + 1));
    };
    released(Freed::Clean, &renewed).violates(property, "whose record stood on");
    // Written in time, as the store says, and read long after by an auditor that was cut off; and written too late.
    let stamped = |written_ms: u64| {
        move |story: &mut Story| {
            let (revision, key, gone) = (FIRST + 3, "lock.a".into(), json!({ "gone": true }));
            let written_us = FIRST + written_ms * 1_000;
            let what = What::Revision {
                revision,
                key,
                written_us,
                is_deletion: true,
                ttl_secs: 600,
                value: Some(gone),
            };
            story.say(6_900, "auditor", what);
        }
    };
    released(Freed::Clean, &stamped(905)).holds_for(property);
    released(Freed::Clean, &stamped(2_500)).violates(property, "whose record stood on");
    // The auditor may have missed it.
    let missed = |story: &mut Story| {
        story.say(906, "auditor", What::Gap { from: FIRST + 3 });
    };
    assert_eq!(released(Freed::Clean, &missed).finding(property).violated, 0);
}

/// All power fails, a number is given twice, and somebody is told so, or nobody is.
#[test]
fn a_store_that_went_back_is_noticed() {
    let property = "a store that went back is noticed";
    let run = |again: &str, told: Option<(u64, &str)>| {
        let mut story = Story::new();
        story.write(10, FIRST + 7, "lock.a", 6, record("x", None));
        story.fault(1_000, 1_500, "power-all-beyond-promise", "n0,n1,n2");
        story.write(2_000, FIRST + 7, again, 6, record("y", None));
        story.asks(2_100, "w1", 1, Kind::Lock, &["a"]);
        if let Some((at, detail)) = told {
            let (outcome, detail) = (Answer::Failed, detail.to_owned());
            story.say(at, "w1", What::Refused { op: 1, outcome, detail });
        }
        story.fault(5_000, 5_100, ACCEPT, ACCEPTANCE);
        story
    };
    let words = "the store lost acknowledged writes (revision 7 after 9); nothing is granted until";
    assert_eq!(run("lock.b", Some((2_200, words))).holds_for(property).examined, 1);
    run("lock.b", None).violates(property, "nobody was refused until that was accepted");
    run("lock.b", Some((2_200, "held"))).violates(property, "was given twice");
    run("lock.b", Some((5_500, words))).violates(property, "was given twice");
    let mut unharmed = Story::new();
    unharmed.fault(1_000, 1_500, "power-all-beyond-promise", "n0,n1,n2");
    unharmed.is_untested(property);
    // Of other runs it is not said.
    let all = chaos::checkers::all(&Story::new().run());
    assert!(all.iter().all(|finding| finding.property != property));
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

#[test]
fn an_attempt_is_granted_once() {
    let property = "an attempt is granted once";
    // Granted and told at 10 ms, expired, and granted again by a message that was late.
    let again = |attempt: &str, told: bool| {
        let mut story = Story::new();
        story.starts(0, "w1", "library");
        story.asks(8, "w1", 1, Kind::Lock, &["a"]);
        let token = story.record(10, "lock.a", "x", None);
        if told {
            story.granted(12, "w1", 1, "a", token, 3_959);
        }
        story.record(1_000, "lock.a", "x", Some(token));
        story.record(9_000, "lock.a", attempt, None);
        story
    };
    again("x", true).violates(property, "lock.a was granted a second time to the attempt of token");
    again("y", true).holds_for(property);
    // Of the first nobody was told: it may be claimed anew.
    again("x", false).is_untested(property);
    let mut forgotten = again("x", true);
    forgotten.fault(2_000, 4_000, "forgotten-release", "n0,n1,n2");
    assert_eq!(forgotten.holds_for(property).shown, 1);
    let mut paused = again("x", true);
    paused.fault(2_000, 8_990, "pause-for-long", "n1");
    paused.violates(property, "lock.a was granted a second time");
    let mut missed = again("x", true);
    missed.say(2_000, "auditor", What::Gap { from: FIRST + 2 });
    missed.holds_for(property);
}
