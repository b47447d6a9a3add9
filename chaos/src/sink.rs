//! Where the lines of a history go: one file, in the order in which they come.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::clock::now_ns;
use crate::failure::Failure;
use crate::history::{Line, What};

/// The longest history that is written: 1 GiB. What comes after it is dropped, and the run is not whole.
const LONGEST: u64 = 1 << 30;

/// The file, and what is counted on the way.
#[derive(Debug)]
pub struct Sink {
    file: Mutex<(BufWriter<File>, u64)>,
    grants: AtomicU64,
    /// Which workers hold, and since when.
    holding: Mutex<BTreeMap<String, u64>>,
    in_force: Mutex<BTreeSet<String>>,
}

impl Sink {
    /// A new file.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(path: &Path) -> Result<Sink, Failure> {
        let file = File::create(path)
            .map_err(|error| Failure::internal(format!("cannot write {}: {error}", path.display())))?;
        Ok(Sink {
            file: Mutex::new((BufWriter::new(file), 0)),
            grants: AtomicU64::new(0),
            holding: Mutex::default(),
            in_force: Mutex::default(),
        })
    }

    /// Writes what the runner says, now.
    pub fn runner(&self, what: What) {
        self.write(&Line { at_ns: now_ns(), who: "runner".into(), what });
    }

    /// Writes a line.
    pub fn write(&self, line: &Line) {
        if let Ok(text) = serde_json::to_string(line) {
            self.raw(&text);
        }
    }

    /// Writes a line of a worker as it is. What is none, because its writer was killed within it, is left out.
    pub fn worker(&self, text: &str) {
        let Ok(line) = serde_json::from_str::<Line>(text) else { return };
        match line.what {
            What::Granted { .. } => {
                self.grants.fetch_add(1, Ordering::Relaxed);
                self.holding().insert(line.who, line.at_ns);
            }
            What::Lost { .. } | What::Releases { .. } | What::Asks { .. } => {
                self.holding().remove(&line.who);
            }
            _ => {}
        }
        self.raw(text);
    }

    fn raw(&self, text: &str) {
        let mut file = self.file.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        file.1 += text.len() as u64 + 1;
        if file.1 > LONGEST {
            return;
        }
        if let Err(error) = writeln!(file.0, "{text}") {
            eprintln!("chaos: the history cannot be written: {error}");
        }
    }

    /// Everything so far is in the file then.
    ///
    /// # Errors
    /// If it is not, or the history became too long.
    pub fn flush(&self) -> Result<(), Failure> {
        let mut file = self.file.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        file.0.flush()?;
        if file.1 > LONGEST {
            return Err(Failure::internal(format!("the history is longer than {LONGEST} bytes")));
        }
        Ok(())
    }

    /// How many grants workers were told of.
    pub fn grants(&self) -> u64 {
        self.grants.load(Ordering::Relaxed)
    }

    fn holding(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.holding.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The worker that has held for the longest, if for more than 200 ms: one that will go on for a while.
    pub fn holder(&self) -> Option<String> {
        let holding = self.holding();
        let (name, since) = holding.iter().min_by_key(|(_, since)| **since)?;
        (now_ns().saturating_sub(*since) > 200_000_000).then(|| name.clone())
    }

    /// What is broken at present, for the line of progress.
    pub fn in_force(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.in_force.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
