//! Writing the history: after the fact, in the background, and never in anybody's way.
//!
//! The keeper says what it knows when its hold has ended ([`Story`]); a few tasks per space write it down
//! ([`Chronicler`]). What cannot be written is left out.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;

use crate::ambient::{Moment, sleep_until};
use crate::core::{Core, locked};
use crate::history::Held;
use crate::observe::Observation;
use crate::protocol::{End, Hold, Loss, Released, Status};
use crate::store::WriteError;

/// How many lines wait to be written: some seconds' worth of a busy process. Beyond that the oldest is left out.
const MOST: usize = 1_024;
/// How many are written at the same time, each of another key: the store keeps the last that it was given, and these are
/// to be the last that ended.
const WRITERS: usize = 4;
/// How long a line waits for a store that does not take it: longer than a leader's failover.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_secs(1);
/// How much of a reason is kept, in bytes.
const REASON: usize = 1_024;

/// What is known of one hold while it lasts, and how it ended.
#[derive(Debug)]
pub(crate) struct Story {
    name: String,
    /// Under which key it is told: readers of a lock share one, and so do permits of a semaphore.
    key: String,
    granted: Moment,
    plot: Mutex<Plot>,
}

#[derive(Debug, Default)]
struct Plot {
    waited: Duration,
    /// For how long it was held, and when it ended.
    end: Option<(Duration, String)>,
    told: bool,
}

impl Story {
    pub(crate) fn new(name: &str, key: &str, granted: Moment) -> Story {
        Story { name: name.to_owned(), key: key.to_owned(), granted, plot: Mutex::default() }
    }

    /// How long it took from the call to the grant.
    pub(crate) fn waited(&self, waited: Duration) {
        locked(&self.plot).waited = waited;
    }

    /// The holder believes no more. A loss is told now, since its handle may live for long; a release once its outcome is
    /// known.
    pub(crate) fn over(&self, core: &Arc<Core>, hold: &Mutex<Hold>, now: Moment) {
        let (status, deadline) = {
            let hold = locked(hold);
            (hold.status(now), hold.deadline())
        };
        // Whoever was paused past the deadline notices late; its hold ended in time.
        let at = if status == Status::Lost(Loss::Expired) { deadline.min(now) } else { now };
        let ended = wall_time(core, now.since(at));
        locked(&self.plot).end.get_or_insert((at.since(self.granted), ended));
        if let Status::Lost(loss) = status {
            self.tell(core, hold, loss.code().to_owned(), reason(&loss));
        }
    }

    /// It was given back, and this came of it. Says nothing if its loss was told.
    pub(crate) fn closed(&self, core: &Arc<Core>, hold: &Mutex<Hold>, why: End, released: &Released) {
        match released {
            Released::Clean => self.tell(core, hold, word(why), None),
            Released::Lost(loss) => self.tell(core, hold, loss.code().to_owned(), reason(loss)),
            Released::Unknown => self.tell(core, hold, "unknown".into(), None),
        }
    }

    fn tell(&self, core: &Arc<Core>, hold: &Mutex<Hold>, why: String, reason: Option<String>) {
        let (waited, (held, ended)) = {
            let mut plot = locked(&self.plot);
            if std::mem::replace(&mut plot.told, true) {
                return;
            }
            (plot.waited, plot.end.clone().unwrap_or_default())
        };
        let line = {
            let hold = locked(hold);
            let record = hold.record();
            let held = Held {
                name: self.name.clone(),
                token: hold.token(),
                owner: record.owner.clone(),
                host: record.host.clone(),
                pid: record.pid,
                since: record.since.clone(),
                waited,
                held,
                ended,
                why,
                reason,
            };
            held.encode()
        };
        Chronicler::take(core, self.key.clone(), line);
    }
}

/// RFC 3339 by the wall clock, `ago` before now.
fn wall_time(core: &Core, ago: Duration) -> String {
    let now = Duration::from_micros(core.ambient.wall_micros());
    humantime::format_rfc3339_millis(UNIX_EPOCH + now.saturating_sub(ago)).to_string()
}

