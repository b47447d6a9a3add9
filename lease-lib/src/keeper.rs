//! The keeper: the task that runs one lease's [`Hold`] against the store.
//!
//! It sends one request at a time and wakes at the deadline whatever the network does, so that a loss is told by the
//! clock alone. A request that is under way when the lease is given back is dropped; its outcome counts as unknown.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::ambient::{Moment, sleep_until};
use crate::chronicler::Story;
use crate::core::{Core, locked};
use crate::lease::Held;
use crate::observe::Observation;
use crate::post::Marker;
use crate::protocol::line::{Note, Waiter};
use crate::protocol::{
    Command, End, Ended, Ending, Event, Guarded, Hold, Loss, Outcome, Payload, Record, Released, Request,
    Slot, Status,
};
use crate::store::{Ack, WriteError};

/// What a handle asks of its keeper.
#[derive(Debug)]
pub(crate) enum Order {
    /// Renew now, and tell the deadline once it is confirmed.
    Renew(oneshot::Sender<Moment>),
    /// Say this from now on, and tell once that is confirmed.
    Say(Payload, oneshot::Sender<()>),
    /// Renew with this, and tell what came of it.
    Guard(Guarded, oneshot::Sender<Outcome>),
    /// Take this for having happened.
    Take(Box<Event>),
    /// Give it back, to this waiter if one is named, and tell how that went.
    End(End, Option<Box<Waiter>>, oneshot::Sender<Released>),
}

/// What a lease's handle and its keeper share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub hold: Mutex<Hold>,
    /// Why, if the handle is dropped without a release.
    pub why: Mutex<End>,
    pub lost: watch::Sender<Option<Loss>>,
    pub deadline: watch::Sender<Moment>,
    /// Cancelled when the lease is lost or given back.
    pub over: CancellationToken,
    /// For the history.
    pub story: Story,
}

/// Runs a hold until it has ended.
pub(crate) struct Keeper {
    pub core: Arc<Core>,
    pub shared: Arc<Shared>,
    pub held: Held,
    /// What befalls the space.
    pub calamity: watch::Receiver<Option<Loss>>,
    pub orders: mpsc::Receiver<Order>,
}

/// How many guarded writes of one lease, and how many changes of its value, wait for their turn.
pub(crate) const MOST_GUARDS: usize = 64;

/// What the observer has been told of the lease.
struct Tale {
    name: Arc<str>,
    since: Moment,
    /// The deadline that it knows.
    until: Option<Moment>,
}

type Operation = Pin<Box<dyn Future<Output = Event> + Send>>;

