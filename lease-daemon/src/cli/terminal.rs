//! The terminal, lent to the command's process group so that an interactive command works in it.

use std::fs::File;
use std::io;

use nix::sys::signal::{SigSet, SigmaskHow, Signal as NixSignal};
use nix::unistd::{getpgrp, getsid};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::process::Pid;
use rustix::termios::{isatty, tcgetpgrp, tcsetpgrp};

/// The controlling terminal.
#[derive(Debug)]
pub(super) struct Terminal {
    tty: File,
    own: Pid,
    lent: Option<Pid>,
}

impl Terminal {
    /// The terminal that controls this process, if there is one.
    pub(super) fn find() -> Option<Terminal> {
        let own = Pid::from_raw(getpgrp().as_raw())?;
        let tty = open("/dev/tty", OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        Some(Terminal { tty: tty.into(), own, lent: None })
    }

    /// Whether a command should get the terminal before it asks: its input comes from there, and its output does not
    /// go to a pipe, behind which a pager may need the terminal more. Whoever asks later gets it then.
    pub(super) fn is_wanted() -> bool {
        let piped =
            fstat(io::stdout()).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo);
        isatty(io::stdin()) && !piped
    }

    /// Lends the terminal to a process group, if it is ours to lend. Whether that group has it now.
    pub(super) fn lend(&mut self, group: Pid) -> bool {
        if tcgetpgrp(&self.tty).is_ok_and(|foreground| foreground == self.own) && self.put(group) {
            self.lent = Some(group);
        }
        self.is_lent()
    }

    /// Whether it is lent.
    pub(super) fn is_lent(&self) -> bool {
        self.lent.is_some()
    }

    /// Takes it back from the group it was lent to; whether it was lent. A terminal that has been given to somebody
    /// else meanwhile is left there.
    pub(super) fn take_back(&mut self) -> bool {
        let Some(group) = self.lent.take() else { return false };
        if tcgetpgrp(&self.tty).is_ok_and(|foreground| foreground == group) {
            self.put(self.own);
        }
        true
    }

    fn put(&self, group: Pid) -> bool {
        // From the background this raises SIGTTOU, which stops, unless it is blocked.
        let mut ttou = SigSet::empty();
        ttou.add(NixSignal::SIGTTOU);
        let Ok(before) = ttou.thread_swap_mask(SigmaskHow::SIG_BLOCK) else { return false };
        let done = tcsetpgrp(&self.tty, group);
        // Restoring a mask that the kernel gave cannot fail.
        let _ = before.thread_set_mask();
        done.is_ok()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.take_back();
    }
}

/// Whether a shell does job control for us, so that somebody continues us after a stop: it gives each job a process
/// group of its own, so a process in the group of its session's leader is nobody's job.
///
/// In a container both can be 0: made outside of its process namespace (rustix takes that for impossible).
pub(super) fn is_job() -> bool {
    getsid(None).is_ok_and(|session| session != getpgrp())
}
