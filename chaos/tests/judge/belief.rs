//! What a belief rests on, and what a loss comes from.

use chaos::history::{Freed, Kind, What};
use serde_json::json;

use super::story::{FIRST, Story, ns, record};

/// A grant that was written at 10 ms and told at 12 ms.
fn granted(deadline: u64) -> (Story, u64) {
    let mut story = Story::new();
    story.starts(0, "w1", "library");
    story.asks(8, "w1", 1, Kind::Lock, &["a"]);
    let token = story.record(10, "lock.a", "x", None);
    story.granted(12, "w1", 1, "a", token, deadline);
    (story, token)
}

#[test]
fn nobody_believes_longer_than_the_newest_write_allows() {
    let property = "belief rests on a record";
    Story::new().is_untested(property);
    // Sent at 9 ms, with a margin of 50 ms.
    let (mut story, token) = granted(3_959);
    story.holds_for(property);
    story.record(1_000, "lock.a", "x", Some(token));
    story.renewed(1_002, "w1", 1, 4_949);
    assert_eq!(story.holds_for(property).examined, 2);
    // Extended without a write.
    story.renewed(2_000, "w1", 1, 5_950);
    story.violates(property, "w1's op 1 believed to hold a");
    // For the whole of the ttl.
    granted(4_009).0.violates(property, "for 39 ms longer than the newest write");
    // A write that came after the news is none that the news could rest on.
    let (mut early, token) = granted(3_959);
    early.renewed(1_002, "w1", 1, 4_949);
    early.record(1_100, "lock.a", "x", Some(token));
    early.violates(property, "for 979 ms longer");
    // Stamped by a server whose clock was put back since, a later write takes nothing away from it.
    let (mut back, token) = granted(3_959);
    back.record(1_000, "lock.a", "x", Some(token));
    back.renewed(1_002, "w1", 1, 4_949);
    back.write(900, FIRST + 3, "lock.a", 6, record("x", Some(token)));
    back.holds_for(property);
    // The server that stamped it may have been a second behind, which is within the slack.
    let (mut skewed, token) = granted(3_959);
    skewed.fault(900, 1_200, "server-clock", "n1");
    skewed.renewed(1_002, "w1", 1, 4_949);
    skewed.record(2_000, "lock.a", "x", Some(token));
    skewed.holds_for(property);
    skewed.renewed(3_100, "w1", 1, 7_990);
    skewed.violates(property, "longer than the newest write");
    // What the auditor missed may have been it.
    let (mut missed, _) = granted(3_959);
    missed.say(500, "auditor", What::Gap { from: FIRST + 2 });
    missed.renewed(1_002, "w1", 1, 4_949);
    assert_eq!(missed.finding(property).violated, 0);
    // Nor is it known what came where the history breaks off: the auditor may have been behind.
    let (mut killed, _) = granted(3_959);
    killed.renewed(1_002, "w1", 1, 4_949);
    killed.violates(property, "for 979 ms longer");
    assert_eq!(killed.finding_so_far(property).violated, 0);
    // What was missed after something that was written later is no renewal that the news could rest on.
    let (mut later, _) = granted(4_009);
    later.record(3_000, "lock.b", "y", None);
    later.say(3_500, "auditor", What::Gap { from: FIRST + 3 });
    later.violates(property, "for 39 ms longer");
}

#[test]
fn a_grant_is_told_by_an_answer_that_is_fresh() {
    let property = "belief rests on a record";
    let told = |at| {
        let mut story = Story::new();
        story.starts(0, "w1", "library");
        story.asks(8, "w1", 1, Kind::Lock, &["a"]);
        let token = story.record(10, "lock.a", "x", None);
        story.granted(at, "w1", 1, "a", token, 3_959);
        (story, token)
    };
    told(1_900).0.holds_for(property);
    let (mut old, token) = told(2_400);
    old.violates(property, "w1's op 1 was told that it holds a");
    // Confirmed in between.
    old.record(2_390, "lock.a", "x", Some(token));
    old.holds_for(property);
    // Stood still, or so did the machine.
    let (mut paused, _) = told(2_400);
    paused.fault(500, 2_000, "pause-worker", "w1");
    paused.holds_for(property);
    let (mut late, _) = told(2_400);
    late.say(2_380, "runner", What::Stalled { late_ms: 600 });
    late.holds_for(property);
}

fn lost(reason: &str, at: u64) -> Story {
    let (mut story, _) = granted(3_959);
    story.say(at, "w1", What::Lost { op: 1, reason: reason.into() });
    story
}

fn marked_by_hand() -> serde_json::Value {
    let mut mark = record("x", None);
    mark["broken"] = json!("by hand");
    mark
}

