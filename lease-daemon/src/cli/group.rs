//! The command: a process group of its own, signalled and waited for as a whole.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process_group, set_child_subreaper,
    test_kill_process_group, wait,
};

use super::exit::Exit;
use super::launch;

/// A running command and all processes of its group.
#[derive(Debug)]
pub(super) struct Group {
    id: Pid,
    ended: Option<Exit>,
    gone: bool,
}

impl Group {
    /// Starts a command. With `tied` it is killed if this process is: nothing would guard its lease any more.
    ///
    /// That it is not there, or not executable, shows as its exit code, 127 or 126.
    ///
    /// # Errors
    /// If the kernel gives no process.
    pub(super) fn start(
        command: &[OsString],
        env: BTreeMap<&str, OsString>,
        tied: bool,
    ) -> io::Result<Group> {
        // Processes that lose their parent become our children then, so that we see them end. Without it (it was
        // refused) we only notice later.
        let _ = set_child_subreaper(Some(getpid()));
        let mut command: Command = launch::command(command, tied);
        // Not waited for through this handle: `reap` takes the dead as they come.
        let leader = command.envs(env).process_group(0).spawn()?;
        Ok(Group { id: Pid::from_child(&leader), ended: None, gone: false })
    }

    /// The group's id.
    pub(super) fn id(&self) -> Pid {
        self.id
    }

    /// How the command itself ended, if it has.
    pub(super) fn ended(&self) -> Option<Exit> {
        self.ended
    }

    /// Whether no process of the group is left.
    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Sends a signal to every process of the group. Not after its end: its id may be somebody else's by then.
    pub(super) fn signal(&self, signal: Signal) {
        if !self.gone {
            // Refused only if every process of the group belongs to another user by now (sudo): nothing to be done.
            let _ = kill_process_group(self.id, signal);
        }
    }

    /// Takes the dead, looks whether anybody is left, and tells if the command was stopped, by which signal.
    pub(super) fn reap(&mut self) -> Option<Signal> {
        let mut stopped = None;
        loop {
            match wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
                Ok(Some((pid, status))) if pid == self.id => match exit_of(status) {
                    Some(exit) => self.ended = Some(exit),
                    None => stopped = status.stopping_signal().and_then(Signal::from_named_raw),
                },
                // An orphan of the command's, or an interruption: on to the next.
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) | Err(_) => break,
            }
        }
        if self.ended.is_some() && !self.gone {
            self.gone = test_kill_process_group(self.id) == Err(Errno::SRCH);
        }
        stopped
    }
}

fn exit_of(status: WaitStatus) -> Option<Exit> {
    let code = status.exit_status().map(|code| Exit::code(u8::try_from(code & 0xff).unwrap_or_default()));
    code.or_else(|| status.terminating_signal().map(Exit::signal))
}
