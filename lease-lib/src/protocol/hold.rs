//! Keeping a grant: renewals, jeopardy, loss in time, and giving it back.

use std::time::Duration;

use super::cas::{Cas, Step};
use super::command::{Command, Event};
use super::ending::{self, Ended, Ending, Released, was_applied, was_forestalled};
use super::gate::Gate;
use super::guarded::{Extra, Outcome};
use super::loss::{Loss, Status};
use super::record::{Previous, Record, Slot};
use super::times::Times;
use crate::ambient::Moment;
use crate::store::{Body, Revision, Write};
use crate::token::Token;

/// A grant that is held, or was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hold {
    key: String,
    record: Record,
    times: Times,
    token: Token,
    /// The revision that the next CAS must name: the newest one known to be ours.
    revision: Revision,
    /// Before the first send of the newest write that is known to have stood: all belief counts from here.
    sent: Moment,
    /// Before the newest send of any renewal: the record must have expired at this + T + slack.
    last_sent: Moment,
    /// `false` if the caller renews.
    pub(crate) auto: bool,
    serial: u64,
    jeopardy: bool,
    loss: Option<Loss>,
    work: Option<Work>,
    pause_until: Moment,
    ended: Option<Released>,
    ended_as: Option<Ended>,
    /// How often what the record says was changed, and up to which change a confirmed write has carried it.
    changes: u64,
    said: u64,
    /// What goes with the next renewal; how many of them there were; what came of the last one.
    extra: Option<Extra>,
    extras: u64,
    outcome: Option<Outcome>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Work {
    cas: Cas,
    gate: Gate,
    /// Whether it carries what is to go with a renewal.
    carries: bool,
    /// Which change of what the record says it carries.
    says: u64,
    sent: Moment,
    /// A revision to look at before anything is sent, and whether only for the reason of a definite loss.
    look: Option<(Revision, bool)>,
    ending: Option<Ending>,
}

impl Hold {
    pub(super) fn new(
        key: String,
        record: Record,
        times: Times,
        token: Token,
        revision: Revision,
        sent: Moment,
    ) -> Hold {
        let record = Record { token: Some(token), ..record };
        Hold {
            key,
            record,
            times,
            token,
            revision,
            sent,
            last_sent: sent,
            auto: true,
            serial: 0,
            jeopardy: false,
            loss: None,
            work: None,
            pause_until: sent,
            ended: None,
            ended_as: None,
            changes: 0,
            said: 0,
            extra: None,
            extras: 0,
            outcome: None,
        }
    }

    /// Whether it renews by itself from now on, or leaves that to the caller.
    pub fn renews_itself(&mut self, by_itself: bool) {
        self.auto = by_itself;
    }

    /// The fencing token.
    pub fn token(&self) -> Token {
        self.token
    }

    /// The record's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The record as the next renewal will write it.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The revision that is known to be ours.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// How often what the record says was changed, and up to which change that was confirmed while it was held.
    pub fn said(&self) -> (u64, u64) {
        (self.changes, self.said)
    }

    /// How many guarded writes and looks were asked for, and what came of the last, once that is known.
    pub fn guarded(&self) -> (u64, Option<Outcome>) {
        (self.extras, self.outcome)
    }

    /// What the ending left in the store, if the store's first answer named it.
    pub fn ended_as(&self) -> Option<&Ended> {
        self.ended_as.as_ref()
    }

    /// The moment from which on the holder must not believe, unless a renewal is confirmed before.
    pub fn deadline(&self) -> Moment {
        self.times.deadline(self.sent)
    }

    /// Where the lease stands at this very moment.
    pub fn status(&self, now: Moment) -> Status {
        match &self.loss {
            Some(loss) => Status::Lost(loss.clone()),
            None if self.is_ending() => Status::Released,
            None if now >= self.deadline() => Status::Lost(Loss::Expired),
            None if self.jeopardy => Status::Jeopardy,
            None => Status::Held,
        }
    }

