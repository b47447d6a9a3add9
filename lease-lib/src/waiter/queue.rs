//! Waiting in line: follow one key, be woken once, and rely on nothing but a timer and a try.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::claiming::Claimed;
use super::position::{OutOfLine, Position, Still};
use super::{Verdict, Waiter, doubled};
use crate::ambient::{Moment, sleep_until};
use crate::error::Error;
use crate::observe::Observation;
use crate::post::{self, Told};
use crate::protocol::Loss;
use crate::protocol::line::{self, Note};
use crate::store::{Entry, Events, Revision};
use crate::target::{Blind, Opening, Sight};

/// How often a waiter looks, whatever it heard or did not hear.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How much later for each one ahead, up to four times as late: in a long line, most looks are far from the front.
const LOOK_LATER: Duration = Duration::from_millis(20);
/// How soon a process that was not to be seen is looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(700);
/// How much that is kept free for one waiter is remembered: a semaphore has no more permits than that.
const MOST_HANDED: usize = 512;
/// Servers tell each other who follows what, which takes a moment; what happens until then is caught by this look.
const SECOND_LOOK: Duration = Duration::from_millis(100);
/// The store removes an expired entry up to 0.33 s late; the first try comes a little after the expiry.
const AFTER_EXPIRY: Duration = Duration::from_millis(60);
/// Then it is tried again this often, so that the worst case is within half a second of the expiry.
const EXPIRY_RETRY: Duration = Duration::from_millis(120);
/// Up to here, whoever shows its place in line reads the line with every look; with twice as many ahead with every other.
const SHORT_LINE: u32 = 16;

/// What a waiter in line knows.
struct InLine {
    order: Revision,
    told: mpsc::Receiver<Told>,
    /// What was kept free for it, as far as it was told, by key.
    handed: BTreeMap<String, Revision>,
    position: Position,
    /// First in line: writes to the record.
    record: Option<Events<Entry>>,
    /// What else is followed of what is in the way.
    others: Option<Events<Entry>>,
    /// When to look again, at the latest.
    look_at: Moment,
    looks: u32,
    /// The look after the next comes soon, too.
    looks_twice: bool,
    /// How many were ahead when the line was read last.
    position_when_read: usize,
    /// When the record expires unless it is renewed; only the first in line cares.
    expires_at: Option<Moment>,
    /// The revision of the record that the expiry belongs to.
    seen: Revision,
    /// The process that the record was kept free for when it was seen last.
    kept_for: Option<String>,
    /// How often in a row the line was read without showing where this waiter stands.
    doubts: u32,
}

impl InLine {
    fn new(order: Revision, told: mpsc::Receiver<Told>, now: Moment) -> InLine {
        InLine {
            order,
            told,
            handed: BTreeMap::new(),
            position: Position::Unknown,
            record: None,
            others: None,
            look_at: now,
            looks: 0,
            looks_twice: false,
            position_when_read: 0,
            expires_at: None,
            seen: 0,
            kept_for: None,
            doubts: 0,
        }
    }

    /// Nothing is known of the position: the next look comes later each time.
    fn doubt(&mut self, now: Moment) {
        self.position = Position::Unknown;
        self.doubts = self.doubts.saturating_add(1);
        self.look_at = now + doubled(Duration::from_millis(25), self.doubts);
    }
}

/// What came of a piece of news: a verdict, nothing yet, or the place is lost and another must be taken.
type Heard = Result<Option<Verdict>, OutOfLine>;

enum News {
    Told(Told),
    /// The place ahead was written to: removed, that is. `None`: it cannot be followed any more.
    Ahead(Option<Entry>),
    /// The record was written to. `None`: it cannot be followed any more.
    Record(Option<Entry>),
    /// Something else that is in the way was written to; `false`: it cannot be followed any more.
    Others(bool),
    /// Time to look.
    Look,
    /// What the space rests on has changed: everything must be read again.
    Upheaval,
}

