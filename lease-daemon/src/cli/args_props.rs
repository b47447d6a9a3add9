//! Command lines.

use std::time::Duration;

use clap::Parser;
use proptest::collection::vec;
use proptest::prelude::*;

use super::args::{Cli, How, Verb};
use super::durations::{kill_after, ttl, wait};
use super::fuzzing;

fn run(words: &[&str]) -> Result<How, String> {
    let words = ["lease", "run"].iter().chain(words).copied();
    match Cli::try_parse_from(words).map_err(|error| error.to_string())?.verb {
        Verb::Run(run) => Ok(run.how),
        _ => Err("another verb".into()),
    }
}

/// Numbers with and without units, sensible and not.
fn duration() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{1,3}(ms|s|m|h)?",
        "[0-9]{0,15}\\.?[0-9]{0,9}",
        "[1-9][0-9]{8,20}(ns|us|ms|s|m|h|d|w|month|y)",
        "-?(nan|NaN|inf|infinity|1e[0-9]{1,3}|[0-9]{1,3})(s|y)?",
    ]
}

proptest! {
    #[test]
    fn a_bare_number_is_seconds(seconds in 2..86_400_u64, millis in 0..1_000_u64, width in 1..4_usize) {
        prop_assert_eq!(ttl(&seconds.to_string()), Ok(Duration::from_secs(seconds)));
        prop_assert_eq!(ttl(&format!("{seconds}s")), Ok(Duration::from_secs(seconds)));
        let shown = format!("{seconds}.{:0width$}", millis % 10_u64.pow(u32::try_from(width).unwrap()));
        let exact = ttl(&format!("{shown}s")).unwrap();
        let read = ttl(&shown).unwrap();
        prop_assert!(exact.abs_diff(read) < Duration::from_micros(1), "{} is {:?}", shown, read);
    }

    #[test]
    fn what_is_accepted_is_within_the_bounds(text in duration()) {
        if let Ok(ttl) = ttl(&text) {
            prop_assert!(Duration::from_secs(2) <= ttl && ttl <= Duration::from_secs(86_400), "{} is {:?}", text, ttl);
        }
        if let Ok(wait) = wait(&text) {
            prop_assert!(wait <= Duration::from_secs(30 * 86_400), "{} is {:?}", text, wait);
        }
        let sensible = text.contains(|c: char| c.is_ascii_digit()) && !text.starts_with('-') && !text.contains('e');
        prop_assert!(kill_after(&text).is_err() || sensible || text.contains("month"), "{}", text);
    }

    /// Whatever the durations are, the answer is a run or a complaint that names the option and its value.
    #[test]
    fn no_duration_panics_and_a_bad_one_is_named(
        option in prop::sample::select(vec!["--ttl", "--kill-after", "-w"]),
        text in duration(),
        on_lost in prop::sample::select(vec!["term", "kill", "ignore"]),
    ) {
        match run(&["--on-lost", on_lost, option, &text, "a", "--", "true"]) {
            Ok(run) => {
                let kills = option == "--kill-after" || on_lost == "term";
                let enough = run.ttl.checked_sub(run.kill_after()).is_some_and(|left| left >= run.ttl / 5 + Duration::from_secs(2));
                let checked = run.check();
                prop_assert_eq!(checked.is_ok(), !kills || enough, "{:?}", checked);
            }
            Err(why) => prop_assert!(why.contains(option.trim_start_matches('-')) && why.contains(&text), "{}", why),
        }
    }

    #[test]
    fn metadata_is_split_at_the_first_sign(key in "[^=\u{0}]{0,9}", value in "[^\u{0}]{0,9}") {
        let pair = format!("--meta={key}={value}");
        match run(&[&pair, "a", "--", "true"]) {
            Ok(run) => prop_assert_eq!(run.metadata, [(key, value)]),
            Err(why) => prop_assert!(key.is_empty() && why.contains("KEY=VALUE"), "{}", why),
        }
    }

    #[test]
    fn the_command_is_what_stands_behind_the_dashes(command in vec("[^\u{0}]{0,6}", 1..5)) {
        let mut words = vec!["a", "--"];
        words.extend(command.iter().map(String::as_str));
        prop_assert_eq!(run(&words).unwrap().command, command.iter().map(std::ffi::OsString::from).collect::<Vec<_>>());
    }

    #[test]
    fn whatever_is_written_is_within_the_bounds(
        words in vec(
            prop_oneof!["run|ls|show|--|-n|-w|--ttl|--kill-after|--on-lost|--meta|a|k=v|term|kill|true", duration(), any::<String>()],
            0..9,
        ),
    ) {
        fuzzing::arguments(words.join("\n").as_bytes());
        fuzzing::arguments(format!("run\n{}\na\n--\ntrue", words.join("\n")).as_bytes());
    }
}