    /// What to do now. Asking twice in a row gives the same answer.
    pub fn next(&mut self, now: Moment) -> Command {
        if let Some(released) = &self.ended {
            return Command::Done(released.clone());
        }
        if !self.is_ending() {
            if self.loss.is_none() && now >= self.deadline() {
                self.lose(Loss::Expired);
            }
            if self.loss.is_some() {
                return Command::Rest;
            }
            if self.work.is_none() && self.auto && now >= self.renewal_due() {
                self.start(now, None);
            }
        } else if now >= self.gone_by() {
            self.finish(Released::Unknown);
            return self.next(now);
        }
        let Some(work) = &self.work else {
            return Command::Wait(if self.auto { self.renewal_due() } else { self.deadline() });
        };
        if now < self.pause_until {
            let wake = if work.ending.is_some() { self.gone_by() } else { self.deadline() };
            return Command::Wait(self.pause_until.min(wake));
        }
        match work.look {
            Some((revision, _)) => Command::Look(revision),
            None => {
                if work.ending.is_none() {
                    self.last_sent = now;
                }
                if let Some(extra) = self.extra.as_mut().filter(|_| work.carries) {
                    extra.flying = true;
                }
                Command::Send(work.gate.request(work.cas.write()))
            }
        }
    }

    /// Takes what happened.
    pub fn take(&mut self, now: Moment, event: Event) {
        match event {
            Event::End(ending) => self.end(now, ending),
            Event::Lose(loss) => {
                if !self.is_ending() && self.loss.is_none() {
                    self.lose(loss);
                } else if self.ended.is_none() && loss == Loss::BucketReplaced {
                    self.finish(Released::Lost(loss));
                }
            }
            // Nothing that is under way can hit what stands there now: its compare-and-set names an older revision.
            Event::Supersede => {
                self.work = None;
                self.ended = Some(Released::Clean);
            }
            Event::Say(value) => {
                if self.loss.is_none() && !self.is_ending() && now < self.deadline() {
                    self.record.value = Some(value);
                    self.changes += 1;
                    if self.work.is_none() {
                        self.start(now, None);
                    }
                }
            }
            Event::Renew => {
                if self.work.is_none() && self.loss.is_none() && now < self.deadline() {
                    self.start(now, None);
                }
            }
            Event::Guard(what) => {
                self.extras += 1;
                self.outcome = None;
                if self.loss.is_some() || self.is_ending() || now >= self.deadline() {
                    self.outcome = Some(Outcome::Not);
                    return;
                }
                self.extra = Some(Extra { number: self.extras, what, open: false, flying: false });
                if self.work.is_none() {
                    self.start(now, None);
                }
            }
            Event::Answered(answer) => {
                if let Some(work) = &mut self.work {
                    let step = work.cas.answered(answer);
                    if let Some(extra) = self.extra.as_mut().filter(|_| work.carries) {
                        extra.flying = false;
                        extra.open |= work.cas.is_open();
                    }
                    self.follow(now, step);
                }
            }
            Event::Found(slot) => {
                let Some(work) = &mut self.work else { return };
                match (work.look.take(), slot) {
                    // Overwritten meanwhile, or no answer: the same write again, which meets what is there now. What an
                    // earlier try may have done stays open.
                    (Some((_, for_the_reason)), None) if !for_the_reason || work.ending.is_some() => {
                        let step = work.cas.found(None);
                        self.follow(now, step);
                    }
                    (_, slot) => self.explained(now, slot),
                }
            }
        }
        // A late yes is no yes: whatever was taken, past the deadline the lease is lost.
        if !self.is_ending() && self.loss.is_none() && now >= self.deadline() {
            self.lose(Loss::Expired);
        }
    }

    /// Until when nobody is believed that the record is not there.
    fn cannot_be_absent_before(&self, ending: &Option<Ending>) -> Moment {
        if ending.is_some() { self.gone_by() } else { self.deadline() }
    }