impl Waiter {
    /// Joins the line and waits for the grant.
    pub(super) async fn queue(&mut self) -> Verdict {
        let core = Arc::clone(&self.core);
        let kind = self.wanted.target.kind();
        let since = core.now();
        core.observe(Observation::Waiters { kind, change: 1, since });
        let verdict = loop {
            core.presence.enter(&core).await;
            let now = core.now();
            let (place, told) =
                core.post.take_place(&self.scope, &core.identity.process, &self.person.attempt, now);
            self.person.place = place;
            self.person.is_ready = self.wanted.candidacy.is_ready();
            let mut line = InLine::new(0, told, now);
            let joined = self.join().await;
            let stood = match joined {
                Ok(order) => {
                    line.order = order;
                    self.stay(&mut line).await
                }
                Err(verdict) => Some(verdict),
            };
            let took = match &stood {
                Some(Verdict::Granted(lease)) => Some(lease.record_key()),
                _ => None,
            };
            let granted = took.is_some();
            if stood.is_some() {
                post::hang_up(&core, &self.person.attempt, line.told, line.handed, took).await;
            }
            self.leave(line.order, granted);
            for process in std::mem::take(&mut self.told) {
                let note = Note::Gone { line: self.scope.clone(), place: self.person.place.clone() };
                core.tell(&process, note).await;
            }
            if let Some(verdict) = stood {
                break verdict;
            }
            if let Err(verdict) = self.admitted().await {
                break verdict;
            }
        };
        core.observe(Observation::Waiters { kind, change: -1, since });
        verdict
    }

    /// Stays in line until the verdict; `None` if it must go to its end.
    async fn stay(&mut self, line: &mut InLine) -> Option<Verdict> {
        let mut calamity = self.core.calamity.subscribe();
        loop {
            let (expect, standing) = match self.stand(line, &mut calamity).await {
                Ok(verdict) => return Some(verdict),
                Err(OutOfLine::Yield) => return None,
                Err(OutOfLine::Unseen(expect)) => (expect, line.order),
                Err(OutOfLine::Upheaval) => (0, 0),
            };
            if let Err(verdict) = self.admitted().await {
                return Some(verdict);
            }
            match self.rejoin(standing, expect).await {
                Ok(order) if order == line.order => {}
                Ok(order) => {
                    self.core.observe(Observation::Resynced);
                    line.order = order;
                }
                Err(verdict) => return Some(verdict),
            }
            line.doubt(self.core.now());
        }
    }

    /// Stands in line until the verdict.
    async fn stand(
        &mut self,
        line: &mut InLine,
        calamity: &mut watch::Receiver<Option<Loss>>,
    ) -> Result<Verdict, OutOfLine> {
        let core = Arc::clone(&self.core);
        let (mut candidacy, ready) = (self.wanted.candidacy.clone(), self.person.is_ready);
        loop {
            let wake = line.expires_at.map_or(line.look_at, |at| at.min(line.look_at));
            let ahead = match &mut line.position {
                Position::Behind(ahead) => ahead.events.as_mut(),
                Position::Unknown | Position::First => None,
            };
            let news = tokio::select! {
                biased;
                verdict = self.end_of_waiting() => return Ok(self.at_last(line, verdict).await),
                _ = calamity.changed() => News::Upheaval,
                // It takes another place, which says so.
                () = candidacy.changes(ready) => return Err(OutOfLine::Yield),
                Some(told) = line.told.recv() => News::Told(told),
                entry = next(ahead) => News::Ahead(entry),
                entry = next(line.record.as_mut()) => News::Record(entry),
                entry = next(line.others.as_mut()) => News::Others(entry.is_some()),
                () = sleep_until(core.ambient.as_ref(), wake) => News::Look,
            };
            if let Some(verdict) = self.hear(line, news).await? {
                return Ok(verdict);
            }
        }
    }

    /// The limit has passed. What is free then is not left to those of whom nobody is to be seen: to remove their places takes
    /// longer than some are ready to wait, and would never be done.
    async fn at_last(&mut self, line: &InLine, verdict: Verdict) -> Verdict {
        // Among candidates who comes first is no matter of order.
        let is_behind = matches!(line.position, Position::Behind(_)) && !self.wanted.target.by_priority();
        if !matches!(verdict, Verdict::Held) || !is_behind || self.is_waited_for(line.order).await {
            return verdict;
        }
        let core = Arc::clone(&self.core);
        match self.wanted.target.look(&core, &self.person.attempt).await {
            Ok(Sight::Open(opening)) => match self.claim(opening, None).await {
                Claimed::Over(verdict) => verdict,
                Claimed::No | Claimed::TooLate => verdict,
            },
            _ => verdict,
        }
    }

