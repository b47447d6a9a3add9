//! The configuration file, and where in it something is.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::{Config, Wrong};
use crate::failure::Failure;

/// The longest file, in bytes: nobody needs as much, and a wrong path may lead to anything.
const MAX_FILE: u64 = 1 << 20;

/// A file that was read.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    text: String,
}

impl File {
    /// Reads the file at `path`.
    pub(super) fn read(path: &Path) -> Result<File, Failure> {
        let failed = |why: &dyn std::fmt::Display| Failure::config(format!("{}: {why}", path.display()));
        let found = fs::metadata(path).map_err(|error| failed(&error))?;
        if !found.is_file() {
            return Err(failed(&"is no file"));
        }
        if found.len() > MAX_FILE {
            return Err(failed(&format!("has {} bytes; allowed are {MAX_FILE}", found.len())));
        }
        let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
        Ok(File { path: path.to_owned(), text })
    }

    /// What it says; nothing of that is checked yet.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        toml::from_str(&self.text).map_err(|error| {
            // Some messages have a second line that shows where, which the line's number says.
            let said = error.message().lines().collect::<Vec<_>>().join("; ");
            self.failure(error.span(), &said)
        })
    }

    /// The refusal of a setting that is in the file.
    pub(super) fn wrong(&self, wrong: &Wrong) -> Failure {
        self.failure(self.find(&wrong.key), &wrong.to_string())
    }

    fn failure(&self, at: Option<Range<usize>>, said: &str) -> Failure {
        let path = self.path.display();
        // Not the line itself: it may hold a secret.
        match at.and_then(|at| self.text.get(..at.start)) {
            Some(before) => {
                let line = before.matches('\n').count() + 1;
                let key = self.key_in(line);
                let key = if said.starts_with(&key) { String::new() } else { key };
                Failure::config(format!("{path}:{line}: {key}{said}"))
            }
            None => Failure::config(format!("{path}: {said}")),
        }
    }

    /// The key that a line sets, if it sets one, as `key: `.
    fn key_in(&self, line: usize) -> String {
        let key = self.text.lines().nth(line - 1).and_then(|line| line.split_once('='));
        let key = key.map(|(key, _)| key.trim()).filter(|key| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            !key.is_empty() && key.bytes().all(plain)
        });
        key.map(|key| format!("{key}: ")).unwrap_or_default()
    }

    /// Where a key is, or its nearest table; numbers count the tables of a list from 0: `policy.2.names`.
    fn find(&self, key: &str) -> Option<Range<usize>> {
        let document = DeTable::parse(&self.text).ok()?;
        let mut parts = key.split('.');
        let (name, mut value) = document.get_ref().get_key_value(parts.next()?)?;
        let mut at = name.span();
        for part in parts {
            let next = match value.get_ref() {
                DeValue::Table(table) => table.get_key_value(part).map(|(key, value)| (key.span(), value)),
                DeValue::Array(list) => part
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| list.get(index))
                    .map(|value| (value.span(), value)),
                _ => None,
            };
            match next {
                Some((span, found)) => (at, value) = (span, found),
                None => break,
            }
        }
        Some(at)
    }
}
