//! What is said of a run as a whole, and what the command does.

use std::process::Command;

use chaos::history::{Kind, What};
use chaos::verdict::{Outcome, Verdict};

use super::story::Story;

fn sound() -> Story {
    let mut story = Story::new();
    story.holds("w1", 1, Kind::Lock, "a", 10, (10, 20));
    story
}

#[test]
fn a_history_that_breaks_off_says_nothing() {
    let mut story = sound();
    let property = "the history is whole";
    assert_eq!(Verdict::of(&story.run()).outcome, Outcome::Incomplete);
    story.is_untested(property);
    story.ends(99);
    story.holds_for(property);
    let verdict = Verdict::of(&story.run());
    assert_eq!((verdict.outcome, verdict.exit_code()), (Outcome::Holds, 0));
    assert!(verdict.untested.contains(&"progress after healing"));
    story.lines.push(r#"{"at_ns":1,"who":"w1","wh"#.into());
    story.is_untested(property);
    assert_eq!(Verdict::of(&story.run()).exit_code(), 2);
}

#[test]
fn a_violation_counts_even_if_the_history_breaks_off() {
    let mut story = sound();
    story.holds("w2", 1, Kind::Lock, "a", 9, (15, 30));
    let verdict = Verdict::of(&story.run());
    assert_eq!(verdict.exit_code(), 1);
    let table = verdict.table();
    assert!(table.contains("VIOLATED") && table.contains("both believed to hold a"), "{table}");
}

#[test]
fn the_end_of_a_series_says_again_what_was_violated() {
    let mut story = sound();
    story.ends(99);
    assert_eq!(Verdict::of(&story.run()).violated(), "");
    story.holds("w2", 1, Kind::Lock, "a", 9, (15, 30));
    let violated = Verdict::of(&story.run()).violated();
    assert!(violated.contains("nobody believes beside another: 1 of 2 examined"), "{violated}");
    assert!(violated.contains("both believed to hold a") && !violated.contains("a token is"), "{violated}");
}

/// What a scenario lists and a run did not bring is said, and so is what the machine could not do.
#[test]
fn what_did_not_strike_is_said() {
    let mut story = Story::new();
    story.lines[0] = story.lines[0].replace("\"by-hand\"", "\"lax-power\"");
    story.fault(10, 20, "power-beyond-promise", "n1");
    let verdict = Verdict::of(&story.run());
    assert_eq!(verdict.not_struck, ["power-all"]);
    assert!(verdict.table().contains("did not strike: power-all\n"), "{}", verdict.table());
    let (nemesis, reason) = ("power-all".into(), "not root".into());
    story.say(30, "runner", What::Untried { nemesis, reason });
    let verdict = Verdict::of(&story.run());
    assert_eq!((verdict.not_struck.len(), verdict.untried.len()), (0, 1));
    // It was to be had later.
    story.fault(40, 50, "power-all-beyond-promise", "n0,n1,n2");
    assert!(Verdict::of(&story.run()).untried.is_empty());
}

#[test]
fn a_run_in_which_nothing_happened_does_not_hold() {
    let mut story = Story::new();
    story.ends(9);
    assert_eq!(Verdict::of(&story.run()).exit_code(), 2);
}

#[test]
fn the_command_judges_a_folder() {
    let dir = std::env::temp_dir().join(format!("chaos-judge-{}", std::process::id()));
    std::fs::create_dir_all(dir.join("logs")).unwrap();
    std::fs::write(dir.join("logs/n0.log"), "ready").unwrap();
    let judge = || Command::new(env!("CARGO_BIN_EXE_chaos")).arg("judge").arg(&dir).output().unwrap();
    let missing = judge();
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("history.jsonl"));
    let mut story = sound();
    story.ends(99);
    std::fs::write(dir.join("history.jsonl"), story.lines.join("\n")).unwrap();
    let done = judge();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert!(said.contains("verdict: holds"), "{said}");
    let verdict: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("verdict.json")).unwrap()).unwrap();
    assert_eq!(verdict["outcome"], "holds");
    let page = std::fs::read_to_string(dir.join("report.html")).unwrap();
    assert!(page.contains("./logs/n0.log") && page.contains("./verdict.json"));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_run_that_was_interrupted_says_so_and_counts_only_as_a_violation() {
    let mut story = sound();
    let line = story.say(99, "runner", What::Interrupted);
    let finding = story.finding("the history is whole");
    assert_eq!(finding.why.unwrap(), format!("the runner was told to end at line {line}, before its time"));
    assert_eq!(Verdict::of(&story.run()).exit_code(), 2);
    story.lines.pop();
    story.holds("w2", 1, Kind::Lock, "a", 9, (15, 30));
    story.say(99, "runner", What::Interrupted);
    assert_eq!(Verdict::of(&story.run()).exit_code(), 1);
}

#[test]
fn a_weakness_of_nats_is_shown_and_one_of_the_library_is_a_violation() {
    let property = "a known weakness of NATS does not reach the library";
    let tried = |plain: u64, library: u64| {
        let mut story = Story::new();
        for (is_library, wrong) in [(false, plain), (true, library)] {
            let (weakness, sort) = ("guards".into(), "races".into());
            story.say(5, "runner", What::Weakness { weakness, is_library, tries: 300, wrong, sort });
        }
        story.ends(9);
        story
    };
    let shown = tried(98, 0).holds_for(property);
    assert_eq!((shown.examined, shown.shown), (300, 1));
    assert_eq!(shown.why.unwrap(), "guards: 98 of 300 races (shown); the library's way: 0 of 300");
    assert_eq!(Verdict::of(&tried(98, 0).run()).exit_code(), 0);
    let not_seen = tried(0, 0).holds_for(property);
    assert!(not_seen.shown == 0 && not_seen.why.unwrap().contains("0 of 300 races (not seen)"));
    tried(98, 1).violates(property, "The library's way, guards: 1 of 300 races.");
    // Of other runs it is not said that they did not try it.
    assert!(Verdict::of(&sound().run()).findings.iter().all(|finding| finding.property != property));
}