    async fn hear(&mut self, line: &mut InLine, news: News) -> Heard {
        let heard = self.core.now();
        match news {
            News::Upheaval => {
                line.position = Position::Unknown;
                line.record = None;
                line.others = None;
                line.seen = 0;
                line.expires_at = None;
                Err(OutOfLine::Upheaval)
            }
            News::Told(Told::Handed { key, revision, previous }) => {
                // Anybody may send notes.
                if line.handed.len() < MOST_HANDED {
                    line.handed.insert(key, revision);
                }
                match self.wanted.target.kept(revision, previous) {
                    Some(sight) => self.seen(line, sight, heard).await,
                    None => self.be_first(line, heard).await,
                }
            }
            News::Told(Told::Empty(place)) => {
                if let Position::Behind(ahead) = &line.position
                    && ahead.place.waiter.place == place
                {
                    if self.pass_over(&ahead.place).await {
                        return self.move_up(line, heard).await;
                    }
                    line.doubt(self.core.now());
                }
                Ok(None)
            }
            News::Ahead(None) => {
                if let Position::Behind(ahead) = &mut line.position {
                    ahead.events = None;
                }
                Ok(None)
            }
            // Written by somebody else's hand, perhaps; it is a place still.
            News::Ahead(Some(entry)) if line::place(&entry).is_some() => Ok(None),
            News::Ahead(Some(entry))
                if line::granted(&entry)
                    && !self.wanted.target.by_priority()
                    && self.is_first(line.order).await =>
            {
                // It was first, so now we are: no need to read the line.
                line.position = Position::First;
                self.ahead.send_if_modified(|ahead| ahead.replace(0) != Some(0));
                self.be_first(line, heard).await
            }
            News::Ahead(Some(_)) => self.move_up(line, heard).await,
            News::Record(None) => {
                line.record = None;
                Ok(None)
            }
            News::Record(Some(entry)) => {
                match self.wanted.target.heard(&self.core, &self.person.attempt, &entry) {
                    Some(sight) => self.seen(line, sight, heard).await,
                    None => self.be_first(line, heard).await,
                }
            }
            News::Others(true) => self.be_first(line, heard).await,
            News::Others(false) => {
                line.others = None;
                Ok(None)
            }
            News::Look => self.look_around(line).await,
        }
    }

    /// The regular look: at the one ahead, or at the record.
    async fn look_around(&mut self, line: &mut InLine) -> Heard {
        let heard = self.core.now();
        // Whatever comes of this look: without a connection it comes to nothing at once, and must not be repeated at once.
        if line.expires_at.is_some_and(|at| at <= heard) {
            line.expires_at = Some(heard + EXPIRY_RETRY);
        }
        line.looks = line.looks.wrapping_add(1);
        let place = u32::try_from(line.position_when_read).unwrap_or(u32::MAX);
        let pause = match std::mem::take(&mut line.looks_twice) {
            true => SECOND_LOOK,
            false => LOOK_EVERY.saturating_add(LOOK_LATER * place).min(LOOK_EVERY * 4),
        };
        line.look_at = heard + pause;
        let Position::Behind(ahead) = &mut line.position else {
            return match line.position {
                Position::First => self.be_first(line, heard).await,
                _ => self.move_up(line, heard).await,
            };
        };
        let place_too = ahead.events.is_none() || line.looks.is_multiple_of(2);
        match self.still_ahead(ahead, place_too).await {
            Still::Gone => self.move_up(line, heard).await,
            Still::Misread => {
                line.doubt(self.core.now());
                Ok(None)
            }
            Still::Doubtful => {
                line.look_at = heard + LOOK_AGAIN;
                Ok(None)
            }
            // Whoever is shown the place in line is shown the truth, the more often the shorter the line.
            Still::There
                if self.ahead.receiver_count() > 0 && line.looks.is_multiple_of(1 + place / SHORT_LINE) =>
            {
                self.move_up(line, heard).await
            }
            Still::There if ahead.events.is_none() => self.move_up(line, heard).await,
            Still::There => {
                if line.looks.is_multiple_of(2) {
                    self.tell_ahead(line.order, ahead).await;
                }
                Ok(None)
            }
        }
    }

    /// Reads the line to see who is ahead now.
    async fn move_up(&mut self, line: &mut InLine, heard: Moment) -> Heard {
        let was = std::mem::replace(&mut line.position, Position::Unknown);
        line.position = self.locate(line.order, was).await?;
        // A candidate that seems to be first looks once more before it claims: what that shows counts.
        if !matches!(line.position, Position::Unknown) && !self.wanted.target.by_priority() {
            line.doubts = 0;
        }
        line.position_when_read = self.ahead.borrow().unwrap_or_default();
        match &mut line.position {
            Position::First => self.be_first(line, heard).await,
            Position::Behind(ahead) => {
                if std::mem::take(&mut ahead.fresh) {
                    line.look_at = self.core.now() + SECOND_LOOK;
                    line.looks = 1;
                }
                Ok(None)
            }
            Position::Unknown => {
                // The list came from a replica that lags behind by a moment, or not at all.
                line.doubt(self.core.now());
                Ok(None)
            }
        }
    }

