//! Waiting in line, and telling a person about it.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use lease::{Ambient, System, sleep_until};
use rustix::process::Signal;
use serde_json::Value;

use super::hold::{Hold, Line, Step};
use super::say::say;
use super::signals::Signals;
use super::source::{Refusal, Source, who};
use super::wanted::What;
use crate::wire::Holder;

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
    what: &What,
    tell: bool,
    signals: &mut Signals,
) -> Result<Hold, Ended> {
    let mut teller = Teller { source, what, ahead: None, told: None, quiet: 0, asking: None };
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
            holder = teller.answer(), if tell => teller.tell(holder.as_ref()),
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
    what: &'a What,
    ahead: Option<usize>,
    /// What was said last.
    told: Option<Option<usize>>,
    /// How many times nothing was said since.
    quiet: u32,
    asking: Option<Pin<Box<dyn Future<Output = Option<Holder>> + 'a>>>,
}

impl Teller<'_> {
    fn ask(&mut self) {
        self.quiet += 1;
        if self.asking.is_none() && (self.told != Some(self.ahead) || self.quiet >= PATIENCE) {
            let (source, path) = (self.source, self.what.path());
            // Who holds it is told if that can be learned; the wait itself does not depend on it.
            self.asking = Some(Box::pin(async move { holder(&source.get(&path?).await.ok()?) }));
        }
    }

    async fn answer(&mut self) -> Option<Holder> {
        match &mut self.asking {
            Some(asking) => asking.await,
            None => std::future::pending().await,
        }
    }

    fn tell(&mut self, holder: Option<&Holder>) {
        self.asking = None;
        self.quiet = 0;
        self.told = Some(self.ahead);
        let ahead = self.ahead.map(|ahead| format!(", {ahead} ahead in line")).unwrap_or_default();
        let holder = holder.map(|holder| format!("; held by {}", who(holder))).unwrap_or_default();
        say(format_args!("waiting for {}{ahead}{holder}", self.what.names()));
    }
}

/// The holder that an answer names: that of a lock, or the first of a semaphore's.
fn holder(seen: &Value) -> Option<Holder> {
    let named = seen.get("holder").or_else(|| seen.get("holders")?.get(0))?;
    serde_json::from_value(named.clone()).ok()
}
