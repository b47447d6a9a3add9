//! Waiting in line, and telling a person about it.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use lease::{Ambient, Name, System, sleep_until};
use rustix::process::Signal;

use super::say::say;
use super::signals::Signals;
use super::source::{Hold, Line, Refusal, Source, Step, who};
use crate::wire::Lock;

/// A wait that is over before this is not worth a word.
const FIRST_WORD: Duration = Duration::from_millis(300);
/// Between two words about a line that moves.
const PAUSE: Duration = Duration::from_secs(5);
/// After so many pauses without a change, the same is said again.
const PATIENCE: u32 = 12;

/// Why a wait ended without a lease.
#[derive(Debug)]
pub(super) enum Ended {
    /// There is none to be had.
    Refused(Refusal),
    /// A signal told us to go.
    Signal(Signal),
}

/// Waits for the turn. Dropped or ended by a signal, it leaves the line. With `tell` it says who is in the way.
pub(super) async fn turn(
    source: &Source,
    mut line: Line,
    name: &Name,
    tell: bool,
    signals: &mut Signals,
) -> Result<Hold, Ended> {
    let mut teller = Teller { source, name, ahead: None, told: None, quiet: 0, asking: None };
    let mut next = System.now() + FIRST_WORD;
    loop {
        tokio::select! {
            biased;
            signal = signals.next() => return Err(Ended::Signal(signal)),
            step = line.next() => match step {
                Step::Ahead(ahead) => teller.ahead = Some(ahead),
                Step::Held(hold) => return Ok(hold),
                Step::Refused(refusal) => return Err(Ended::Refused(refusal)),
            },
            lock = teller.answer(), if tell => teller.tell(&lock),
            () = sleep_until(&System, next), if tell => {
                teller.ask();
                next = System.now() + PAUSE;
            }
        }
    }
}

/// Tells who holds the lock and how many are ahead, when that has changed.
struct Teller<'a> {
    source: &'a Source,
    name: &'a Name,
    ahead: Option<usize>,
    /// What was said last.
    told: Option<Option<usize>>,
    /// How many times nothing was said since.
    quiet: u32,
    asking: Option<Pin<Box<dyn Future<Output = Option<Lock>> + 'a>>>,
}

impl Teller<'_> {
    fn ask(&mut self) {
        self.quiet += 1;
        if self.asking.is_none() && (self.told != Some(self.ahead) || self.quiet >= PATIENCE) {
            let (source, name) = (self.source, self.name);
            // Who holds it is told if that can be learned; the wait itself does not depend on it.
            self.asking = Some(Box::pin(async move { source.look(name).await.ok() }));
        }
    }

    async fn answer(&mut self) -> Option<Lock> {
        match &mut self.asking {
            Some(asking) => asking.await,
            None => std::future::pending().await,
        }
    }

    fn tell(&mut self, lock: &Option<Lock>) {
        self.asking = None;
        self.quiet = 0;
        self.told = Some(self.ahead);
        let ahead = self.ahead.map(|ahead| format!(", {ahead} ahead in line")).unwrap_or_default();
        let holder = lock.as_ref().and_then(|lock| lock.holder.as_ref());
        let holder = holder.map(|holder| format!("; held by {}", who(holder))).unwrap_or_default();
        say(format_args!("waiting for {}{ahead}{holder}", self.name));
    }
}
