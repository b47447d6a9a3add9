//! While the command runs: signals go to it, news of the lease come from its keeper, and the clock decides.

use std::time::Duration;

use lease::{Ambient, Moment, System, sleep_until};
use rustix::process::{Signal, getpid, kill_current_process_group, kill_process};

use super::args::OnLost;
use super::exit::Exit;
use super::group::Group;
use super::hold::{Hold, News};
use super::notice::{Act, Notice};
use super::say::say;
use super::signals::Signals;
use super::terminal::{Terminal, is_job};

/// How often to look for processes that others must bury: the end of our own children is told by a signal.
const LOOK: Duration = Duration::from_millis(250);
/// How long to wait for killed processes once the lease is lost. What does not end by then (a dead disk, a user that we may not
/// signal) is beyond us; while the lease is held, it is held for them.
const BURIAL: Duration = Duration::from_secs(5);
/// How long to look for news that are there already, before the clock alone decides.
const LAST_LOOK: Duration = Duration::from_millis(100);

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The command's exit code, or 79 if the lease was lost.
    pub exit: Exit,
    /// Whether the lease was lost, or about to be.
    pub lost: bool,
    /// Whether nothing of the command is left.
    pub is_gone: bool,
}

impl Outcome {
    /// The command was not started; the lease is held.
    pub(super) fn not_started(exit: Exit) -> Outcome {
        Outcome { exit, lost: false, is_gone: true }
    }
}

/// A command at work under a lease.
#[derive(Debug)]
pub(super) struct Work<'a> {
    /// The lock's name, or those of several.
    pub name: &'a str,
    /// The lease.
    pub hold: &'a mut Hold,
    /// When to stop the command.
    pub notice: Notice,
    /// What to do if the lease is lost.
    pub on_lost: OnLost,
    /// The command.
    pub group: Group,
    /// The terminal, if there is one.
    pub terminal: Option<Terminal>,
    /// Signals that reach this process.
    pub signals: &'a mut Signals,
}

impl Work<'_> {
    /// Stays with the command until its whole group has gone.
    pub(super) async fn finish(mut self) -> Outcome {
        let (mut killed, mut told): (Option<Moment>, bool) = (None, false);
        loop {
            if let Some(signal) = self.group.reap() {
                self.stopped(signal);
            }
            if self.group.is_gone() {
                if self.notice.is_over(System.now()) {
                    self.last_look().await;
                }
                break;
            }
            if self.notice.wake().is_some_and(|wake| wake <= System.now()) {
                self.last_look().await;
            }
            while let Some(act) = self.notice.due(System.now()) {
                self.act(act);
                if act == Act::Kill {
                    killed = Some(System.now());
                }
            }
            if killed.is_some_and(|at| System.now().since(at) > BURIAL) {
                if !std::mem::replace(&mut told, true) {
                    let group = self.group.id().as_raw_nonzero();
                    say(format_args!("process group {group} does not end, though it was killed"));
                }
                if self.hold.is_over() {
                    break;
                }
            }
            let look = (self.group.ended().is_some() || killed.is_some()).then(|| System.now() + LOOK);
            let wake = [self.notice.wake(), look].into_iter().flatten().min();
            tokio::select! {
                biased;
                news = self.hold.news() => self.heard(news),
                signal = self.signals.next() => self.attend(signal),
                () = async {
                    match wake {
                        Some(at) => sleep_until(&System, at).await,
                        None => std::future::pending().await,
                    }
                } => {}
            }
        }
        let (lost, is_gone) = (self.notice.is_over(System.now()), self.group.is_gone());
        match self.group.ended() {
            Some(exit) if self.on_lost == OnLost::Ignore || !lost => Outcome { exit, lost, is_gone },
            _ => Outcome { exit: Exit::LOST, lost, is_gone },
        }
    }

    /// A process that was stopped (SIGSTOP, suspend) may find news in the socket that say that all is well: the
    /// keeper went on without us. The clock is compared with the newest of them.
    async fn last_look(&mut self) {
        let until = System.now() + LAST_LOOK;
        while let Ok(news) = tokio::time::timeout(LAST_LOOK / 10, self.hold.news()).await {
            self.heard(news);
            let now = System.now();
            if now >= until || self.notice.wake().is_none_or(|wake| wake > now) {
                return;
            }
        }
    }

    fn heard(&mut self, news: News) {
        match news {
            News::Alive(deadline) => self.notice.alive(deadline),
            News::Lost(why) => {
                say(format_args!("the lease of {} is lost: {why}", self.name));
                self.notice.lost();
            }
            News::Silence(why) => {
                let left = System.now().until(self.notice.deadline());
                say(format_args!(
                    "{why}: no renewals any more; the lease of {} is good for another {:.1}s",
                    self.name,
                    left.as_secs_f64()
                ));
            }
        }
    }

    fn act(&mut self, act: Act) {
        let left = System.now().until(self.notice.deadline()).as_secs_f64();
        match act {
            Act::Term => {
                say(format_args!(
                    "sending SIGTERM to the command: the lease of {} ends in {left:.1}s",
                    self.name
                ));
                self.group.signal(Signal::TERM);
                // A stopped process would not hear of it.
                self.group.signal(Signal::CONT);
            }
            Act::Kill => {
                say(format_args!(
                    "sending SIGKILL to the command: the lease of {} ends in {left:.1}s",
                    self.name
                ));
                self.group.signal(Signal::KILL);
            }
            Act::Tell => say(format_args!("the command goes on without {} (--on-lost ignore)", self.name)),
        }
    }

    fn attend(&mut self, signal: Signal) {
        match signal {
            // `reap` follows in any case.
            Signal::CHILD => {}
            Signal::CONT => {
                if let Some(terminal) = &mut self.terminal
                    && Terminal::is_wanted()
                {
                    terminal.lend(self.group.id());
                }
                self.group.signal(Signal::CONT);
            }
            Signal::TSTP => {
                self.group.signal(Signal::TSTP);
                if is_job() {
                    // Our listener has kept the signal from stopping us.
                    let _ = kill_process(getpid(), Signal::STOP);
                }
            }
            other => self.group.signal(other),
        }
    }

    /// The command was stopped. If that was the terminal's doing, the shell must see its job stopped.
    fn stopped(&mut self, signal: Signal) {
        let wants_terminal = signal == Signal::TTIN || signal == Signal::TTOU;
        let lent = self.terminal.as_ref().is_some_and(Terminal::is_lent);
        if wants_terminal && self.terminal.as_mut().is_some_and(|terminal| terminal.lend(self.group.id())) {
            self.group.signal(Signal::CONT);
        } else if wants_terminal || (signal == Signal::TSTP && lent) {
            if is_job() {
                if let Some(terminal) = &mut self.terminal {
                    terminal.take_back();
                }
                // All of the job, as the terminal would. SIGCONT then finds us in `attend`.
                let _ = kill_current_process_group(Signal::STOP);
            } else if !wants_terminal {
                // Nobody would continue us, so the command is not to be stopped either.
                self.group.signal(Signal::CONT);
            }
        }
    }
}
