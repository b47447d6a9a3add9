//! Tokens, belief, the fenced resource and the register.

use chaos::history::{ACCEPTANCE, Answer, Kind, What};

use super::story::{FIRST, Story};

#[test]
fn one_holder_per_token() {
    let mut story = Story::new();
    story.is_untested("one holder per token");
    story.holds("w1", 1, Kind::Lock, "a", 10, (10, 20));
    story.holds("w2", 1, Kind::Lock, "b", 10, (30, 40));
    story.holds_for("one holder per token");
    story.holds("w2", 2, Kind::Lock, "a", 10, (50, 60));
    let finding =
        story.violates("one holder per token", "Token 10 of a was granted to w1's op 1 and to w2's op 2");
    assert_eq!((finding.examined, finding.violated), (3, 1));
    assert_eq!(finding.violations[0].lines, [3, 11]);
}

#[test]
fn tokens_rise_in_real_time_order() {
    let mut story = Story::new();
    story.holds("w1", 1, Kind::Lock, "a", 10, (10, 20));
    story.is_untested("tokens rise in real-time order");
    story.holds("w2", 1, Kind::Lock, "a", 12, (50, 60));
    story.holds_for("tokens rise in real-time order");
    // Asked for before the other was told: either order is right.
    story.asks(61, "w1", 2, Kind::Lock, &["a"]);
    story.holds("w2", 2, Kind::Lock, "a", 14, (70, 80));
    story.granted(90, "w1", 2, "a", 13, 999);
    story.holds_for("tokens rise in real-time order");
    story.holds("w3", 1, Kind::Lock, "a", 11, (100, 110));
    story.violates(
        "tokens rise in real-time order",
        "w2's op 2 had been told token 14 of a when w3's op 1 asked",
    );
}

#[test]
fn readers_have_no_order_among_themselves_but_towards_writers() {
    let mut story = Story::new();
    story.holds("w1", 1, Kind::Lock, "a", 10, (10, 20));
    story.holds("w2", 1, Kind::Shared, "a", 15, (30, 60));
    story.holds("w3", 1, Kind::Shared, "a", 14, (40, 60));
    story.holds_for("tokens rise in real-time order");
    story.holds_for("nobody believes beside another");
    story.holds("w4", 1, Kind::Shared, "a", 9, (70, 80));
    story.violates("tokens rise in real-time order", "w4's op 1");
}

#[test]
fn beliefs_do_not_overlap() {
    let mut story = Story::new();
    story.holds("w1", 1, Kind::Lock, "a", 10, (10, 20));
    story.holds("w2", 1, Kind::Lock, "a", 11, (21, 40));
    story.holds("w3", 1, Kind::Election, "a", 11, (21, 40));
    story.holds_for("nobody believes beside another");
    story.holds("w3", 2, Kind::Multi, "a", 12, (39, 60));
    story.violates(
        "nobody believes beside another",
        "w2's op 1 and w3's op 2 both believed to hold a, for 1.0 ms",
    );
}

#[test]
fn a_reader_beside_a_writer_is_an_overlap() {
    let mut story = Story::new();
    story.holds("w1", 1, Kind::Shared, "a", 10, (10, 30));
    story.holds("w2", 1, Kind::Lock, "a", 11, (29, 40));
    story.violates("nobody believes beside another", "w1's op 1 and w2's op 1");
}

#[test]
fn a_semaphore_has_no_more_permits_than_its_limit() {
    let mut story = Story::new();
    story.holds("w1", 1, Kind::Semaphore, "s", 10, (10, 40));
    story.holds("w2", 1, Kind::Semaphore, "s", 11, (20, 40));
    story.holds("w3", 1, Kind::Semaphore, "s", 12, (40, 50));
    story.holds_for("nobody believes beside another");
    story.holds("w4", 1, Kind::Semaphore, "s", 13, (30, 50));
    story.violates("nobody believes beside another", "3 hold permits of s, which has 2");
}

#[test]
fn what_a_paused_process_does_is_shown_and_not_hidden() {
    let mut story = Story::new();
    story.starts(0, "w1", "library");
    story.asks(9, "w1", 1, Kind::Lock, &["a"]);
    story.granted(10, "w1", 1, "a", 10, 1_000);
    story.fault(500, 9_000, "pause", "w1");
    story.holds("w2", 1, Kind::Lock, "a", 11, (6_000, 9_500));
    story.lost(9_100, "w1", 1);
    let finding = story.holds_for("nobody believes beside another");
    assert_eq!(finding.shown, 1, "{finding:#?}");
    assert!(finding.notes[0].sentence.contains("for 3.10 s"), "{finding:#?}");
}

#[test]
fn only_what_breaks_the_assumptions_on_purpose_excuses_an_overlap() {
    for (nemesis, excused) in [("clock-beyond-slack", true), ("clock", false), ("partition", false)] {
        let mut story = Story::new();
        story.fault(5, 15, nemesis, "n1");
        story.holds("w1", 1, Kind::Lock, "a", 10, (10, 30));
        story.holds("w2", 1, Kind::Lock, "a", 11, (20, 40));
        let finding = story.finding("nobody believes beside another");
        assert_eq!((finding.violated, finding.shown), if excused { (0, 1) } else { (1, 0) }, "{nemesis}");
    }
}