    /// First in line: follow the record, and read it in case something happened before.
    async fn be_first(&mut self, line: &mut InLine, heard: Moment) -> Heard {
        let core = Arc::clone(&self.core);
        if line.record.is_none() {
            let filter = self.wanted.target.filter();
            line.record = core.asked("follow", core.store.follow(&filter)).await.ok();
            line.look_at = core.now() + SECOND_LOOK;
        }
        match self.wanted.target.look(&core, &self.person.attempt).await {
            Ok(sight) => self.seen(line, sight, heard).await,
            Err(Blind::Refused(error)) => Ok(Some(Verdict::Failed(error))),
            Err(Blind::Denied(why)) => match core.refusal(why).await {
                // Whoever waits in line waits for this, too.
                Error::Quiet(_) => Ok(None),
                error => Ok(Some(Verdict::Failed(error))),
            },
            Err(Blind::Unreadable(_)) => {
                line.look_at = core.now() + Duration::from_millis(200);
                Ok(None)
            }
        }
    }

    /// What is wanted was seen, just now or some time ago.
    async fn seen(&mut self, line: &mut InLine, sight: Sight, heard: Moment) -> Heard {
        let core = Arc::clone(&self.core);
        let taken = match sight {
            Sight::Open(opening) => {
                self.last_seen = None;
                return self.take(line, opening, heard).await;
            }
            Sight::Taken(taken) => taken,
        };
        self.last_seen = taken.holder;
        if taken.revision == 0 {
            return Ok(None);
        }
        line.kept_for = taken.kept_for;
        let now = core.now();
        if taken.revision > line.seen {
            line.seen = taken.revision;
            line.expires_at = taken.left.map(|left| now + left + AFTER_EXPIRY);
        } else if line.expires_at.is_some_and(|at| at <= now) {
            line.expires_at = Some(now + EXPIRY_RETRY);
        }
        if let (Some(filter), None) = (taken.follow_too, &line.others) {
            line.others = core.asked("follow", core.store.follow(&filter)).await.ok();
            // One may have gone between the look and the following; and not every server may know of that yet. Where it could
            // not be followed, that is tried again, but not at once.
            line.looks_twice = line.others.is_some();
            line.look_at = if line.looks_twice { core.now() } else { core.now() + SECOND_LOOK };
        }
        // Said again and again while we are first, since notes may be lost and holders change.
        self.told.clear();
        for process in taken.processes {
            let note =
                Note::First { line: self.scope.clone(), order: line.order, waiter: self.person.clone() };
            core.tell(&process, note).await;
            self.told.insert(process);
        }
        Ok(None)
    }

    /// Claims a record that is free or kept free for us.
    async fn take(&mut self, line: &mut InLine, opening: Opening, heard: Moment) -> Heard {
        if let Err(verdict) = self.admitted().await {
            return Ok(Some(verdict));
        }
        // A better candidate may have come after this one was first.
        if self.wanted.target.by_priority() && !opening.mine {
            // What expired is gone; where the line cannot be made out, the next look comes in its time.
            line.seen = 0;
            line.expires_at = None;
            line.position = self.locate(line.order, Position::First).await?;
            if !matches!(line.position, Position::First) {
                line.record = None;
                if matches!(line.position, Position::Unknown) {
                    line.doubt(self.core.now());
                }
                return Ok(None);
            }
            line.doubts = 0;
        }
        // Kept free for somebody who did not come: the rest of that process will hardly be quicker.
        if opening.expect == 0
            && let Some(absent) = line.kept_for.take()
        {
            self.core.post.presume_gone(&self.scope, &absent);
        }
        match self.claim(opening, Some(heard)).await {
            Claimed::Over(verdict) => Ok(Some(verdict)),
            Claimed::TooLate => Err(OutOfLine::Yield),
            Claimed::No => {
                // The news may have been old: look soon, and forget the expiry of what is not there any more.
                line.seen = 0;
                line.expires_at = None;
                line.look_at = self.core.now() + self.backoff().max(Duration::from_millis(5));
                Ok(None)
            }
        }
    }
}

async fn next(events: Option<&mut Events<Entry>>) -> Option<Entry> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}
