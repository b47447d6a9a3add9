//! Writes the history: everybody tells it, one file has it, in the order in which it was heard.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::now_ns;
use crate::history::{Line, What};

/// Lines that wait to be written. Who tells more waits, down to the worker whose pipe is full.
const BACKLOG: usize = 4_096;

/// Takes lines. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Recorder {
    lines: mpsc::Sender<Line>,
    counts: Arc<Mutex<Counts>>,
}

/// How many of what was heard, for the line of progress.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Grants.
    pub grants: u64,
    /// Losses.
    pub losses: u64,
    /// Acquires that ended without a grant.
    pub refusals: u64,
    /// Revisions that the auditor read.
    pub revisions: u64,
    /// Times that the auditor may have missed something.
    pub gaps: u64,
    /// Workers and daemons that died by themselves.
    pub died: Vec<String>,
}

impl Recorder {
    /// Begins the file. The handle ends once every clone is gone and all is on disk.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn begin(file: &Path) -> Result<(Recorder, JoinHandle<std::io::Result<()>>), String> {
        let made = std::fs::File::create(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let (lines, mut inbox) = mpsc::channel::<Line>(BACKLOG);
        let writer = tokio::spawn(async move {
            let mut out = std::io::BufWriter::new(made);
            while let Some(line) = inbox.recv().await {
                serde_json::to_writer(&mut out, &line)?;
                out.write_all(b"\n")?;
                if inbox.is_empty() {
                    out.flush()?;
                }
            }
            out.flush()
        });
        Ok((Recorder { lines, counts: Arc::default() }, writer))
    }

    /// Writes down what the runner itself says, now.
    pub async fn say(&self, what: What) {
        self.line(Line { at_ns: now_ns(), who: "runner".into(), what }).await;
    }

    /// Writes a line down.
    pub async fn line(&self, line: Line) {
        {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            match &line.what {
                What::Granted { .. } => counts.grants += 1,
                What::Lost { .. } => counts.losses += 1,
                What::Refused { .. } => counts.refusals += 1,
                What::Revision { .. } => counts.revisions += 1,
                What::Gap { .. } => counts.gaps += 1,
                _ => {}
            }
        }
        // The writer ends early only if the disk is full; then its handle says so at the end.
        let _ = self.lines.send(line).await;
    }

    /// Waits until nobody else has anything to tell, for so long.
    pub async fn alone(&self, limit: Duration) {
        let until = Instant::now() + limit;
        while self.lines.strong_count() > 1 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Writes a line down from a thread that is not the runtime's.
    pub fn line_from_a_thread(&self, line: Line) {
        let _ = self.lines.blocking_send(line);
    }

    /// A worker or a daemon died by itself: whatever the checkers say, that is an error.
    pub fn died(&self, who: &str) {
        eprintln!("chaos: {who} has died by itself; see its log");
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).died.push(who.to_owned());
    }

    /// What was heard so far.
    pub fn counts(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
