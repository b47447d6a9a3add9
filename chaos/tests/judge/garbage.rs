//! Whatever the lines are, they are judged and drawn without a panic.

use chaos::checkers::Run;
use chaos::report;
use chaos::verdict::Verdict;
use proptest::prelude::*;

use super::busy::busy;

fn judge(lines: &[String]) -> Verdict {
    let run = Run::read(lines.iter().map(String::as_str));
    let verdict = Verdict::of(&run);
    assert!(report::page(&run, &verdict, &Default::default()).contains("</html>"));
    verdict
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..20_u64, Just(u64::MAX), Just(u64::MAX - 1), Just(5_000_000_000), any::<u64>()]
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("w1".to_owned()),
        Just("a".to_owned()),
        Just("lock.a".to_owned()),
        Just("line.lock.a.1".to_owned()),
        Just("read.a.b".to_owned()),
        Just("sem.a.0".to_owned()),
        Just("lock.".to_owned()),
        Just("<script>\u{0}".to_owned()),
        Just("pause".to_owned()),
        "\\PC{0,6}",
    ]
}

/// A line that can be read, whatever it means.
fn line() -> impl Strategy<Value = String> {
    let whats = [
        r#""began","scenario":W,"seed":N,"release":W,"command":W,"slack_ms":N"#,
        r#""fault","fault":M,"nemesis":W,"target":W,"phase":"begins""#,
        r#""fault","fault":M,"nemesis":W,"target":W,"phase":"ends""#,
        r#""healed""#,
        r#""ended""#,
        r#""started","worker":W,"pid":1,"via":"socket","workload":W"#,
        r#""gone","worker":W"#,
        r#""asks","op":M,"kind":K,"names":[W,W],"limit":1,"ttl_ms":N"#,
        r#""granted","op":M,"tokens":{W:N},"deadline_ns":N"#,
        r#""refused","op":M,"outcome":"held","detail":W"#,
        r#""renewed","op":M,"deadline_ns":N"#,
        r#""lost","op":M,"reason":W"#,
        r#""releases","op":M"#,
        r#""released","op":M,"outcome":"clean""#,
        r#""uses","op":M,"resource":W,"token":N,"value":M"#,
        r#""used","op":M,"value":M,"answer":"accepted","before":M"#,
        r#""reads","op":M,"resource":W"#,
        r#""saw","op":M,"resource":W,"value":M"#,
        r#""revision","revision":N,"key":W,"written_us":N,"is_deletion":false,"ttl_secs":N,"value":{"attempt":W,"holder":W,"token":N,"readers":[W]}"#,
        r#""revision","revision":N,"key":W,"written_us":N,"is_deletion":true,"ttl_secs":N"#,
        r#""gap","from":N"#,
        r#""remains","keys":{W:N}"#,
    ];
    let kinds = ["lock", "shared", "semaphore", "multi", "election", "group"];
    (
        proptest::sample::select(whats.to_vec()),
        proptest::sample::select(kinds.to_vec()),
        proptest::collection::vec(word(), 6),
        proptest::collection::vec(number(), 6),
        0..3_u64,
    )
        .prop_map(|(what, kind, words, numbers, small)| {
            let (mut words, mut numbers) = (words.into_iter().cycle(), numbers.into_iter().cycle());
            let mut json = String::new();
            let mut is_quoted = false;
            for letter in format!(r#"{{"at_ns":N,"who":"w1","what":{what}}}"#).chars() {
                is_quoted ^= letter == '"';
                match letter {
                    'W' if !is_quoted => json += &serde_json::to_string(&words.next().unwrap()).unwrap(),
                    'N' if !is_quoted => json += &numbers.next().unwrap().to_string(),
                    'M' if !is_quoted => json += &small.to_string(),
                    'K' if !is_quoted => json += &format!("\"{kind}\""),
                    letter => json.push(letter),
                }
            }
            json
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lines_without_sense(lines in proptest::collection::vec(line(), 0..60)) {
        let run = Run::read(lines.iter().map(String::as_str));
        prop_assert!(run.unreadable.is_empty(), "{:?}", run.unreadable.iter().map(|at| &lines[*at - 1]).collect::<Vec<_>>());
        judge(&lines);
    }

    #[test]
    fn no_lines_at_all(lines in proptest::collection::vec("\\PC*", 0..20)) {
        prop_assert_ne!(judge(&lines).exit_code(), 0);
    }

    #[test]
    fn a_history_that_is_cut_or_shuffled(seed in 0..3_u64, cut in 0..600_usize, swaps in proptest::collection::vec((0..600_usize, 0..600_usize), 0..30)) {
        let mut lines = busy(seed, 3, 4);
        lines.truncate(cut);
        for (one, other) in swaps {
            if one < lines.len() && other < lines.len() {
                lines.swap(one, other);
            }
        }
        judge(&lines);
    }
}