impl Keeper {
    pub(crate) async fn run(mut self) {
        let core = Arc::clone(&self.core);
        let held_since = core.now();
        let mut tale = Tale { name: Arc::from(self.held.name.as_str()), since: held_since, until: None };
        core.observe(Observation::Held { kind: self.held.kind, change: 1 });
        let mut broken = core.post.hold(&self.held.key);
        let mut operation: Option<Operation> = None;
        let mut renewing: Vec<oneshot::Sender<Moment>> = Vec::new();
        let mut guards: VecDeque<(Guarded, oneshot::Sender<Outcome>)> = VecDeque::new();
        let mut guarding: Option<oneshot::Sender<Outcome>> = None;
        let mut saying: Vec<(u64, oneshot::Sender<()>)> = Vec::new();
        let mut ending: Option<oneshot::Sender<Released>> = None;
        let mut handle_lives = true;
        let mut open = true;
        let released = loop {
            let now = core.now();
            let (command, deadline) = {
                let mut hold = locked(&self.shared.hold);
                // Whatever is under way goes on; this goes with the renewal after it.
                if guarding.is_none()
                    && let Some((what, told)) = guards.pop_front()
                {
                    hold.take(now, Event::Guard(what));
                    guarding = Some(told);
                }
                (if operation.is_none() { hold.next(now) } else { Command::Rest }, hold.deadline())
            };
            match &command {
                Command::Send(request) => operation = Some(self.send(request.clone())),
                Command::Look(revision) => operation = Some(self.look(*revision)),
                Command::Done(released) => break released.clone(),
                Command::Wait(_) | Command::Rest => {}
            }
            self.publish(now, &mut renewing, &mut tale, &mut open);
            let said = locked(&self.shared.hold).said().1;
            for (_, told) in saying.extract_if(.., |(change, _)| *change <= said) {
                // The asker may have gone.
                let _ = told.send(());
            }
            if !open {
                saying.clear();
            }
            let outcome = locked(&self.shared.hold).guarded().1;
            if let Some(outcome) = outcome
                && let Some(told) = guarding.take()
            {
                // The asker may have gone.
                let _ = told.send(outcome);
                if !guards.is_empty() && operation.is_none() {
                    continue;
                }
            }
            let wake = match command {
                Command::Wait(at) => Some(at),
                _ => None,
            };
            let wake = if open { Some(wake.map_or(deadline, |at| at.min(deadline))) } else { wake };
            let event = tokio::select! {
                biased;
                order = self.orders.recv(), if handle_lives => match order {
                    Some(Order::Renew(told)) => {
                        renewing.push(told);
                        Some(Event::Renew)
                    }
                    Some(Order::Guard(what, told)) => {
                        // Beyond that the asker learns that it was not taken: nobody answers.
                        if guards.len() < MOST_GUARDS {
                            guards.push_back((what, told));
                        }
                        None
                    }
                    Some(Order::Say(..)) if saying.len() >= MOST_GUARDS => None,
                    Some(Order::Say(value, told)) => {
                        saying.push((locked(&self.shared.hold).said().0 + 1, told));
                        Some(Event::Say(value))
                    }
                    Some(Order::Take(event)) => Some(*event),
                    Some(Order::End(why, to, told)) => {
                        ending = Some(told);
                        Some(self.end(why, to.map(|to| *to)))
                    }
                    None => {
                        handle_lives = false;
                        let why = *locked(&self.shared.why);
                        ending.is_none().then(|| self.end(why, None))
                    }
                },
                // A sender that is gone cannot announce anything; the core outlives every keeper.
                Ok(()) = self.calamity.changed() => self.calamity.borrow_and_update().clone().map(Event::Lose),
                // Somebody marked the record: a renewal finds out, and a forged note costs one renewal.
                Some(()) = broken.recv(), if open => Some(Event::Renew),
                event = async {
                    match operation.as_mut() {
                        Some(operation) => operation.await,
                        None => std::future::pending().await,
                    }
                } => {
                    operation = None;
                    Some(event)
                }
                () = async {
                    match wake {
                        Some(at) => sleep_until(core.ambient.as_ref(), at).await,
                        None => std::future::pending().await,
                    }
                } => None,
            };
            if let Some(event) = event {
                if matches!(event, Event::End(_)) {
                    operation = None;
                }
                locked(&self.shared.hold).take(core.now(), event);
            }
        };
        // Ended while it was under way, so that nothing else is known of it.
        if let Some(told) = guarding.take() {
            // The asker may have gone.
            let _ = told.send(locked(&self.shared.hold).guarded().1.unwrap_or(Outcome::Unknown));
        }
        self.publish(core.now(), &mut renewing, &mut tale, &mut open);
        core.observe(Observation::Held { kind: self.held.kind, change: -1 });
        core.observe(Observation::Ended { kind: self.held.kind, held: core.now().since(held_since) });
        drop(broken);
        core.post.unhold(&self.held.key);
        // Before anybody hears that it has ended: what they then hold and end comes later in the history.
        self.shared.story.closed(&core, &self.shared.hold, *locked(&self.shared.why), &released);
        self.after(&released).await;
        if let Some(told) = ending {
            // Nobody may be listening any more.
            let _ = told.send(released);
        }
    }

