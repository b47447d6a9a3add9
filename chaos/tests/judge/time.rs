//! Notice, use after loss, progress.

use chaos::history::{GIVEN_UP, Kind, Outcome, STOPPED, What};

use serde_json::json;

use super::story::Story;

fn held(deadline: u64) -> Story {
    let mut story = Story::new();
    story.starts(0, "w1", "library");
    story.asks(9, "w1", 1, Kind::Lock, &["a"]);
    story.granted(10, "w1", 1, "a", 10, deadline);
    story
}

#[test]
fn lost_is_told_by_the_deadline() {
    let property = "lost is told by the deadline";
    let mut story = held(4_000);
    story.is_untested(property);
    story.renewed(800, "w1", 1, 5_000);
    story.lost(5_010, "w1", 1);
    story.holds_for(property);

    let mut late = held(4_000);
    late.lost(4_900, "w1", 1);
    late.violates(property, "w1's op 1 was told of its loss 900 ms after its deadline");

    let mut never = held(4_000);
    never.ends(9_000);
    never.violates(property, "was not told of its loss, up to 5.00 s after");

    let mut paused = held(4_000);
    paused.fault(2_000, 7_000, "pause", "w1");
    paused.lost(7_050, "w1", 1);
    assert_eq!(paused.holds_for(property).shown, 1);

    // A pause excuses no more than it lasted, and what it takes to be scheduled again.
    for (from, to, told) in [(1_000, 3_500, 9_000), (20_000, 21_000, 30_000)] {
        let mut elsewhere = held(4_000);
        elsewhere.fault(from, to, "pause-worker", "w1");
        elsewhere.lost(told, "w1", 1);
        elsewhere.violates(property, "w1's op 1 was told of its loss");
    }
    let mut asleep = held(4_000);
    asleep.fault(2_000, 7_000, "pause", "w1");
    asleep.renewed(7_050, "w1", 1, 11_000);
    asleep.lost(11_010, "w1", 1);
    asleep.holds_for(property);
    asleep.renewed(16_000, "w1", 1, 20_000);
    asleep.violates(property, "w1's op 1 was renewed after");

    let mut another = held(4_000);
    another.fault(2_000, 7_000, "pause", "w2");
    another.lost(7_050, "w1", 1);
    another.violates(property, "w1's op 1");
}

#[test]
fn a_machine_that_stood_still_excuses_as_much_as_it_did() {
    let property = "lost is told by the deadline";
    let story = |stall: u64| {
        let mut story = held(4_000);
        story.say(4_900, "runner", What::Stalled { late_ms: stall });
        story.lost(4_910, "w1", 1);
        story
    };
    assert_eq!(story(800).holds_for(property).shown, 1);
    story(600).violates(property, "w1's op 1 was told of its loss 910 ms after its deadline");
    // What was before the deadline excuses nothing.
    let mut before = held(4_000);
    before.say(4_000, "runner", What::Stalled { late_ms: 2_000 });
    before.lost(4_910, "w1", 1);
    before.violates(property, "w1's op 1");
}

#[test]
fn a_lost_belief_does_not_come_back() {
    let property = "lost is told by the deadline";
    let mut story = held(4_000);
    story.lost(3_000, "w1", 1);
    story.renewed(3_100, "w1", 1, 7_000);
    story.violates(property, "was renewed after it had been lost");
    let mut story = held(4_000);
    story.renewed(4_500, "w1", 1, 7_000);
    story.releases(4_600, "w1", 1);
    story.violates(property, "was renewed after its deadline had passed");
}

#[test]
fn nothing_is_used_after_its_loss() {
    let property = "no use after loss";
    let mut story = held(4_000);
    story.is_untested(property);
    story.uses("w1", 1, 10, 1, (3_000, 3_010), None);
    story.holds_for(property);
    story.lost(3_500, "w1", 1);
    story.uses("w1", 1, 10, 2, (3_600, 3_610), None);
    story.violates(property, "w1's op 1 wrote though it knew that it had ended");

    let mut story = held(4_000);
    story.uses("w1", 1, 10, 1, (4_500, 4_510), None);
    story.violates(property, "wrote 500 ms after its deadline");

    let mut story = held(4_000);
    story.uses("w1", 1, 9, 1, (100, 110), None);
    story.violates(property, "with token 9, not its own");

    let mut paused = held(4_000);
    paused.fault(3_900, 9_000, "pause", "w1");
    // It asked its grant after that moment, and stood still before or after: then it is told that it does not hold.
    paused.uses("w1", 1, 10, 1, (9_005, 9_010), None);
    paused.violates(property, "wrote 5.00 s after its deadline");
}

