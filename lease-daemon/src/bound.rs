//! Leases that are bound to a process: they end when it does.
//!
//! A process is watched through a pidfd, which goes on meaning this one process whatever becomes of its number. The
//! pidfd is taken first; what is then read of the number is true of that process if it still runs afterwards.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::held::Held;
use crate::holders::Holders;
use crate::peer::Peer;
use crate::wire::{Code, Problem, Retry};

/// The most processes that are watched at a time; each takes a file descriptor.
pub const MAX_BOUND: usize = 1_000;

/// Room for the processes that this daemon watches.
#[derive(Debug)]
pub struct Bound {
    room: Arc<Semaphore>,
}

impl Default for Bound {
    fn default() -> Bound {
        Bound { room: Arc::new(Semaphore::new(MAX_BOUND)) }
    }
}

/// A process that is watched.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    pidfd: AsyncFd<OwnedFd>,
    _room: OwnedSemaphorePermit,
}

impl Bound {
    /// Begins to watch the process that `peer` calls `pid`.
    ///
    /// # Errors
    /// `invalid-pid`, `process-gone`, `process-denied` if it is another user's, `foreign-pid-namespace` if the client counts
    /// processes otherwise than this daemon, `too-many-bound`.
    pub fn to(&self, peer: &Peer, pid: u32) -> Result<Process, Problem> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| invalid(&pid))?;
        sees_our_numbers(peer)?;
        let room = Arc::clone(&self.room).try_acquire_owned().map_err(|_| {
            let detail =
                format!("leases are bound to {MAX_BOUND} processes, the most that this daemon watches");
            Problem::new(Code::TooManyBound, detail).retry(Retry::After(1000))
        })?;
        let pidfd = match pidfd_open(number, PidfdFlags::NONBLOCK) {
            Ok(pidfd) => pidfd,
            // The latter is what a thread gets that is not its process's first.
            Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => return Err(gone(pid)),
            Err(error) => return Err(unwatchable(pid, &error.into())),
        };
        let is_theirs = status(pid).is_some_and(|status| is_of(&status, peer.uid));
        if has_ended(&pidfd) {
            return Err(gone(pid));
        }
        if !is_theirs {
            let detail =
                format!("process {pid} is not one of uid {}, to which this connection belongs", peer.uid);
            return Err(Problem::new(Code::ProcessDenied, detail));
        }
        #[expect(
            deprecated,
            reason = "its successor is unsafe; what that asks for, an OwnedFd keeps: open and the same"
        )]
        let pidfd = AsyncFd::with_interest(pidfd, Interest::READABLE);
        let pidfd = pidfd.map_err(|error| unwatchable(pid, &error))?;
        Ok(Process { pid, pidfd, _room: room })
    }
}

impl Process {
    /// Waits until it has ended. Cancel-safe.
    pub async fn ended(&self) {
        loop {
            let Ok(mut ready) = self.pidfd.readable().await else { return };
            if has_ended(self.pidfd.get_ref()) {
                return;
            }
            ready.clear_ready();
        }
    }

    /// What is said to whoever would have been granted something for a process that has ended.
    pub fn gone(&self) -> Problem {
        gone(self.pid)
    }

    /// Gives `held` back as soon as the process has ended.
    pub fn keeps(self, holders: &Arc<Holders>, held: &Arc<Held>) {
        let (holders, held) = (Arc::clone(holders), Arc::clone(held));
        tokio::spawn(async move {
            tokio::select! {
                () = self.ended() => holders.client_gone(&held),
                () = held.gone() => {}
            }
        });
    }
}

/// The problem with a number that no process can have.
pub fn invalid(pid: &dyn std::fmt::Display) -> Problem {
    Problem::new(
        Code::InvalidPid,
        format!("bind_pid {pid}: name a process of yours by its number, such as a shell's $$"),
    )
}

/// Refuses a client in a pid namespace of its own: what it calls 42 is another process here, or none.
fn sees_our_numbers(peer: &Peer) -> Result<(), Problem> {
    let numbers = peer.pid.and_then(status).filter(|status| is_of(status, peer.uid));
    let numbers = numbers.and_then(|status| Some(field(&status, "NSpid:")?.split_whitespace().count()));
    if numbers == Some(1) {
        return Ok(());
    }
    let detail = "the client is in a pid namespace that the daemon does not share, so that its processes cannot be told \
                  apart here; use hold, which ends with the connection, or share the namespace";
    Err(Problem::new(Code::ForeignPidNamespace, detail))
}

fn status(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/status")).ok()
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name))
}

/// Whether `uid` is its real or effective user.
fn is_of(status: &str, uid: u32) -> bool {
    let uids = field(status, "Uid:").into_iter().flat_map(str::split_whitespace);
    uids.take(2).any(|found| found.parse() == Ok(uid))
}

fn has_ended(pidfd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    // If the kernel does not tell, nothing may rest on the process.
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).map_or(true, |ready| ready > 0)
}

fn gone(pid: u32) -> Problem {
    Problem::new(Code::ProcessGone, format!("there is no process {pid}, or it has ended"))
}

fn unwatchable(pid: u32, error: &io::Error) -> Problem {
    Problem::new(Code::Internal, format!("process {pid} cannot be watched: {error}"))
}
