//! Winning several records at once: all of them, or none.

use std::time::Duration;

use super::gate::Gate;
use super::hold::Hold;
use super::pauses::Pauses;
use super::record::Record;
use super::times::Times;
use crate::ambient::Moment;
use crate::store::{Batch, BatchAck, BatchWrite, Body, Condition, Entry, Revision, WriteError};
use crate::token::Token;

/// One of the records to win.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its key.
    pub key: String,
    /// The revision to expect there.
    pub expect: Revision,
    /// What to write.
    pub record: Record,
    /// What else must be so.
    pub gate: Gate,
}

/// An attempt to be granted several records in one batch.
#[derive(Clone, Debug)]
pub struct ClaimAll {
    parts: Vec<Part>,
    times: Times,
    batch: Batch,
    /// Which of the batch's writes makes each part's record.
    own: Vec<usize>,
    sent: Moment,
    open: bool,
    pauses: Pauses,
    /// Once the granting batch is known to have been applied, but not to stand: the revisions it made. The batch is then
    /// its confirmation.
    granted: Option<Vec<Revision>>,
}

/// What to do about it.
#[derive(Debug)]
pub enum AllStep {
    /// Send [`ClaimAll::batch`], after this pause.
    Send(Duration),
    /// Read this key, and pass what was found to [`ClaimAll::found`].
    Read(String),
    /// Held from now on, in the order of the parts.
    Granted(Vec<Hold>),
    /// Not ours. If anything of it stands or may come to stand, looking shows it.
    NotOurs,
    /// Not granted in time; looking shows what stands of it.
    TooLate,
    /// The store refuses for good.
    Refused(String),
}

impl ClaimAll {
    /// A claim on all `parts`, which share one attempt, first sent right after `now`. `id` is that of the batch.
    pub fn new(parts: Vec<Part>, times: Times, id: String, now: Moment) -> ClaimAll {
        let mut writes: Vec<BatchWrite> = parts.iter().flat_map(|part| part.gate.before().to_vec()).collect();
        let first = writes.len();
        writes.extend(parts.iter().map(|part| write(&part.key, part.expect, &part.record, times)));
        let own = (first..writes.len()).collect();
        let batch = Batch { id, writes };
        ClaimAll {
            parts,
            times,
            batch,
            own,
            sent: now,
            open: false,
            pauses: Pauses::default(),
            granted: None,
        }
    }

    /// What to send.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Past this moment nothing that claims is sent.
    pub fn deadline(&self) -> Moment {
        self.times.deadline(self.sent)
    }

    /// Whether some try's outcome is unknown.
    pub fn is_open(&self) -> bool {
        self.open || self.granted.is_some()
    }

    /// Takes the outcome of one try.
    pub fn answered(&mut self, now: Moment, answer: Result<BatchAck, WriteError>) -> AllStep {
        match answer {
            // A late yes is no grant: by now the store may have given the names to somebody else.
            Ok(_) if now >= self.deadline() => AllStep::TooLate,
            Ok(ack @ BatchAck::Applied { .. }) => self.applied(ack),
            Ok(BatchAck::Duplicate) => {
                // Applied once; as which revisions, an entry that stands tells.
                self.open = true;
                match self.own.last().and_then(|own| self.batch.writes.get(*own)) {
                    Some(write) => AllStep::Read(write.key.clone()),
                    None => AllStep::NotOurs,
                }
            }
            // Who says so looks at the id before any condition, so that one has applied no earlier try up to now. Should one yet be
            // applied, or have been by another leader, it is nobody's, and whoever looks finds it.
            Err(WriteError::Conflict { .. }) => AllStep::NotOurs,
            _ if now >= self.deadline() => AllStep::TooLate,
            // As of a single write: another leader may have applied it.
            Err(WriteError::InFlight) => {
                self.open = true;
                AllStep::Send(self.pauses.in_flight())
            }
            Err(WriteError::NotTaken) => AllStep::Send(self.pauses.later()),
            Err(WriteError::Unknown(_)) => {
                self.open = true;
                AllStep::Send(self.pauses.later())
            }
            Err(WriteError::Refused(why)) => AllStep::Refused(why),
        }
    }