fn healed(ends: u64) -> Story {
    let mut story = Story::new();
    story.asks(500, "w1", 1, Kind::Lock, &["a"]);
    story.say(1_000, "runner", What::Healed);
    story.asks(1_500, "w2", 1, Kind::Lock, &["a"]);
    story.granted(2_000, "w2", 1, "a", 10, 6_000);
    story.ends(ends);
    story
}

#[test]
fn after_healing_all_are_answered() {
    let property = "progress after healing";
    Story::new().is_untested(property);
    healed(30_000).violates(property, "w1's op 1 was not answered for 29.00 s; 19.00 s are allowed");
    let mut in_time = healed(30_000);
    in_time.refused(3_000, "w1", 1, Outcome::Held);
    assert_eq!(in_time.holds_for(property).examined, 3, "two acquires and a name");
    // Nothing is known of one whose time is not over, nor of one that is gone.
    assert_eq!(healed(10_000).holds_for(property).examined, 1);
    let mut gone = healed(30_000);
    gone.say(9_000, "runner", What::Gone { worker: "w1".into() });
    gone.holds_for(property);
}

#[test]
fn nothing_is_owed_where_servers_do_not_find_together_again() {
    let (property, assumed) = ("progress after healing", "servers find together again");
    let missing = || What::Unready { missing: "peers are not current".into() };
    let out = |writes: bool, grants: bool, says: bool| {
        let mut story = Story::new();
        story.writes(10, "lock.a", 4, json!({ "attempt": "x", "owner": "w1" }));
        if says {
            story.say(900, "runner", missing());
        }
        story.say(1_000, "runner", What::Healed);
        story.asks(1_500, "w1", 1, Kind::Lock, &["a"]);
        if grants {
            story.asks(1_500, "w2", 1, Kind::Lock, &["b"]);
            story.granted(2_000, "w2", 1, "b", 10, 6_000);
        }
        if writes {
            story.writes(2_000, "lock.b", 4, json!({ "attempt": "y", "owner": "w2" }));
        }
        story.ends(30_000);
        story
    };
    out(false, false, true).is_untested(property);
    out(false, false, true).is_untested("what is free is taken");
    out(false, false, true).violates(assumed, "took no write any more: peers are not current");
    // Of those that take writes it is owed, whatever they say.
    out(true, false, true).violates(property, "w1's op 1 was not answered");
    assert_eq!(out(true, false, true).holds_for(assumed).shown, 1);
    out(false, true, true).violates(property, "w1's op 1 was not answered");
    // And of those that say nothing.
    out(false, false, false).violates(property, "w1's op 1 was not answered");
}

#[test]
fn after_healing_somebody_is_granted_every_name() {
    let mut story = Story::new();
    story.say(1_000, "runner", What::Healed);
    for op in 1..9 {
        story.asks(1_000 + op * 2_000, "w1", op, Kind::Lock, &["a"]);
        story.refused(2_000 + op * 2_000, "w1", op, Outcome::Failed);
    }
    story.asks(17_500, "w1", 9, Kind::Lock, &["a"]);
    let given_up = What::Refused { op: 10, outcome: Outcome::Unknown, detail: GIVEN_UP.into() };
    story.asks(2_000, "w1", 10, Kind::Lock, &["b"]);
    story.say(2_100, "w1", given_up);
    story.ends(60_000);
    story.violates("progress after healing", "Nobody was granted a within 19.00 s");
    let finding = story.finding("progress after healing");
    let of_b = finding.violations.iter().filter(|it| it.sentence.contains("granted b"));
    assert_eq!(of_b.count(), 0, "nobody else wanted it");
}

