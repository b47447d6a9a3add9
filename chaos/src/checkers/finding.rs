//! What a checker says.

use serde::Serialize;

/// How many pieces of evidence are kept of each sort; all are counted.
const KEPT: usize = 20;

/// Whether a property held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// In everything that was examined.
    Holds,
    /// At least once it did not.
    Violated,
    /// Nothing could be examined.
    Untested,
}

/// One thing that was noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The lines of `history.jsonl` that show it, counted from 1.
    pub lines: Vec<usize>,
    /// The same for people.
    pub sentence: String,
}

/// What was found of one property.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its name.
    pub property: &'static str,
    /// Where it is promised, or where the check comes from.
    pub source: &'static str,
    /// Whether it is what is assumed of the store, and no promise.
    pub is_assumed: bool,
    /// Whether it held.
    pub status: Status,
    /// Why nothing could be examined; or what was left out of the examination.
    pub why: Option<String>,
    /// How many instances were examined.
    pub examined: usize,
    /// How many of them violate it.
    pub violated: usize,
    /// The first of them.
    pub violations: Vec<Evidence>,
    /// How many others are worth to be seen, but no violations.
    pub shown: usize,
    /// The first of them.
    pub notes: Vec<Evidence>,
}

impl Finding {
    /// Nothing examined so far.
    pub fn new(property: &'static str, source: &'static str) -> Finding {
        Finding {
            property,
            source,
            is_assumed: false,
            status: Status::Untested,
            why: None,
            examined: 0,
            violated: 0,
            violations: Vec::new(),
            shown: 0,
            notes: Vec::new(),
        }
    }

    /// It is what is assumed of the store.
    #[must_use]
    pub fn assumed(self) -> Finding {
        Finding { is_assumed: true, ..self }
    }

    /// One instance more was examined.
    pub fn examine(&mut self) {
        self.examined += 1;
    }

    /// It is violated, as these lines show.
    pub fn violate(&mut self, lines: impl Into<Vec<usize>>, sentence: String) {
        self.violated += 1;
        keep(&mut self.violations, lines.into(), sentence);
    }

    /// This is to be shown, and is no violation.
    pub fn show(&mut self, lines: impl Into<Vec<usize>>, sentence: String) {
        self.shown += 1;
        keep(&mut self.notes, lines.into(), sentence);
    }

    /// All has been examined; `nothing` says why, if that was nothing.
    #[must_use]
    pub fn done(mut self, nothing: &str) -> Finding {
        self.status = match (self.violated, self.examined) {
            (1.., _) => Status::Violated,
            (0, 0) => Status::Untested,
            _ => Status::Holds,
        };
        if self.status == Status::Untested && self.why.is_none() {
            self.why = Some(nothing.to_owned());
        }
        self
    }
}

fn keep(kept: &mut Vec<Evidence>, mut lines: Vec<usize>, sentence: String) {
    if kept.len() < KEPT {
        lines.sort_unstable();
        lines.dedup();
        lines.truncate(KEPT);
        kept.push(Evidence { lines, sentence });
    }
}