    fn follow(&mut self, now: Moment, step: Step) {
        let Some(work) = &self.work else { return };
        let (ending, sent, says) = (work.ending.clone(), work.sent, work.says);
        let (carries, extra) = (work.carries, self.extra.as_ref());
        let (looks, open) = (extra.is_some_and(Extra::is_look), extra.is_some_and(|extra| extra.open));
        match step {
            Step::Applied(revision) if ending.is_some() => {
                self.ended_as = ending.as_ref().map(|ending| Ended {
                    revision,
                    previous: self.as_previous(ending),
                    reserved: ending.reserved(self.as_previous(ending), self.times.grace_secs()),
                });
                self.finish(Released::Clean);
            }
            Step::AppliedOnce(_) if ending.is_some() => self.finish(Released::Clean),
            Step::Applied(revision) => {
                self.revision = revision;
                if carries {
                    self.resolved(Outcome::Done);
                }
                if now < self.deadline() {
                    self.sent = sent;
                    self.said = says;
                }
                self.work = None;
                self.jeopardy = false;
                // Changed, or asked for, while that write was under way.
                if self.said < self.changes || self.extra.is_some() {
                    self.start(now, None);
                }
            }
            // It was ours once; whether it is, a CAS on that very revision must tell. Belief is not extended yet.
            Step::AppliedOnce(revision) => {
                self.revision = revision;
                if carries {
                    self.resolved(Outcome::Done);
                }
                self.start(now, None);
            }
            // It may be the revision of the key that was looked at: a plain renewal tells. A try of the look changes nothing else.
            Step::Not(_) | Step::Look(_) if carries && looks => {
                self.resolved(Outcome::Changed);
                self.start(now, None);
                if let Some(work) = &mut self.work {
                    work.cas = work.cas.clone().opened();
                }
            }
            // Until the deadline it cannot have expired, and whoever deletes it leaves a marker, which has a revision. So this
            // comes from a leader that was cut off before the record was made, and goes on answering by what it has (seen
            // on 2.15.1, by clients that connect to it before it steps down): it did nothing, and says nothing about who
            // holds. (The bucket denies purges; if it is another one, the guard tells.) After the deadline it may be such a
            // leader, too: a release is repeated until the record must have gone, and then its outcome is unknown.
            Step::Not(Some(0)) if self.loss.is_none() && now < self.cannot_be_absent_before(&ending) => {
                if let Some(work) = &mut self.work {
                    let step = work.cas.set_back();
                    if let Some(extra) = self.extra.as_mut().filter(|_| carries) {
                        extra.open = true;
                    }
                    self.follow(now, step);
                }
            }
            Step::Not(Some(0) | None) => self.gone(now),
            // A definite no. What stands there tells why, and at an ending whether it was our own late renewal.
            Step::Not(Some(revision)) => {
                self.look(revision, true);
            }
            Step::Look(revision) => {
                self.look(revision, false);
            }
            Step::Again(pause) => {
                self.jeopardy |= pause >= Duration::from_millis(100);
                // After silence there has been a pause already.
                self.pause_until = if ending.is_some() { now } else { self.last_sent } + pause;
            }
            // Not for the record's sake, as far as is known: a plain renewal tells.
            Step::Refused(_) if carries => {
                self.resolved(if open { Outcome::Unknown } else { Outcome::Refused });
                self.start(now, None);
            }
            // Permissions may have been taken away for a moment; the deadline bounds how long we hope.
            Step::Refused(_) => {
                self.jeopardy = true;
                self.pause_until = now + Duration::from_secs(1);
            }
        }
    }

    fn look(&mut self, revision: Revision, for_the_reason: bool) {
        self.jeopardy = true;
        if let Some(work) = &mut self.work {
            work.look = Some((revision, for_the_reason));
        }
    }

    /// Takes what stood in the way of a renewal or an ending.
    fn explained(&mut self, now: Moment, slot: Option<Slot>) {
        let ending = self.work.as_ref().and_then(|work| work.ending.clone());
        match (slot, ending) {
            // Ours under another revision: a renewal that landed late, or the breaker's mark on our record.
            (Some(Slot::Taken { revision, record, .. }), ending)
                if record.attempt == self.record.attempt && !record.reserved =>
            {
                self.revision = revision;
                if let Some(extra) = &mut self.extra {
                    // An older try names an older revision, and can do nothing any more.
                    extra.open = false;
                    if record.guarded >= extra.number {
                        self.resolved(Outcome::Done);
                    }
                }
                match (record.broken, ending) {
                    (_, Some(ending)) => self.start(now, Some(ending)),
                    (Some(reason), None) => self.lose(Loss::Broken(reason)),
                    (None, None) => self.start(now, None),
                }
            }
            // Broken by somebody else before the release arrived.
            (Some(slot), Some(_)) if was_forestalled(&slot, self.token, self.loss.as_ref()) => {
                self.finish(Released::Lost(self.loss.clone().unwrap_or(Loss::Taken)));
            }
            (Some(slot), Some(_)) if was_applied(&slot, &self.record.attempt, self.token) => {
                self.finish(Released::Clean);
            }
            _ => self.gone(now),
        }
    }