    /// Takes what stands under the key that [`AllStep::Read`] named; `None` if that could not be read.
    pub fn found(&mut self, now: Moment, id: String, entry: Option<&Entry>) -> AllStep {
        let index = self.own.last().copied().unwrap_or_default();
        let ack = entry.and_then(|entry| self.batch.applied_as(index, entry));
        match ack {
            _ if now >= self.deadline() => AllStep::TooLate,
            // Old, or overwritten: asked again until the deadline.
            None => AllStep::Send(self.pauses.later()),
            // Applied once need not mean standing: the read may be old, and shows one key of several. Only a batch on those very
            // revisions proves that all of it is ours, and one that was itself only found to have been applied proves nothing new.
            // It is a renewal in all but name, so the deadline counts from its own send.
            Some(ack) => {
                let Some(revisions) = self.revisions(ack) else { return AllStep::NotOurs };
                let tokens = self.granted.get_or_insert_with(|| revisions.clone());
                let parts = self.parts.iter_mut().zip(&revisions).zip(tokens);
                let writes = parts.map(|((part, revision), token)| {
                    part.record.token = Some(Token::new(*token));
                    write(&part.key, *revision, &part.record, self.times)
                });
                self.batch = Batch { id, writes: writes.collect() };
                self.own = (0..self.parts.len()).collect();
                self.sent = now;
                AllStep::Send(Duration::ZERO)
            }
        }
    }

    fn applied(&mut self, ack: BatchAck) -> AllStep {
        let Some(revisions) = self.revisions(ack) else { return AllStep::NotOurs };
        let tokens = self.granted.clone().unwrap_or_else(|| revisions.clone());
        let holds = self.parts.iter().zip(tokens).zip(revisions).map(|((part, token), revision)| {
            let token = Token::new(token);
            Hold::new(part.key.clone(), part.record.clone(), self.times, token, revision, self.sent)
        });
        AllStep::Granted(holds.collect())
    }

    fn revisions(&self, ack: BatchAck) -> Option<Vec<Revision>> {
        self.own.iter().map(|own| ack.revision(*own)).collect()
    }
}

