//! Histories made by hand. Moments are milliseconds from the begin.

use std::collections::BTreeMap;

use chaos::checkers::operation::Mark;
use chaos::checkers::{self, Finding, Run, Status};
use chaos::history::{Answer, Freed, Kind, Line, Outcome, Phase, What};
use serde_json::{Value, json};

/// When a story begins, as a machine that has run for a while.
const BEGIN_NS: u64 = 5_000_000_000_000;
/// The first revision.
pub const FIRST: u64 = 1_795_000_000_000_000;

#[derive(Default)]
pub struct Story {
    pub lines: Vec<String>,
    revision: u64,
}

pub fn ns(ms: u64) -> u64 {
    BEGIN_NS + ms * 1_000_000
}

impl Story {
    pub fn new() -> Story {
        let mut story = Story { lines: Vec::new(), revision: FIRST };
        story.say(
            0,
            "runner",
            What::Began {
                scenario: "by-hand".into(),
                seed: 7,
                release: "2.14.5".into(),
                command: "cargo run --release -p chaos -- run by-hand --seed 7".into(),
                slack_ms: 2_000,
                wall_ns: Some(FIRST * 1_000),
            },
        );
        story
    }

    pub fn say(&mut self, ms: u64, who: &str, what: What) -> usize {
        let line = Line { at_ns: ns(ms), who: who.into(), what };
        self.lines.push(serde_json::to_string(&line).unwrap());
        self.lines.len()
    }

    pub fn starts(&mut self, ms: u64, who: &str, via: &str) {
        let (worker, via) = (who.into(), via.into());
        self.say(ms, "runner", What::Started { worker, pid: 1, via, workload: "lock".into() });
    }

    pub fn asks(&mut self, ms: u64, who: &str, op: u64, kind: Kind, names: &[&str]) -> usize {
        let names = names.iter().map(|it| (*it).to_owned()).collect();
        let limit = (kind == Kind::Semaphore).then_some(2);
        self.say(ms, who, What::Asks { op, kind, names, limit, ttl_ms: 4_000, waits: true })
    }

    pub fn granted(&mut self, ms: u64, who: &str, op: u64, name: &str, token: u64, deadline: u64) -> usize {
        let tokens = BTreeMap::from([(name.to_owned(), token)]);
        self.say(ms, who, What::Granted { op, tokens, deadline_ns: ns(deadline) })
    }

    /// Asked for at once, and given back at `to`.
    pub fn holds(&mut self, who: &str, op: u64, kind: Kind, name: &str, token: u64, (from, to): (u64, u64)) {
        self.asks(from - 1, who, op, kind, &[name]);
        self.granted(from, who, op, name, token, to + 1_000);
        self.releases(to, who, op);
    }

    pub fn refused(&mut self, ms: u64, who: &str, op: u64, outcome: Outcome) {
        self.say(ms, who, What::Refused { op, outcome, detail: String::new() });
    }

    pub fn renewed(&mut self, ms: u64, who: &str, op: u64, deadline: u64) {
        self.say(ms, who, What::Renewed { op, deadline_ns: ns(deadline) });
    }

    pub fn lost(&mut self, ms: u64, who: &str, op: u64) -> usize {
        self.say(ms, who, What::Lost { op, reason: "expired".into() })
    }

    pub fn releases(&mut self, ms: u64, who: &str, op: u64) {
        self.say(ms, who, What::Releases { op });
        self.say(ms + 1, who, What::Released { op, outcome: Freed::Clean });
    }

    /// A write that is sent at `from` and accepted at `to`.
    pub fn uses(
        &mut self,
        who: &str,
        op: u64,
        token: u64,
        value: u64,
        (from, to): (u64, u64),
        before: Option<u64>,
    ) {
        self.say(from, who, What::Uses { op, resource: "r".into(), token, value });
        self.say(to, who, What::Used { op, value, answer: Answer::Accepted, before });
    }

    pub fn fault(&mut self, from: u64, to: u64, nemesis: &str, target: &str) {
        let fault = self.lines.len() as u64;
        for (ms, phase) in [(from, Phase::Begins), (to, Phase::Ends)] {
            self.say(
                ms,
                "runner",
                What::Fault { fault, nemesis: nemesis.into(), target: target.into(), phase },
            );
        }
    }

    /// A revision, written when it was read.
    pub fn writes(&mut self, ms: u64, key: &str, ttl_secs: u64, value: Value) -> u64 {
        self.revision += 1;
        self.write(ms, self.revision, key, ttl_secs, value);
        self.revision
    }

    pub fn write(&mut self, ms: u64, revision: u64, key: &str, ttl_secs: u64, value: Value) {
        self.say(
            ms,
            "auditor",
            What::Revision {
                revision,
                key: key.into(),
                written_us: FIRST + ms * 1_000,
                is_deletion: value.get("gone").is_some(),
                ttl_secs,
                value: Some(value),
            },
        );
    }

    pub fn record(&mut self, ms: u64, key: &str, attempt: &str, token: Option<u64>) -> u64 {
        self.writes(ms, key, 6, record(attempt, token))
    }

    pub fn deletes(&mut self, ms: u64, key: &str) -> u64 {
        self.writes(ms, key, 600, json!({ "gone": true }))
    }

    pub fn ends(&mut self, ms: u64) {
        self.say(ms, "runner", What::Ended);
    }

    pub fn run(&self) -> Run {
        Run::read(self.lines.iter().map(String::as_str))
    }

    /// What is found of this property, where the story is the whole of it: what breaks off is told by
    /// [`finding_so_far`](Story::finding_so_far).
    pub fn finding(&self, property: &str) -> Finding {
        let mut run = self.run();
        if run.interrupted.is_none() && property != "the history is whole" {
            run.ended.get_or_insert(Mark { at_ns: run.span.1, line: run.lines });
        }
        Story::found(&run, property)
    }

    /// What is found of this property, where the history breaks off here.
    pub fn finding_so_far(&self, property: &str) -> Finding {
        Story::found(&self.run(), property)
    }

    fn found(run: &Run, property: &str) -> Finding {
        let found = checkers::all(run).into_iter().find(|it| it.property == property);
        found.unwrap_or_else(|| panic!("no checker for {property:?}"))
    }

    #[track_caller]
    pub fn holds_for(&self, property: &str) -> Finding {
        let finding = self.finding(property);
        assert_eq!(finding.status, Status::Holds, "{finding:#?}");
        finding
    }

    #[track_caller]
    pub fn violates(&self, property: &str, sentence: &str) -> Finding {
        let finding = self.finding(property);
        assert_eq!(finding.status, Status::Violated, "{finding:#?}");
        assert!(finding.violations.iter().any(|it| it.sentence.contains(sentence)), "{finding:#?}");
        assert!(finding.violations.iter().all(|it| !it.lines.is_empty()), "{finding:#?}");
        finding
    }

    #[track_caller]
    pub fn is_untested(&self, property: &str) {
        let finding = self.finding(property);
        assert_eq!(finding.status, Status::Untested, "{finding:#?}");
        assert!(finding.why.is_some());
    }
}

/// A record as the library writes it.
pub fn record(attempt: &str, token: Option<u64>) -> Value {
    let mut value =
        json!({ "v": 1, "holder": format!("p-{attempt}"), "owner": "o", "attempt": attempt, "ttl_ms": 4000 });
    if let Some(token) = token {
        value["token"] = json!(token);
    }
    value
}