#[test]
fn what_is_told_to_be_taken_was_taken() {
    let property = "no loss without a cause";
    lost("expired", 3_960).holds_for(property);
    lost("taken", 500).violates(property, "w1's op 1 was told that it was lost (taken)");
    lost("bucket-replaced", 500).violates(property, "bucket-replaced");
    let mut deleted = lost("taken", 500);
    deleted.deletes(495, "lock.a");
    deleted.holds_for(property);
    let mut another = lost("taken", 500);
    another.record(490, "lock.a", "y", None);
    another.holds_for(property);
    let mut own = lost("taken", 500);
    own.writes(495, "lock.a", 600, json!({ "gone": true, "attempt": "x" }));
    own.violates(property, "nothing had happened");
    let mut elsewhere = lost("taken", 500);
    elsewhere.record(490, "lock.b", "y", None);
    elsewhere.violates(property, "nothing had happened");
    let mut marked = lost("broken", 500);
    marked.writes(490, "lock.a", 6, marked_by_hand());
    marked.holds_for(property);
    // Nobody has it who marked it.
    let mut mistaken = lost("taken", 500);
    mistaken.writes(490, "lock.a", 6, marked_by_hand());
    mistaken.violates(property, "w1's op 1 was told that it was lost (taken)");
    // Nobody may have answered what stands there.
    let mut unanswered = lost("taken", 500);
    unanswered.writes(490, "lock.a", 6, marked_by_hand());
    unanswered.fault(400, 600, "loss", "w1 30%");
    unanswered.holds_for(property);
    // What was missed before it was told may have been the cause; what was missed later was not.
    let missed = |later: u64| {
        let mut story = lost("taken", 500);
        story.record(later, "lock.b", "y", None);
        story.say(later + 10, "auditor", What::Gap { from: FIRST + 3 });
        story
    };
    missed(5_600).violates(property, "nothing had happened");
    missed(450).is_untested(property);
    let mut asked_elsewhere = lost("taken", 500);
    asked_elsewhere.fault(100, 400, "partition-leader-for-long", "n0|n1,n2");
    asked_elsewhere.writes(490, "lock.a", 6, marked_by_hand());
    asked_elsewhere.holds_for(property);
    mistaken.record(495, "lock.a", "y", None);
    mistaken.holds_for(property);
    // By the store's clock it was over.
    lost("taken", 6_500).holds_for(property);
    let mut replaced = lost("bucket-replaced", 500);
    replaced.fault(100, 400, "bucket", "KV_leases");
    replaced.is_untested(property);
    // A bucket that was made again long before is no excuse, and what follows its own ending is no cause.
    let mut before = Story::new();
    before.fault(100, 400, "bucket", "KV_leases");
    before.asks(40_000, "w1", 1, Kind::Lock, &["a"]);
    let token = before.record(40_010, "lock.a", "x", None);
    before.granted(40_012, "w1", 1, "a", token, 43_959);
    before.say(40_500, "w1", What::Lost { op: 1, reason: "bucket-replaced".into() });
    before.violates(property, "bucket-replaced");
    let mut handed = lost("taken", 500);
    let mut reserved = record("y", None);
    (reserved["reserved"], reserved["previous"]) = (json!(true), json!({ "token": FIRST + 1 }));
    handed.writes(490, "lock.a", 3, reserved.clone());
    handed.record(492, "lock.a", "y", None);
    handed.violates(property, "nothing had happened");
    let mut taken = lost("taken", 500);
    reserved["previous"]["token"] = json!(FIRST);
    taken.writes(490, "lock.a", 3, reserved);
    taken.holds_for(property);
}

#[test]
fn a_lease_runs_out_at_its_deadline_and_where_something_is_broken() {
    let property = "no loss without a cause";
    lost("expired", 3_900).violates(property, "its lease had run out, 59 ms before its deadline");
    let calm = |every: usize| {
        let mut story = lost("expired", 3_960);
        story.starts(0, "w1", "library");
        for ms in (100..4_000).step_by(every) {
            story.record(ms, "lock.b", "y", None);
        }
        story
    };
    calm(500).violates(property, "its lease had run out, and nothing was broken");
    // The store took nothing for so long.
    calm(1_200).holds_for(property);
    let mut broken = calm(500);
    broken.fault(20, 30, "kill", "n1");
    broken.holds_for(property);
    for word in ["connection-closed", "draining", "unknown-lease", "keeper-gone"] {
        lost(word, 500).violates(property, "its lease is not kept, and its daemon had not ended");
        let ended = |daemon: &str| {
            let mut story = lost(word, 500);
            story.fault(400, 600, "kill-daemon", daemon);
            story
        };
        ended("d1").holds_for(property);
        ended("d2").violates(property, "its daemon had not ended");
    }
}