fn write(key: &str, expect: Revision, record: &Record, times: Times) -> BatchWrite {
    BatchWrite {
        key: key.to_owned(),
        only_if: Condition::Own(expect),
        body: Body::Put(record.encode()),
        ttl_secs: times.store_secs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLACK: Duration = Duration::from_secs(2);

    fn at(ms: u64) -> Moment {
        Moment::from_nanos(0) + Duration::from_millis(ms)
    }

    fn claim() -> ClaimAll {
        let part = |key: &str, expect| Part {
            key: key.into(),
            expect,
            record: Record { attempt: "me".into(), ..Record::nobodys(String::new()) },
            gate: Gate::default(),
        };
        let times = Times::new(Duration::from_secs(20), SLACK).unwrap();
        ClaimAll::new(vec![part("lock.a", 0), part("lock.b", 7)], times, "id".into(), at(1_000))
    }

    fn stands(claim: &ClaimAll, index: usize, revision: Revision) -> Entry {
        let write = &claim.batch().writes[index];
        let (key, body) = (write.key.clone(), write.body.clone());
        Entry { key, revision, body, ttl_secs: 22, written_micros: 0 }
    }

    fn tokens(step: AllStep) -> Vec<(u64, Revision, Moment)> {
        let AllStep::Granted(holds) = step else { panic!("{step:?}") };
        holds.iter().map(|hold| (hold.token().get(), hold.revision(), hold.deadline())).collect()
    }

    /// What it compares with, and the id that it is sent under.
    fn sent(claim: &ClaimAll) -> (Vec<(&str, Revision)>, &str) {
        let batch = claim.batch();
        (batch.writes.iter().map(BatchWrite::compared).collect(), &batch.id)
    }

    #[test]
    fn all_are_granted_with_a_token_each_from_the_first_send() {
        let mut claim = claim();
        let step = claim.answered(at(1_500), Ok(BatchAck::Applied { first: 40, last: 41 }));
        let deadline = at(1_000 + 19_800);
        assert_eq!(tokens(step), [(40, 40, deadline), (41, 41, deadline)]);
    }

    #[test]
    fn a_late_yes_is_no_grant() {
        let mut claim = claim();
        let step = claim.answered(at(20_800), Ok(BatchAck::Applied { first: 40, last: 41 }));
        assert!(matches!(step, AllStep::TooLate), "{step:?}");
    }

    #[test]
    fn what_was_applied_once_is_confirmed_before_it_is_believed() {
        let mut claim = claim();
        let step = claim.answered(at(2_500), Err(WriteError::Unknown("lost")));
        assert!(matches!(step, AllStep::Send(_)) && claim.is_open());
        let step = claim.answered(at(2_700), Ok(BatchAck::Duplicate));
        assert!(matches!(&step, AllStep::Read(key) if key == "lock.b"), "{step:?}");
        let entry = stands(&claim, 1, 41);
        let step = claim.found(at(2_800), "again".into(), Some(&entry));
        assert!(matches!(step, AllStep::Send(Duration::ZERO)), "{step:?}");
        assert_eq!(sent(&claim), (vec![("lock.a", 40), ("lock.b", 41)], "again"));
        let step = claim.answered(at(2_900), Ok(BatchAck::Applied { first: 50, last: 51 }));
        let deadline = at(2_800 + 19_800);
        assert_eq!(tokens(step), [(40, 50, deadline), (41, 51, deadline)]);
    }

    #[test]
    fn a_confirmation_that_is_only_found_is_confirmed_in_turn() {
        let mut claim = claim();
        let _ = claim.answered(at(2_700), Ok(BatchAck::Duplicate));
        let _ = claim.found(at(2_800), "second".into(), Some(&stands(&claim, 1, 41)));
        let step = claim.answered(at(4_300), Err(WriteError::Unknown("lost")));
        assert!(matches!(step, AllStep::Send(_)), "{step:?}");
        let step = claim.answered(at(4_500), Ok(BatchAck::Duplicate));
        assert!(matches!(&step, AllStep::Read(key) if key == "lock.b"), "{step:?}");
        // What stood once under the last key says nothing of now, nor of the others.
        let step = claim.found(at(4_600), "third".into(), Some(&stands(&claim, 1, 51)));
        assert!(matches!(step, AllStep::Send(Duration::ZERO)), "{step:?}");
        assert_eq!(sent(&claim), (vec![("lock.a", 50), ("lock.b", 51)], "third"));
        let step = claim.answered(at(4_700), Ok(BatchAck::Applied { first: 60, last: 61 }));
        let deadline = at(4_600 + 19_800);
        assert_eq!(tokens(step), [(40, 60, deadline), (41, 61, deadline)]);
    }

    #[test]
    fn one_that_is_taken_refuses_all() {
        let mut claim = claim();
        let step = claim.answered(at(1_100), Err(WriteError::Conflict { current: Some(9) }));
        assert!(matches!(step, AllStep::NotOurs), "{step:?}");
    }

    #[test]
    fn in_flight_says_nothing_of_what_another_leader_did() {
        let mut claim = claim();
        let step = claim.answered(at(1_100), Err(WriteError::InFlight));
        assert!(matches!(step, AllStep::Send(_)) && claim.is_open(), "{step:?}");
    }

    #[test]
    fn an_old_read_says_nothing() {
        let mut claim = claim();
        let _ = claim.answered(at(1_100), Ok(BatchAck::Duplicate));
        let mut other = stands(&claim, 1, 41);
        other.body = Body::Put("another's".into());
        let step = claim.found(at(1_200), "again".into(), Some(&other));
        assert!(matches!(step, AllStep::Send(pause) if !pause.is_zero()), "{step:?}");
        assert_eq!(claim.batch().id, "id", "the same batch");
    }
}