    fn gone(&mut self, now: Moment) {
        match self.work.as_ref().map(|work| (work.ending.is_some(), work.cas.is_open())) {
            // Absent after an ending of unknown outcome: it was applied, or the record expired. Free either way.
            Some((true, true)) => self.finish(Released::Clean),
            // Given back in time, but the store took it only when the record had expired. Free as well: no loss.
            Some((true, false)) if self.loss.is_none() && now >= self.deadline() => {
                self.finish(Released::Clean);
            }
            Some((true, false)) => {
                let loss = self.loss.clone().unwrap_or(Loss::Taken);
                self.finish(Released::Lost(loss));
            }
            // Past the deadline it had every right to be gone.
            _ if now >= self.deadline() => self.lose(Loss::Expired),
            _ => self.lose(Loss::Taken),
        }
    }

    fn lose(&mut self, loss: Loss) {
        self.loss = Some(loss);
        self.work = None;
        self.give_up_extra();
    }

    fn give_up_extra(&mut self) {
        if let Some(extra) = self.extra.take() {
            self.outcome = Some(extra.given_up());
        }
    }

    /// What was to go with a renewal has come to this.
    fn resolved(&mut self, outcome: Outcome) {
        if let Some(extra) = self.extra.take() {
            if outcome == Outcome::Done {
                self.record.guarded = extra.number;
            }
            self.outcome = Some(outcome);
        }
    }

    fn finish(&mut self, released: Released) {
        let released = match (&self.loss, released) {
            (Some(loss), Released::Clean | Released::Unknown) => Released::Lost(loss.clone()),
            (_, released) => released,
        };
        self.ended = Some(released);
        self.work = None;
    }

    fn end(&mut self, now: Moment, ending: Ending) {
        if self.is_ending() {
            return;
        }
        self.give_up_extra();
        if self.loss.is_none() && now >= self.deadline() {
            self.lose(Loss::Expired);
        }
        match &self.loss {
            // Deleting what is known to be one's own is allowed after the deadline: the CAS cannot hit anybody else.
            None | Some(Loss::Expired | Loss::Broken(_) | Loss::Draining | Loss::Together(_)) => {
                self.start(now, Some(ending))
            }
            Some(loss) => self.ended = Some(Released::Lost(loss.clone())),
        }
    }

    fn start(&mut self, now: Moment, ending: Option<Ending>) {
        self.serial += 1;
        let (body, ttl_secs) = match &ending {
            None => {
                let guarded = self.extra.as_ref().map_or(self.record.guarded, |extra| extra.number);
                let record = Record { guarded, ..self.record.clone() };
                (Body::Put(record.encode()), self.times.store_secs())
            }
            Some(ending) => {
                ending.body(&self.record.attempt, self.as_previous(ending), self.times.grace_secs())
            }
        };
        let extra = self.extra.as_ref().filter(|_| ending.is_none());
        let gate = extra.map(|extra| extra.gate(&self.key, self.revision)).unwrap_or_default();
        let (carries, looks) = (extra.is_some(), extra.is_some_and(Extra::is_look));
        let id = format!("{}-{}-{}", self.record.attempt, self.revision, self.serial);
        let write = Write { key: self.key.clone(), expect: self.revision, body, ttl_secs, id };
        let cas = Cas::new(write, self.record.attempt.clone());
        let cas = if looks { cas.gated() } else { cas };
        self.work = Some(Work { cas, gate, carries, says: self.changes, sent: now, look: None, ending });
        self.pause_until = now;
    }

    fn as_previous(&self, ending: &Ending) -> Previous {
        let (holder, why) = (self.record.owner.clone(), ending::why(self.loss.as_ref(), ending.why));
        Previous { token: self.token, holder, ended: ending.at.clone(), why }
    }

    fn is_ending(&self) -> bool {
        self.ended.is_some() || self.work.as_ref().is_some_and(|work| work.ending.is_some())
    }

    fn renewal_due(&self) -> Moment {
        self.sent + self.times.renew_every()
    }

    fn gone_by(&self) -> Moment {
        self.last_sent + Duration::from_secs(self.times.store_secs() + 1)
    }
}