#[test]
fn a_release_that_says_lost_had_lost_it() {
    let property = "no loss without a cause";
    let release = |outcome| {
        let (mut story, _) = granted(3_959);
        story.say(300, "w1", What::Releases { op: 1 });
        story.say(310, "w1", What::Released { op: 1, outcome });
        story
    };
    release(Freed::Clean).is_untested(property);
    release(Freed::Unknown).is_untested(property);
    release(Freed::Lost).violates(property, "was told at its release that it had lost it");
    let mut restarted = release(Freed::Lost);
    restarted.fault(200, 400, "kill-daemon", "d1");
    restarted.is_untested(property);
    // One who works through a daemon that stands still; another's daemon is no excuse.
    let asleep = |daemon: &str| {
        let mut story = release(Freed::Lost);
        story.starts(1, "w1", "socket");
        story.fault(200, 305, "pause-daemon", daemon);
        story
    };
    asleep("d1").is_untested(property);
    asleep("d2").violates(property, "was told at its release that it had lost it");
    // Begun before the deadline, heard after the record had expired: it was not lost, whoever has it now.
    let late = |released: u64, (at, next): (u64, &str)| {
        let (mut story, _) = granted(3_959);
        story.say(released, "w1", What::Releases { op: 1 });
        story.record(at, "lock.a", next, None);
        story.say(7_000, "w1", What::Released { op: 1, outcome: Freed::Lost });
        story
    };
    late(3_400, (6_200, "y")).violates(property, "was told at its release that it had lost it");
    late(3_400, (3_300, "y")).holds_for(property);
    late(3_900, (6_200, "y")).is_untested(property);
}

#[test]
fn who_is_broken_at_once_may_believe_beside_the_next() {
    let property = "nobody believes beside another";
    // Granted as the first and the third revision; the second deletes the record of the grant `ended`.
    let story = |at_once: bool, (broken, ended): (u64, u64), (w1, w2): ((u64, u64), (u64, u64))| {
        let mut story = Story::new();
        let token = story.record(10, "lock.a", "x", None);
        story.holds("w1", 1, Kind::Lock, "a", token, w1);
        story.say(300, "w9", What::Breaks { name: "a".into(), token: FIRST + broken, at_once });
        story.writes(301, "lock.a", 600, json!({ "gone": true, "previous": { "token": FIRST + ended } }));
        let token = story.record(302, "lock.a", "y", None);
        story.holds("w2", 1, Kind::Lock, "a", token, w2);
        story
    };
    let in_turn = ((10, 900), (400, 950));
    assert_eq!(story(true, (1, 1), in_turn).holds_for(property).shown, 1);
    // A mark frees nothing, another grant's end excuses nothing, and neither does what was only said to be done.
    story(false, (1, 1), in_turn).violates(property, "both believed to hold a");
    story(true, (9, 1), in_turn).violates(property, "both believed to hold a");
    story(true, (1, 9), in_turn).violates(property, "both believed to hold a");
    // Who stood still is told of a grant that was broken since, and after the next was told of its own.
    let late = ((500, 900), (400, 950));
    assert_eq!(story(true, (1, 1), late).holds_for(property).shown, 1);
    story(false, (1, 1), late).violates(property, "both believed to hold a");
    story(true, (3, 3), late).violates(property, "both believed to hold a");
    // What was broken after the next was told excuses nothing.
    story(true, (1, 1), ((500, 900), (290, 950))).violates(property, "both believed to hold a");
}

#[test]
fn a_breakers_mark_stands() {
    let property = "no grant is written over while it stands";
    let mut mark = record("x", Some(FIRST + 1));
    mark["broken"] = json!("by hand");
    let mut story = Story::new();
    story.record(10, "lock.a", "x", None);
    story.writes(20, "lock.a", 6, mark.clone());
    story.writes(30, "lock.a", 6, mark);
    story.writes(40, "lock.a", 600, json!({ "gone": true, "attempt": "x" }));
    story.record(50, "lock.a", "y", None);
    story.is_untested(property);
    let mut mark = record("y", Some(FIRST + 5));
    mark["broken"] = json!("by hand");
    story.writes(60, "lock.a", 6, mark);
    story.record(70, "lock.a", "y", Some(FIRST + 5));
    story.violates(property, "The mark of whoever broke lock.a by force was written over");
}

#[test]
fn a_leader_is_not_shown_for_longer_than_it_believes() {
    let property = "belief rests on a record";
    let story = |at: u64, until: u64| {
        let mut story = Story::new();
        story.asks(8, "w1", 1, Kind::Election, &["e"]);
        let token = story.record(10, "elect.e", "x", None);
        story.granted(12, "w1", 1, "e", token, 3_959);
        story.say(at, "w2", What::Shown { name: "e".into(), token, until_ns: ns(until) });
        story
    };
    assert_eq!(story(500, 1_950).holds_for(property).examined, 2);
    story(3_000, 4_950).violates(property, "was shown as leading for 980 ms longer than it may believe");
}