#[test]
fn the_resource_accepts_no_old_token() {
    let mut story = Story::new();
    story.is_untested("the resource accepts no old token");
    story.holds("w1", 1, Kind::Lock, "a", 10, (10, 90));
    story.holds("w2", 1, Kind::Lock, "a", 11, (20, 90));
    story.uses("w1", 1, 10, 1, (30, 50), None);
    story.uses("w2", 1, 11, 2, (35, 40), None);
    // Sent before the newer one was answered.
    story.holds_for("the resource accepts no old token");
    story.uses("w1", 1, 10, 3, (60, 70), None);
    story.violates(
        "the resource accepts no old token",
        "with token 10, though it had taken one of w2's op 1 with token 11",
    );
}

#[test]
fn what_is_protected_is_one_register() {
    let mut story = Story::new();
    story.holds("w1", 1, Kind::Lock, "a", 10, (10, 900));
    story.uses("w1", 1, 10, 1, (20, 30), None);
    story.is_untested("what is protected is linearizable");
    story.uses("w1", 1, 10, 2, (40, 50), Some(1));
    // No answer came, but somebody saw it.
    story.say(60, "w1", What::Uses { op: 1, resource: "r".into(), token: 10, value: 3 });
    story.say(70, "w1", What::Reads { op: 1, resource: "r".into() });
    story.say(80, "w1", What::Saw { op: 1, resource: "r".into(), value: 3 });
    story.holds_for("what is protected is linearizable");
    story.uses("w1", 1, 10, 4, (90, 100), Some(2));
    let finding = story.violates("what is protected is linearizable", "No order of the operations on r");
    assert_eq!(finding.violations[0].lines, [13], "the write that says it replaced what had been replaced");
}

#[test]
fn tokens_that_rose_may_be_given_again_only_once_lost_writes_were_accepted() {
    let property = "tokens rise in real-time order";
    for (target, is_accepted) in [(ACCEPTANCE, true), ("n0,n1,n2", false)] {
        let mut story = Story::new();
        story.holds("w1", 1, Kind::Lock, "a", FIRST + 9, (10, 20));
        story.fault(30, 40, "power-beyond-promise", target);
        story.holds("w2", 1, Kind::Lock, "a", FIRST + 5, (50, 60));
        if is_accepted {
            let shown = story.holds_for(property).notes;
            assert!(shown.iter().any(|it| it.sentence.contains("had been accepted in between")), "{shown:?}");
            // Among those that were granted afterwards, they rise again.
            story.holds("w3", 1, Kind::Lock, "a", FIRST + 4, (70, 80));
            story.violates(property, "w3's op 1");
        } else {
            story.violates(property, "w2's op 1");
        }
    }
}

#[test]
fn a_token_may_be_given_again_only_once_lost_writes_were_accepted() {
    let property = "one holder per token";
    let given_again = |target: &str| {
        let mut story = Story::new();
        story.holds("w1", 1, Kind::Lock, "a", FIRST, (10, 20));
        story.fault(30, 40, "power-beyond-promise", target);
        story.holds("w2", 1, Kind::Lock, "a", FIRST, (50, 60));
        story
    };
    assert_eq!(given_again(ACCEPTANCE).holds_for(property).shown, 1);
    given_again("n0,n1,n2").violates(property, "of a was granted to w1's op 1 and to w2's op 1");
    // Asked for and granted before that, and told after it.
    let mut late = Story::new();
    late.holds("w2", 1, Kind::Lock, "a", FIRST, (50, 60));
    late.fault(30, 40, "power-beyond-promise", ACCEPTANCE);
    late.asks(5, "w1", 1, Kind::Lock, &["a"]);
    late.granted(70, "w1", 1, "a", FIRST, 1_000);
    assert_eq!(late.holds_for(property).shown, 1);
}

#[test]
fn the_store_does_not_have_what_it_refused() {
    let property = "the resource accepts no old token";
    let story = |answer: Answer, written: u64| {
        let mut story = Story::new();
        story.holds("w1", 1, Kind::Lock, "data", 10, (10, 20));
        let resource = "data.position".to_owned();
        story.say(12, "w1", What::Uses { op: 1, resource, token: 10, value: 7 });
        story.say(13, "w1", What::Used { op: 1, value: 7, answer, before: None });
        let envelope =
            serde_json::json!({ "v": 1, "text": written.to_string(), "token": 10, "under": "lock.data" });
        story.writes(12, "data.position", 0, envelope);
        story
    };
    story(Answer::Accepted, 7).holds_for(property);
    story(Answer::Unknown, 7).holds_for(property);
    story(Answer::Refused, 8).holds_for(property);
    story(Answer::Refused, 7).violates(property, "w1's op 1 was told that its write of 7 to data.position");
}

#[test]
fn only_what_the_store_itself_guards_is_lost_with_it() {
    let property = "the resource accepts no old token";
    let story = |resource: &str, fault: (u64, u64)| {
        let mut story = Story::new();
        for (worker, token, at) in [("w1", 20, 10), ("w2", 10, 100)] {
            story.holds(worker, 1, Kind::Lock, "data", token, (at, at + 20));
            let (resource, value) = (resource.to_owned(), token);
            story.say(at + 5, worker, What::Uses { op: 1, resource, token, value });
            story.say(at + 6, worker, What::Used { op: 1, value, answer: Answer::Accepted, before: None });
        }
        story.fault(fault.0, fault.1, "membership-beyond-promise", "KV_leases");
        story
    };
    assert_eq!(story("data.position", (40, 60)).holds_for(property).shown, 1);
    story("data.position", (200, 210)).violates(property, "data.position took a write of w2's op 1");
    story("lock.data", (40, 60)).violates(property, "lock.data took a write of w2's op 1");
}
