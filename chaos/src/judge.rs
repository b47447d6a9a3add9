//! `chaos judge DIR`: reads DIR/history.jsonl, writes DIR/verdict.json and DIR/report.html.

use std::collections::BTreeMap;
use std::path::Path;

use crate::checkers::{Finding, Run};
use crate::report::{self, Beside};
use crate::verdict::Verdict;

/// The longest history that is judged: 2 GiB. A longer one is not read into memory.
const LONGEST: u64 = 2 << 30;

/// Judges the run in `dir`; what was found is in its files then.
///
/// # Errors
/// Of reading the history and of writing the files; and if it is longer than 2 GiB.
pub fn judge(dir: &Path) -> std::io::Result<Verdict> {
    let history = dir.join("history.jsonl");
    let about = |path: &Path, error: std::io::Error| {
        std::io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    };
    let size = std::fs::metadata(&history).map_err(|error| about(&history, error))?.len();
    if size > LONGEST {
        return Err(about(&history, std::io::Error::other(format!("{size} bytes, more than {LONGEST}"))));
    }
    let bytes = std::fs::read(&history).map_err(|error| about(&history, error))?;
    // The last line of a runner that was killed may be cut within a letter.
    let text = String::from_utf8_lossy(&bytes);
    let run = Run::read(text.lines());
    let verdict = Verdict::of(&run);
    let write = |name: &str, text: String| {
        let path = dir.join(name);
        std::fs::write(&path, text).map_err(|error| about(&path, error))
    };
    write("verdict.json", verdict.to_json().map_err(std::io::Error::other)?)?;
    let beside = Beside { files: files(dir), lines: quoted(&verdict, &text) };
    write("report.html", report::page(&run, &verdict, &beside))?;
    Ok(verdict)
}

/// The lines that findings point at, each cut after 600 letters.
fn quoted(verdict: &Verdict, text: &str) -> BTreeMap<usize, String> {
    let all =
        |finding: &Finding| finding.violations.iter().chain(&finding.notes).cloned().collect::<Vec<_>>();
    let wanted: std::collections::BTreeSet<usize> =
        verdict.findings.iter().flat_map(all).flat_map(|evidence| evidence.lines).collect();
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    lines
        .filter(|(number, _)| wanted.contains(number))
        .map(|(at, line)| (at, line.chars().take(600).collect()))
        .collect()
}

/// What else is in the folder, for the page to name: at most 200 names.
fn files(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for (folder, prefix) in [(dir.to_owned(), String::new()), (dir.join("logs"), "logs/".to_owned())] {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let entries = entries.filter(|entry| entry.file_type().is_ok_and(|it| it.is_file()));
        names.extend(entries.map(|entry| format!("{prefix}{}", entry.file_name().to_string_lossy())));
    }
    names.retain(|name| name != "report.html");
    names.extend((!names.iter().any(|it| it == "verdict.json")).then(|| "verdict.json".to_owned()));
    names.sort();
    names.truncate(200);
    names
}