#[test]
fn a_name_that_is_held_on_is_due_when_it_is_let_go() {
    let property = "progress after healing";
    let story = |let_go: u64, goes_on: bool| {
        let mut story = Story::new();
        story.asks(500, "w2", 1, Kind::Lock, &["a"]);
        story.granted(600, "w2", 1, "a", 7, 4_000);
        story.say(1_000, "runner", What::Healed);
        story.asks(5_000, "w1", 1, Kind::Lock, &["a"]);
        story.refused(17_000, "w1", 1, Outcome::Held);
        if goes_on {
            story.asks(17_100, "w1", 2, Kind::Lock, &["a"]);
            let told_to_stop = What::Refused { op: 2, outcome: Outcome::Unknown, detail: STOPPED.into() };
            story.say(25_000, "w1", told_to_stop);
        }
        story.renewed(2_000, "w2", 1, let_go + 1_000);
        story.releases(let_go, "w2", 1);
        story.ends(30_000);
        story
    };
    // Held for all of the 19 s after healing, as workers do: of the name nothing is known.
    assert_eq!(story(20_500, true).holds_for(property).examined, 1);
    // It was free for long enough, while somebody asked for it, also who was told to stop in the end.
    story(3_000, true).violates(property, "Nobody was granted a within 19.00 s");
    // Nor is a name owed that nobody asks for any more.
    assert_eq!(story(3_000, false).holds_for(property).examined, 1);
}

#[test]
fn a_permit_is_due_when_one_of_those_that_are_held_is_let_go() {
    let property = "progress after healing";
    let story = |holders: u64, let_go: u64| {
        let mut story = Story::new();
        for holder in 1..=holders {
            let name = format!("h{holder}");
            story.asks(500, &name, 1, Kind::Semaphore, &["s"]);
            story.granted(600, &name, 1, "s", 7 + holder, 4_000);
            story.renewed(2_000, &name, 1, let_go + 1_000);
            story.releases(let_go * holder, &name, 1);
        }
        story.say(1_000, "runner", What::Healed);
        for op in 1..=10 {
            story.asks(1_000 + op * 2_000, "w1", op, Kind::Semaphore, &["s"]);
            story.refused(2_800 + op * 2_000, "w1", op, Outcome::Held);
        }
        story.ends(30_000);
        story
    };
    story(1, 20_500).violates(property, "Nobody was granted s within 19.00 s");
    story(2, 20_500).holds_for(property);
    story(2, 1_500).violates(property, "Nobody was granted s within 19.00 s");
}

#[test]
fn nobody_tries_again_without_pause() {
    let property = "nobody tries again without pause";
    Story::new().is_untested(property);
    let tried = |attempt: &str, writes: u64| {
        let mut story = Story::new();
        let (key, attempt) = ("lock.a".to_owned(), attempt.to_owned());
        story.say(2_000, "runner", What::Tries { key, revision: 7, attempt, writes });
        story
    };
    tried("x", 50).holds_for(property);
    let whose = "lock.a was tried to be written 51 times within 2 s upon revision 7, by one attempt; 50 are";
    tried("x", 51).violates(property, whose);
    tried("", 30).holds_for(property);
    tried("", 31).violates(property, "upon revision 7; 30 are allowed");
}

#[test]
fn nobody_asks_without_pause() {
    let property = "nobody asks without pause";
    Story::new().is_untested(property);
    let asked = |counts: &[(u64, u64)]| {
        let mut story = Story::new();
        for (at, messages) in counts {
            let (host, messages) = ("w1".to_owned(), *messages);
            story.say(*at, "runner", What::Traffic { host, messages });
        }
        story
    };
    asked(&[(1_000, 1_000), (2_000, 1_000), (3_000, 1_000), (4_000, 1_000)]).holds_for(property);
    let too_many = [(1_000, 1_001), (2_000, 2_000), (3_000, 1_800)];
    asked(&too_many).violates(
        property,
        "w1 asked the servers more than 1001 times a second, 3 seconds in a row; 1000 are",
    );
    // Of eight operations at a time, each may ask as often; of many that came one after the other, not.
    let with_operations = |apart_ms: u64| {
        let mut story = asked(&too_many);
        for op in 1..=8 {
            let at = op * apart_ms;
            story.asks(3_100 + at, "w1", op, Kind::Lock, &["a"]);
            story.refused(3_150 + at, "w1", op, Outcome::Held);
        }
        story
    };
    with_operations(1).holds_for(property);
    with_operations(100).violates(property, "1000 are allowed");
    // A burst, and two that are no seconds in a row.
    asked(&[(1_000, 9_000), (2_000, 9_000), (3_000, 200), (4_000, 9_000)]).holds_for(property);
    asked(&[(1_000, 9_000), (2_000, 9_000), (4_000, 9_000)]).holds_for(property);
}
