//! Signals that reach this process.

use std::fs;
use std::future::poll_fn;
use std::io;
use std::task::Poll;

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

/// While waiting for the lock: these end the wait, as they would end the process if nobody listened.
const DEADLY: &[Signal] = &[Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM, Signal::USR1, Signal::USR2];
/// While the command runs: these concern it too. (SIGKILL and SIGSTOP cannot be listened for.)
const ATTENDED: &[Signal] = &[Signal::CHILD, Signal::CONT, Signal::TSTP, Signal::WINCH];

/// Listens for signals. A signal that was ignored when this process started (`nohup`, a shell's `&`) stays ignored,
/// here and in the command.
#[derive(Debug)]
pub(super) struct Signals {
    listeners: Vec<(Signal, unix::Signal)>,
    ignored: u64,
}

impl Signals {
    /// Begins to listen for those that end a wait.
    ///
    /// # Errors
    /// If the kernel refuses, which it does not.
    pub(super) fn listen() -> io::Result<Signals> {
        let mut signals = Signals { listeners: Vec::new(), ignored: ignored() };
        signals.add(DEADLY)?;
        Ok(signals)
    }

    /// Begins to listen for those that matter while a command runs. Not earlier: who waits can be stopped as usual.
    ///
    /// # Errors
    /// If the kernel refuses, which it does not.
    pub(super) fn attend(&mut self) -> io::Result<()> {
        self.add(ATTENDED)
    }

    fn add(&mut self, signals: &[Signal]) -> io::Result<()> {
        for signal in signals {
            let number = signal.as_raw();
            // Nobody ignores SIGCHLD on purpose who wants to know how a command ended.
            if self.ignored & (1 << (number - 1)) == 0 || *signal == Signal::CHILD {
                self.listeners.push((*signal, unix::signal(SignalKind::from_raw(number))?));
            }
        }
        Ok(())
    }

    /// Waits for the next signal. Cancel-safe.
    pub(super) async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (signal, listener) in &mut self.listeners {
                if listener.poll_recv(context).is_ready() {
                    return Poll::Ready(*signal);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// The set of ignored signals, bit n - 1 for signal n. The kernel's own table: asking sigaction(2) needs unsafe code.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_is_understood() {
        // The standard library ignores SIGPIPE (13) at start.
        assert_ne!(super::ignored() & (1 << 12), 0);
    }
}
