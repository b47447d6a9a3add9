//! What is said of a run: all findings, as a file, as a table, and as an exit code.

use serde::Serialize;

use crate::availability::Availability;
use crate::checkers::{self, Finding, Run, Status};
use crate::nemesis::BEYOND;
use crate::scenario::named;

/// The run as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Something was tested, and all that was tested held.
    Holds,
    /// A promised property was violated.
    Violated,
    /// Nothing that is promised was violated, but the store did not do what is assumed of it.
    StoreFailed,
    /// Nothing was violated, but the history is not whole or nothing was tested: the run says nothing.
    Incomplete,
}

/// All that is said of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// In one word.
    pub outcome: Outcome,
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// The servers' release.
    pub release: String,
    /// The one command that repeats the run.
    pub command: String,
    /// How many lines the history has.
    pub lines: usize,
    /// The properties that were not tested.
    pub untested: Vec<&'static str>,
    /// Nemeses that could not be had on this machine, and why.
    pub untried: Vec<(String, String)>,
    /// Nemeses of the scenario that never struck: not drawn in that time, or without a victim.
    pub not_struck: Vec<&'static str>,
    /// How often the machine woke the runner late.
    pub stalls: usize,
    /// By how many milliseconds at most.
    pub worst_stall_ms: u64,
    /// What faults cost.
    pub availability: Availability,
    /// Of every property.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Judges a run by every checker.
    pub fn of(run: &Run) -> Verdict {
        let findings = checkers::all(run);
        let began = run.began.clone().unwrap_or_default();
        let of = |status| findings.iter().filter(move |it: &&Finding| it.status == status);
        let is_whole = findings.first().is_some_and(|whole| whole.status == Status::Holds);
        let violated = of(Status::Violated).filter(|it| !it.is_assumed).count();
        let outcome = match (violated, is_whole, of(Status::Holds).filter(|it| !it.is_assumed).count()) {
            (1.., _, _) => Outcome::Violated,
            _ if of(Status::Violated).count() > 0 => Outcome::StoreFailed,
            // The first is about the history itself.
            (0, true, 2..) => Outcome::Holds,
            _ => Outcome::Incomplete,
        };
        Verdict {
            outcome,
            scenario: began.scenario,
            seed: began.seed,
            release: began.release,
            command: began.command,
            lines: run.lines,
            untested: of(Status::Untested).map(|finding| finding.property).collect(),
            untried: run.untried.iter().filter(|(word, _)| !has_struck(run, word)).cloned().collect(),
            not_struck: not_struck(run),
            stalls: run.stalls.len(),
            worst_stall_ms: run.stalls.iter().map(|(_, late)| late / 1_000_000).max().unwrap_or_default(),
            availability: Availability::of(run),
            findings,
        }
    }

    /// 0: all that was tested held. 1: violated, or the store failed. 2: the run says nothing.
    pub fn exit_code(&self) -> u8 {
        match self.outcome {
            Outcome::Holds => 0,
            Outcome::Violated | Outcome::StoreFailed => 1,
            Outcome::Incomplete => 2,
        }
    }

    /// The verdict in one word, for people.
    pub fn word(&self) -> &'static str {
        match self.outcome {
            Outcome::Holds => "holds",
            Outcome::Violated => "VIOLATED",
            Outcome::StoreFailed => "the store failed",
            Outcome::Incomplete => "incomplete",
        }
    }

    /// Whether the machine kept up, in a sentence.
    pub fn machine(&self) -> String {
        match self.stalls {
            0 => "the machine kept up: the runner was never woken late".to_owned(),
            stalls => format!(
                "the machine was busy: the runner was woken late {stalls} times, by {} ms at most",
                self.worst_stall_ms
            ),
        }
    }

    /// What was violated, and the command that repeats the run: for the end of a series, whose first tables are far above.
    /// Empty if nothing was.
    pub fn violated(&self) -> String {
        let all: String = self
            .findings
            .iter()
            .filter(|it| it.status == Status::Violated)
            .map(|it| {
                format!("    {}: {} of {} examined\n{}", it.property, it.violated, it.examined, evidence(it))
            })
            .collect();
        if all.is_empty() { all } else { format!("{all}    again: {}\n", self.command) }
    }

    /// `verdict.json`.
    ///
    /// # Errors
    /// Of serde; there are none for these types.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// What a terminal shows.
    pub fn table(&self) -> String {
        let (scenario, seed, release) = (&self.scenario, self.seed, &self.release);
        let mut text = format!("{scenario}, seed {seed}, nats-server {release}: {} lines\n\n", self.lines);
        let width = self.findings.iter().map(|it| it.property.chars().count()).max().unwrap_or_default();
        for it in &self.findings {
            let status = word(it.status);
            let mut counts = format!("{:>8} examined", it.examined);
            if it.violated > 0 {
                counts += &format!(", {} violated", it.violated);
            }
            if it.shown > 0 {
                counts += &format!(", {} shown", it.shown);
            }
            text += &format!("  {:<width$}  {status:<9} {counts}\n", it.property);
            if let Some(why) = &it.why {
                text += &format!("  {:<width$}    {why}\n", "");
            }
            text += &evidence(it);
        }
        text += &format!("\n{}", self.availability.table());
        text += &format!("{}\n", self.machine());
        text += &format!("\nverdict: {}\n", self.word());
        if !self.untested.is_empty() {
            text += &format!("untested: {}\n", self.untested.join("; "));
        }
        for (nemesis, why) in &self.untried {
            text += &format!("untried: {nemesis}: {why}\n");
        }
        if !self.not_struck.is_empty() {
            text += &format!("did not strike: {}\n", self.not_struck.join(", "));
        }
        if !self.command.is_empty() {
            text += &format!("again: {}\n", self.command);
        }
        text
    }
}

/// What the scenario could have broken, and did not, though this machine can.
fn not_struck(run: &Run) -> Vec<&'static str> {
    let scenario = run.began.as_ref().and_then(|began| named(&began.scenario));
    let words = scenario.iter().flat_map(|scenario| scenario.nemeses).map(|(_, nemesis)| nemesis.word());
    let is_untried = |word: &str| run.untried.iter().any(|(untried, _)| untried == word);
    words.filter(|word| !has_struck(run, word) && !is_untried(word)).collect()
}

fn has_struck(run: &Run, word: &str) -> bool {
    let is_it = |named: &str| named == word || named.strip_prefix(word) == Some(BEYOND);
    run.faults.iter().any(|band| is_it(&band.nemesis))
}

/// The first that violate a property, and where they stand in the history.
fn evidence(finding: &Finding) -> String {
    let mut text = String::new();
    for evidence in finding.violations.iter().take(3) {
        let lines: Vec<String> = evidence.lines.iter().map(usize::to_string).collect();
        text += &format!("      {} (lines {})\n", evidence.sentence, lines.join(", "));
    }
    text
}

/// A status for people.
pub fn word(status: Status) -> &'static str {
    match status {
        Status::Holds => "holds",
        Status::Violated => "VIOLATED",
        Status::Untested => "untested",
    }
}
