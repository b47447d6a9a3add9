//! Temporary folders that outlive only the tests that fail.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run;

/// A folder below the run's own; removed on drop, unless the test panics or `LEASE_TESTS_KEEP` is set.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A new, empty folder whose name begins with `prefix`.
    pub fn new(prefix: &str) -> Folder {
        let path = run::folder().join(format!("{prefix}-{}", run::next_number()));
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("cannot create {}: {error}", path.display()));
        Folder { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of `name` in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() || std::env::var_os("LEASE_TESTS_KEEP").is_some() {
            // The watchdog would remove it at the end of the run.
            let _ = fs::write(self.path.join("keep"), "");
            eprintln!("kept for a look: {}", self.path.display());
        } else {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
