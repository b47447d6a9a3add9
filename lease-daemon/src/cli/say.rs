//! Messages for people, on standard error, and output, on standard output.
//!
//! Not `eprintln!` and `println!`: those panic when the reader has gone.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use super::exit::Exit;

/// One message on standard error, behind `lease:` so that it can be told from the command's own.
pub(super) fn say(text: impl Display) {
    let mut line = String::new();
    for part in text.to_string().lines().filter(|line| !line.trim().is_empty()) {
        line.push_str("lease: ");
        line.push_str(part);
        line.push('\n');
    }
    // In one write, so that messages of several processes on one terminal do not mix; nobody to tell if it fails.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Writes to standard output.
///
/// # Errors
/// With the exit code to end with. A reader that has left (`| head`) is no fault: that ends as SIGPIPE would.
pub(super) fn print(text: &str) -> Result<(), Exit> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Exit::signal(13)),
        Err(error) => {
            say(format_args!("cannot write to standard output: {error}"));
            Err(Exit::UNAVAILABLE)
        }
    }
}

/// Writes to standard output as the last thing, and gives the code to end with.
pub(super) fn show(text: &str) -> Exit {
    print(text).map_or_else(|exit| exit, |()| Exit::OK)
}

/// A whole answer as JSON for programs that people look at, too.
pub(super) fn pretty(answer: &impl Serialize) -> String {
    // Strings and numbers always encode.
    serde_json::to_string_pretty(answer).unwrap_or_default() + "\n"
}

/// `text` without what could move a terminal's cursor: owners and metadata are written by anybody.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(plain("a\x1b[2Jb\nc\u{9b}d é"), "a?[2Jb?c?d é");
    }
}
