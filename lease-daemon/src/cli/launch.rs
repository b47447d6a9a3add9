//! The last step before the command: this program once more, in the command's process, which ties it to the life of
//! its `lease run` and then becomes the command.
//!
//! If `lease run` is killed (kill -9, out of memory), its connection closes and the lock is free at once, so the
//! command must not go on. Only the kernel can see to that, and a process must ask for it itself, between fork and
//! exec; the standard library lets nobody in there without unsafe code.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

use super::exit::Exit;
use super::say::say;

/// The first argument that calls for this step. Not for people.
const LAUNCH: &str = "__launch";
/// This very program, even if its file has been replaced meanwhile.
const SELF: &str = "/proc/self/exe";

/// How to start `command`.
pub(super) fn command(command: &[OsString], tied: bool) -> Command {
    let [program, args @ ..] = command else { return Command::new("") };
    if !Path::new(SELF).exists() {
        // No /proc here: then the command is not tied.
        let mut command = Command::new(program);
        command.args(args);
        return command;
    }
    let mut launch = Command::new(SELF);
    let parent = if tied { getpid().as_raw_nonzero().get() } else { 0 };
    launch.arg0("lease").arg(LAUNCH).arg(parent.to_string()).args(command);
    launch
}

/// Becomes the command, if `args` (all of them, with the program's own name) ask for that step.
pub(super) fn launched(args: &[OsString]) -> Option<ExitCode> {
    match args {
        [_, word, parent, program, args @ ..] if word == LAUNCH => Some(launch(parent, program, args).into()),
        _ => None,
    }
}

fn launch(parent: &OsStr, program: &OsStr, args: &[OsString]) -> Exit {
    let parent = parent.to_str().and_then(|parent| parent.parse().ok()).unwrap_or(0);
    if parent != 0 {
        // Without it (it was refused) the command runs all the same; only a kill -9 of `lease run` would not end it.
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
        // It may have been killed before we asked.
        if getppid().is_none_or(|now| now.as_raw_nonzero().get() != parent) {
            return Exit::signal(Signal::KILL.as_raw());
        }
    }
    // Returns only if it fails.
    let error = Command::new(program).args(args).exec();
    failed(program, &error)
}

/// Tells that a command could not be run, and gives the exit code that a shell would give.
pub(super) fn failed(program: &OsStr, error: &io::Error) -> Exit {
    say(format_args!("cannot run {}: {error}", program.display()));
    match error.kind() {
        io::ErrorKind::NotFound => Exit::NOT_FOUND,
        _ => Exit::NOT_EXECUTABLE,
    }
}
