//! Running the machine's own small programs: `ip`, `nft`, `mount`.

use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Runs a command line, its words separated by spaces, to its end. Gives what it printed.
///
/// # Errors
/// With the command and what it said, if it cannot be run or fails.
pub async fn run(line: &str) -> Result<String, String> {
    run_with(line, "").await
}

/// As [`run`], with something to read.
///
/// # Errors
/// As [`run`].
pub async fn run_with(line: &str, input: &str) -> Result<String, String> {
    let mut words = line.split(' ').filter(|word| !word.is_empty());
    let program = words.next().ok_or("an empty command")?;
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("`{line}`: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // What does not read fails by itself, and says why.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let done = child.wait_with_output().await.map_err(|error| format!("`{line}`: {error}"))?;
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    if done.status.success() {
        return Ok(out.into_owned());
    }
    Err(format!("`{line}` failed ({}): {} {}", done.status, err.trim(), out.trim()))
}
