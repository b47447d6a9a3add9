//! A process of a run: started in a host's namespace, with what it writes in a file.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::enclosure;

/// A command that will run in the namespace of a host. Where there are none, it ends with the thread that starts it:
/// one of the runner's own, which are there until it ends.
pub fn command(host: &str, program: &Path) -> Command {
    let mut command = if enclosure::has_namespaces() {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{host}"));
        command
    } else {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        command
    };
    command.arg("--").arg(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("LEASE_") || text.starts_with("NATS_") {
            command.env_remove(&name);
        }
    }
    // A group of its own: a signal to the runner's whole group is for the runner alone.
    command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    command
}

/// A file to be written to by a process; what it holds already is kept.
///
/// # Errors
/// If it cannot be opened.
pub fn log(path: &Path) -> Result<File, String> {
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// Sends a signal to a child that has not been waited for; `false` if it is gone.
pub fn send(child: &Child, signal: Signal) -> bool {
    // Until it is waited for, nobody else gets its id.
    pid(child).is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// SIGSTOP, and waits until it stands still: from then on it can do nothing, not even finish what it was about to send.
pub async fn freeze(child: &Child) -> bool {
    let Some(id) = child.id() else { return false };
    if !send(child, Signal::STOP) {
        return false;
    }
    for _ in 0..1_000 {
        match state(id) {
            Some('T' | 'Z') | None => return true,
            Some(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
    false
}

/// SIGKILL, and waits for its end.
pub async fn kill(child: &mut Child) {
    // Gone already is as good.
    let _ = child.kill().await;
}

fn pid(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
}

/// The state letter of a process; every thread of a stopped process is stopped once its leader shows `T`, but for those
/// in the kernel, which do not come back from there.
fn state(id: u32) -> Option<char> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name in parentheses may hold anything.
    text.rsplit_once(')')?.1.trim_start().chars().next()
}
