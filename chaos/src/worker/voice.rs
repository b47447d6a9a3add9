//! How a worker says what it asks and hears: lines on standard output.

use std::io::Write as _;

use crate::clock::now_ns;
use crate::history::{Line, What};

/// A worker's name, on every line.
#[derive(Clone, Debug)]
pub struct Voice {
    who: String,
}

impl Voice {
    /// The voice of this worker.
    pub fn new(who: &str) -> Voice {
        Voice { who: who.to_owned() }
    }

    /// Says it, as happening now. Ends the process if nobody listens any more.
    pub fn say(&self, what: What) {
        let line = Line { at_ns: now_ns(), who: self.who.clone(), what };
        let Ok(mut text) = serde_json::to_string(&line) else { return };
        text.push('\n');
        // One write for one line, so that whoever is killed leaves whole lines or the begin of one.
        if std::io::stdout().lock().write_all(text.as_bytes()).is_err() {
            std::process::exit(1);
        }
    }
}