/// As it is written in records.
fn word(why: End) -> String {
    match serde_json::to_value(why) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "other".into(),
    }
}

fn reason(loss: &Loss) -> Option<String> {
    let Loss::Broken(reason) = loss else { return None };
    let end = (0..=REASON.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end))?;
    reason.get(..end).map(str::to_owned)
}

/// The lines that are still to be written.
#[derive(Debug, Default)]
pub(crate) struct Chronicler {
    desk: Mutex<Desk>,
}

#[derive(Debug, Default)]
struct Desk {
    lines: VecDeque<Line>,
    writers: usize,
    /// The keys whose lines are being written.
    busy: BTreeSet<String>,
    /// Whether it was said that lines are left out.
    overflowed: bool,
}

#[derive(Debug)]
struct Line {
    key: String,
    text: Bytes,
    since: Moment,
}

impl Chronicler {
    /// Puts a line down to be written soon. Writers are tasks of the space, so that closing it waits for them.
    fn take(core: &Arc<Core>, key: String, text: Bytes) {
        let line = Line { key, text, since: core.now() };
        if core.chronicler.put(line) {
            let shared = Arc::clone(core);
            core.spawn(async move {
                let mut done = None;
                while let Some(line) = shared.chronicler.next(done.take(), shared.now()) {
                    write(&shared, &line).await;
                    done = Some(line);
                }
            });
        }
    }

    /// Whether it takes another writer.
    fn put(&self, line: Line) -> bool {
        let mut desk = locked(&self.desk);
        if desk.lines.len() >= MOST {
            desk.lines.pop_front();
            if !std::mem::replace(&mut desk.overflowed, true) {
                tracing::warn!(
                    limit = MOST,
                    "holds end faster than they can be written down: history is missing some"
                );
            }
        }
        desk.lines.push_back(line);
        let more = desk.writers < WRITERS;
        desk.writers += usize::from(more);
        more
    }

    /// The next line, after this one is `done`; `None` sends the writer home. What the store did not take in time is left
    /// out, so that nobody goes on for long after an outage.
    fn next(&self, done: Option<Line>, now: Moment) -> Option<Line> {
        let mut desk = locked(&self.desk);
        if let Some(done) = done {
            desk.busy.remove(&done.key);
        }
        while desk.lines.front().is_some_and(|line| now.since(line.since) > PATIENCE) {
            desk.lines.pop_front();
            tracing::debug!("a line of the history was not written: the store was away");
        }
        // Whoever writes a line of the same key takes the others after it.
        let free = desk.lines.iter().position(|line| !desk.busy.contains(&line.key));
        let line = free.and_then(|at| desk.lines.remove(at));
        match &line {
            Some(line) => drop(desk.busy.insert(line.key.clone())),
            None => desk.writers -= 1,
        }
        line
    }
}

/// Writes a line.
///
/// Lost or late answer: written again, perhaps a second time; whoever reads takes one line for each token. Refused: left
/// out, since it would be again.
async fn write(core: &Core, line: &Line) {
    let give_up_at = line.since + PATIENCE;
    loop {
        let sent = core.now();
        let answer = core.store.chronicle(&line.key, line.text.clone()).await;
        let outcome = match &answer {
            Ok(()) => "ok",
            Err(WriteError::NotTaken) => "not-taken",
            Err(WriteError::Refused(_)) => "refused",
            Err(WriteError::Unknown(_) | WriteError::InFlight | WriteError::Conflict { .. }) => "unknown",
        };
        core.observe(Observation::Asked { op: "chronicle", outcome, took: core.now().since(sent) });
        let error = match answer {
            Ok(()) => return,
            Err(error) => error,
        };
        let again = core.now() + PAUSE;
        if matches!(error, WriteError::Refused(_)) || again > give_up_at {
            tracing::debug!(key = line.key, ?error, "a line of the history was not written");
            return;
        }
        sleep_until(core.ambient.as_ref(), again).await;
    }
}

#[cfg(test)]
#[path = "chronicler_tests.rs"]
mod tests;
