//! Where the lines of a history go: one file, in the order in which they come.

use std::collections::BTreeSet;
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
        if matches!(line.what, What::Granted { .. }) {
            self.grants.fetch_add(1, Ordering::Relaxed);
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

    /// What is broken at present, for the line of progress.
    pub fn in_force(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.in_force.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