    /// Tells the handle and the observer what changed.
    fn publish(
        &self,
        now: Moment,
        renewing: &mut Vec<oneshot::Sender<Moment>>,
        tale: &mut Tale,
        open: &mut bool,
    ) {
        let (status, deadline) = {
            let hold = locked(&self.shared.hold);
            (hold.status(now), hold.deadline())
        };
        let later = self.shared.deadline.send_if_modified(|known| {
            let later = deadline > *known;
            *known = deadline;
            later
        });
        if later {
            for told in renewing.drain(..) {
                // The asker may have gone.
                let _ = told.send(deadline);
            }
        }
        let ended = match status {
            Status::Held | Status::Jeopardy => {
                if tale.until.replace(deadline) != Some(deadline) {
                    self.lasts(tale, deadline);
                }
                return;
            }
            Status::Lost(loss) => Some(loss),
            Status::Released => None,
        };
        if std::mem::replace(open, false) {
            self.shared.story.over(&self.core, &self.shared.hold, now);
            let token = locked(&self.shared.hold).token();
            self.core.observe(Observation::Over { token });
            if let Some(loss) = ended {
                tracing::warn!(key = self.held.key, reason = loss.code(), "lease lost");
                self.core.observe(Observation::Lost { reason: loss.code() });
                self.shared.lost.send_replace(Some(loss));
            }
            self.shared.over.cancel();
        }
        renewing.clear();
    }

    fn lasts(&self, tale: &Tale, until: Moment) {
        let (token, is_kept, ttl_ms) = {
            let hold = locked(&self.shared.hold);
            (hold.token(), hold.auto, hold.record().ttl_ms)
        };
        self.core.observe(Observation::Lasts {
            token,
            kind: self.held.kind,
            name: Arc::clone(&tale.name),
            since: tale.since,
            ttl: Duration::from_millis(ttl_ms),
            until,
            is_kept,
        });
    }

    fn send(&self, request: Request) -> Operation {
        let core = Arc::clone(&self.core);
        Box::pin(async move {
            let sent = core.now();
            let answer = core.send(&request).await;
            let outcome = match &answer {
                Ok(Ack { .. }) => "ok",
                Err(WriteError::Conflict { .. }) => "conflict",
                Err(WriteError::Refused(why)) => {
                    tracing::warn!(key = request.key(), why, "the store refuses a renewal or release");
                    "refused"
                }
                Err(_) => "unknown",
            };
            core.observe(Observation::Renewed { outcome, took: core.now().since(sent) });
            Event::Answered(answer)
        })
    }

    fn look(&self, revision: u64) -> Operation {
        let core = Arc::clone(&self.core);
        Box::pin(async move {
            // Not found, or unreadable: the hold asks again by another CAS.
            let found = core.asked("read-revision", core.store.read_revision(revision)).await;
            let entry = found.ok().flatten();
            Event::Found(entry.map(|entry| Slot::of(Some(&entry))))
        })
    }

    /// Gives it back: kept free for whoever is known to come next, else deleted.
    fn end(&self, why: End, to: Option<Waiter>) -> Event {
        let now = self.core.now();
        let attempt = locked(&self.shared.hold).record().attempt.clone();
        let known = || self.core.post.take_next(&self.held.line, &attempt, now);
        let next = to.or_else(|| self.held.keeps_next.then(known).flatten());
        let at = self.core.timestamp();
        Event::End(Ending { why, at, reserve_for: next.map(|waiter| waiter.reservation()) })
    }

    /// Tells the next in line that the record is kept free for it.
    async fn after(&self, released: &Released) {
        let ended_as = locked(&self.shared.hold).ended_as().cloned();
        match ended_as {
            Some(Ended { revision, reserved: Some(reserved), .. }) if !reserved.attempt.is_empty() => {
                let Record { attempt, previous, holder: process, .. } = reserved;
                let (line, key) = (self.held.line.clone(), self.held.key.clone());
                let note = Note::Handed { line, key, attempt, revision, previous };
                self.core.tell(&process, note).await;
            }
            // Only what is one record can be taken again without a look.
            Some(Ended { revision, previous, reserved: None })
                if *released == Released::Clean && self.held.key == self.held.line =>
            {
                self.core.post.freed(&self.held.key, Marker { revision, previous });
            }
            _ => {}
        }
    }
}
