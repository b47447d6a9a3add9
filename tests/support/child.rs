//! A child process that cannot outlive its test: see [`crate::run`].

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::run;

/// A marked child process. Dropping it kills it, and everything it started that is still there.
#[derive(Debug)]
pub struct Child {
    inner: std::process::Child,
    mark: String,
}

impl Child {
    /// Starts `command` in a process group of its own, with the mark in its environment.
    pub fn spawn(command: &mut Command) -> io::Result<Child> {
        let mark = run::next_mark();
        let inner = command.env(run::MARK, &mark).process_group(0).spawn()?;
        Ok(Child { inner, mark })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.inner.id()
    }

    /// The writing end of its standard input, if that is a pipe and was not taken before.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.inner.stdin.take()
    }

    /// How it ended; `None` while it runs (or is stopped).
    pub fn exit(&mut self) -> Option<ExitStatus> {
        self.inner.try_wait().ok().flatten()
    }

    /// Waits until it has ended, at most for `limit`.
    pub async fn exit_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        loop {
            let exit = self.exit();
            if exit.is_some() || begun.elapsed() >= limit {
                return exit;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Sends a signal; nothing happens if it has ended.
    pub fn signal(&mut self, signal: Signal) {
        // Until try_wait() has seen its end the process id cannot be somebody else's.
        if self.exit().is_none() {
            let _ = kill_process(Pid::from_child(&self.inner), signal);
        }
    }

    /// SIGKILL, and waits for its end. What it started lives on until this handle is dropped.
    pub fn kill9(&mut self) {
        let _ = self.inner.kill();
        let _ = self.inner.wait();
    }

    /// SIGSTOP, and waits until every thread of it stands still.
    pub fn pause(&mut self) {
        self.signal(Signal::STOP);
        let begun = Instant::now();
        while self.exit().is_none() && !stopped(self.pid()) {
            assert!(begun.elapsed() < Duration::from_secs(10), "process {} ignores SIGSTOP", self.pid());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// SIGCONT.
    pub fn resume(&mut self) {
        self.signal(Signal::CONT);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill9();
        // Twice, for a descendant that was just being forked at the first look.
        for _ in 0..2 {
            for pid in run::marked(&self.mark) {
                if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
        }
    }
}

/// Whether all threads of a process are in the state "stopped".
fn stopped(pid: u32) -> bool {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    tasks.filter_map(Result::ok).all(|task| {
        // `pid (name) S …`, and the name may contain anything, so look behind its last bracket.
        fs::read_to_string(task.path().join("stat"))
            .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T')))
    })
}
