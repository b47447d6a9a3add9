//! Runs of the real thing, ended before their time: what they wrote is a history, and nothing of them is left.
//!
//! Where there are no namespaces they run with a proxy on each link; that is tried here as well, whatever there is.

mod begun;

use std::time::Duration;

use begun::Begun;
use chaos::history::What;
use rustix::process::Signal;

/// What the slowest part takes, ten seconds until it is killed, and a busy machine.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

#[test]
fn nothing_is_left_of_a_run_that_is_killed() {
    // With disks: loop devices and mounts are what is most easily left behind.
    let mut run = Begun::at_work("disk");
    run.kill();
    run.has_left_nothing();
    assert!(run.judged().contains("the runner did not finish"));
}

#[test]
fn nothing_is_left_of_a_run_with_clocks_that_is_killed() {
    // What fakes the clocks keeps something for each process.
    let mut run = Begun::at_work("clock");
    run.kill();
    run.has_left_nothing();
}

#[test]
fn an_interrupt_of_the_runner_alone_ends_a_run_soon() {
    let mut run = Begun::at_work("pause");
    run.signal(Signal::INT);
    is_interrupted(&mut run);
}

#[test]
fn an_interrupt_of_the_whole_group_ends_a_run_soon() {
    // As from a terminal.
    let mut run = Begun::at_work("partition");
    run.signal_group(Signal::INT);
    is_interrupted(&mut run);
}

fn is_interrupted(run: &mut Begun) {
    assert_eq!(run.ends_within(ENDS_WITHIN), Some(130));
    run.has_left_nothing();
    let lines = run.lines();
    let last = lines.last().expect("a last line");
    assert!(matches!(last.what, What::Interrupted), "{last:?}");
    assert!(!run.said().contains("died by itself"), "{}", run.said());
    let verdict = run.judged();
    let at = format!("the runner was told to end at line {}, before its time", lines.len());
    assert!(verdict.contains(&at) && verdict.contains("verdict: incomplete"), "{verdict}");
}

#[test]
fn a_run_without_namespaces_says_what_it_could_not_try_and_ends_as_well() {
    let mut run = Begun::by_links("net");
    let reason = run.wait_for("that loss is untried", |what| match what {
        What::Untried { nemesis, reason } if nemesis == "loss" => Some(reason.clone()),
        _ => None,
    });
    assert!(reason.contains("no packets to lose"), "{reason}");
    run.signal(Signal::INT);
    is_interrupted(&mut run);
    let verdict = run.judged();
    assert!(verdict.contains("untried: namespaces: "), "{verdict}");
    assert!(verdict.contains("untried: loss: "), "{verdict}");

    let mut run = Begun::by_links("partition");
    run.kill();
    run.has_left_nothing();
}

#[test]
fn nothing_is_left_of_a_run_that_panics() {
    // Nobody reads what it says any more, and the next line of its progress is a panic.
    let mut run = Begun::at_work_for_a_reader("disk");
    run.stop_reading();
    assert_eq!(run.ends_within(ENDS_WITHIN), Some(101));
    run.has_left_nothing();
    assert!(run.judged().contains("the runner did not finish"));
}
