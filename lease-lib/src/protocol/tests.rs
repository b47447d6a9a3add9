//! The rules of the protocol, each as a case that a wrong version of it fails.

use std::time::Duration;

use super::*;
use crate::ambient::Moment;
use crate::store::{Ack, Body, Revision, Write, WriteError};
use crate::token::Token;

const UNKNOWN: Result<Ack, WriteError> = Err(WriteError::Unknown("timeout"));

fn at(ms: u64) -> Moment {
    Moment::from_nanos(ms * 1_000_000)
}

fn times() -> Times {
    Times::new(Duration::from_secs(20), Duration::from_secs(2)).unwrap()
}

fn record(attempt: &str) -> Record {
    Record {
        holder: "p".into(),
        owner: "o".into(),
        host: "h".into(),
        pid: 1,
        attempt: attempt.into(),
        since: "s".into(),
        v: 1,
        ttl_ms: 20_000,
        grace_secs: 0,
        token: None,
        fence: None,
        metadata: Default::default(),
        previous: None,
        reserved: false,
        broken: None,
        readers: Vec::new(),
        with: Vec::new(),
        value: None,
        guarded: 0,
    }
}

fn ok(revision: Revision) -> Result<Ack, WriteError> {
    Ok(Ack { revision, duplicate: false })
}

fn duplicate(revision: Revision) -> Result<Ack, WriteError> {
    Ok(Ack { revision, duplicate: true })
}

fn conflict(current: Revision) -> Result<Ack, WriteError> {
    Err(WriteError::Conflict { current: Some(current) })
}

fn taken(revision: Revision, record: Record) -> Slot {
    Slot::Taken { revision, record, ttl_secs: 22, written_micros: 0 }
}

fn claim(now: Moment) -> Claim {
    Claim::new("lock.a".into(), record("me"), times(), 0, 1, now)
}

fn held(now: Moment) -> Hold {
    match claim(now).answered(now, 2, ok(10)) {
        ClaimStep::Granted(hold) => *hold,
        other => panic!("{other:?}"),
    }
}

fn send(hold: &mut Hold, now: Moment) -> Write {
    match hold.next(now) {
        Command::Send(Request::One(write)) => write,
        other => panic!("{other:?}"),
    }
}

fn release() -> Event {
    Event::End(Ending { why: End::Released, at: "t".into(), reserve_for: None })
}

#[test]
fn the_deadline_counts_from_before_the_first_send() {
    let mut claim = claim(at(1_000));
    assert!(matches!(claim.answered(at(2_500), 2, UNKNOWN), ClaimStep::Send(_)));
    let ClaimStep::Granted(hold) = claim.answered(at(4_000), 3, ok(10)) else { panic!() };
    assert_eq!(hold.deadline(), at(1_000 + 20_000 - 200));
    assert_eq!(hold.token(), Token::new(10));
}

/// A claim finds its own record as an earlier claim of the same attempt confirmed it.
#[test]
fn what_was_confirmed_before_keeps_its_token() {
    let mut claim = Claim::new("lock.a".into(), record("me"), times(), 12, 3, at(100));
    assert!(matches!(claim.answered(at(1_600), 4, UNKNOWN), ClaimStep::Send(_)));
    assert!(matches!(claim.answered(at(1_700), 4, conflict(13)), ClaimStep::Look(13)));
    let mine = Record { token: Some(Token::new(10)), ..record("me") };
    let slot = Slot::Taken { revision: 13, record: mine, ttl_secs: 22, written_micros: 0 };
    assert!(matches!(claim.found(at(1_710), 4, Some(&slot)), ClaimStep::Send(_)));
    assert_eq!((claim.write().expect, claim.is_open()), (13, true));
    let ClaimStep::Granted(hold) = claim.answered(at(1_720), 5, ok(14)) else { panic!() };
    assert_eq!((hold.token(), hold.revision()), (Token::new(10), 14));
}

#[test]
fn a_late_yes_is_no_grant() {
    let mut claim = claim(at(0));
    assert!(matches!(claim.answered(at(19_800), 2, ok(10)), ClaimStep::TooLate { ours: Some(10) }));
}

#[test]
fn a_duplicate_is_confirmed_by_another_cas_before_it_counts() {
    let mut claim = claim(at(0));
    claim.answered(at(1_500), 2, UNKNOWN);
    assert!(matches!(claim.answered(at(1_600), 3, duplicate(10)), ClaimStep::Send(_)));
    assert_eq!((claim.write().expect, claim.write().ttl_secs), (10, 22));
    let ClaimStep::Granted(hold) = claim.answered(at(1_700), 4, ok(11)) else { panic!() };
    assert_eq!((hold.token(), hold.revision()), (Token::new(10), 11), "the token is the granting write's");
    assert_eq!(hold.deadline(), at(1_600 + 19_800), "from the confirmation's own send");
}

#[test]
fn a_duplicate_that_was_replaced_meanwhile_is_no_grant() {
    let mut claim = claim(at(0));
    claim.answered(at(1_500), 2, UNKNOWN);
    claim.answered(at(1_600), 3, duplicate(10));
    assert!(matches!(claim.answered(at(1_700), 4, conflict(12)), ClaimStep::NotOurs(Some(12))));
}

#[test]
fn a_conflict_is_a_no_unless_an_earlier_try_is_open() {
    assert!(matches!(claim(at(0)).answered(at(1), 2, conflict(7)), ClaimStep::NotOurs(Some(7))));
    let mut open = claim(at(0));
    open.answered(at(1), 2, UNKNOWN);
    assert!(matches!(open.answered(at(2), 3, conflict(7)), ClaimStep::Look(7)));
    let mine = taken(7, record("me"));
    assert!(matches!(open.found(at(3), 4, Some(&mine)), ClaimStep::Send(_)));
    assert_eq!(open.write().expect, 7);
    let mut other = claim(at(0));
    other.answered(at(1), 2, UNKNOWN);
    other.answered(at(2), 3, conflict(7));
    assert!(matches!(other.found(at(3), 4, Some(&taken(7, record("you")))), ClaimStep::NotOurs(Some(7))));
}

#[test]
fn in_flight_and_silence_are_no_answers() {
    for nothing in [Err(WriteError::InFlight), Err(WriteError::NotTaken), UNKNOWN] {
        let mut claim = claim(at(0));
        let before = claim.write().clone();
        assert!(matches!(claim.answered(at(1), 2, nothing), ClaimStep::Send(_)));
        assert_eq!(claim.write(), &before, "the same write with the same id");
    }
}

#[test]
fn what_one_leader_refuses_another_may_have_taken() {
    let mut claim = claim(at(0));
    claim.answered(at(1), 2, Err(WriteError::InFlight));
    assert!(matches!(claim.answered(at(2), 3, conflict(7)), ClaimStep::Look(7)));
    assert!(matches!(claim.found(at(3), 4, Some(&taken(7, record("me")))), ClaimStep::Send(_)));
    // Of a renewal, the one that was cut off knows an older revision or none.
    for behind in [conflict(9), conflict(0), Err(WriteError::InFlight)] {
        let mut hold = held(at(0));
        send(&mut hold, at(4_000));
        hold.take(at(4_010), Event::Answered(behind));
        send(&mut hold, at(4_200));
        hold.take(at(4_210), Event::Answered(conflict(11)));
        assert_eq!(hold.next(at(4_210)), Command::Look(11));
        hold.take(at(4_220), Event::Found(None));
        assert_eq!((hold.status(at(4_220)), send(&mut hold, at(5_100)).expect), (Status::Jeopardy, 10));
        hold.take(at(5_110), Event::Answered(duplicate(11)));
        assert_eq!(send(&mut hold, at(5_110)).expect, 11);
        hold.take(at(5_120), Event::Answered(ok(12)));
        assert_eq!(hold.status(at(5_120)), Status::Held);
    }
}

#[test]
fn renewals_carry_ttl_token_and_the_own_revision() {
    let mut hold = held(at(0));
    assert_eq!(hold.next(at(0)), Command::Wait(at(4_000)));
    let write = send(&mut hold, at(4_000));
    assert_eq!((write.expect, write.ttl_secs), (10, 22));
    let Body::Put(value) = &write.body else { panic!() };
    assert_eq!(serde_json::from_slice::<Record>(value).unwrap().token, Some(Token::new(10)));
    hold.take(at(4_100), Event::Answered(ok(11)));
    assert_eq!(hold.deadline(), at(4_000 + 19_800));
    assert_eq!(send(&mut hold, at(8_000)).expect, 11);
}

#[test]
fn loss_is_told_by_the_clock_alone() {
    let mut hold = held(at(0));
    send(&mut hold, at(4_000));
    assert_eq!(hold.status(at(19_799)), Status::Held);
    assert_eq!(hold.status(at(19_800)), Status::Lost(Loss::Expired), "though nothing was taken since");
    hold.take(at(19_900), Event::Answered(ok(11)));
    assert_eq!(hold.status(at(19_900)), Status::Lost(Loss::Expired), "a late yes is no yes");
    assert_eq!(hold.next(at(19_900)), Command::Rest, "nothing that extends is sent");
}

#[test]
fn trouble_is_jeopardy_until_the_deadline() {
    let mut hold = held(at(0));
    send(&mut hold, at(4_000));
    hold.take(at(5_500), Event::Answered(UNKNOWN));
    assert_eq!(hold.status(at(5_500)), Status::Jeopardy);
    let again = send(&mut hold, at(5_500));
    assert_eq!(again.expect, 10);
    hold.take(at(5_700), Event::Answered(Err(WriteError::InFlight)));
    assert_eq!(hold.status(at(5_700)), Status::Jeopardy, "in flight is no loss");
    hold.take(at(5_710), Event::Answered(duplicate(11)));
    assert_eq!(hold.deadline(), at(19_800), "applied once: belief is not extended");
    assert_eq!(send(&mut hold, at(5_710)).expect, 11, "but at once confirmed");
    hold.take(at(5_720), Event::Answered(ok(12)));
    assert_eq!((hold.status(at(5_720)), hold.deadline()), (Status::Held, at(5_710 + 19_800)));
}

#[test]
fn a_leader_that_does_not_know_the_record_says_nothing_until_the_deadline() {
    let mut hold = held(at(0));
    send(&mut hold, at(4_000));
    hold.take(at(4_010), Event::Answered(conflict(0)));
    assert_eq!((hold.status(at(4_010)), hold.next(at(4_010))), (Status::Jeopardy, Command::Wait(at(4_100))));
    assert_eq!(send(&mut hold, at(4_110)).expect, 10);
    let mut ends = hold.clone();
    hold.take(at(4_120), Event::Answered(ok(11)));
    assert_eq!(hold.status(at(4_120)), Status::Held);
    // A release is repeated as well, until the record must have gone by its TTL: that it was released nobody has said.
    ends.take(at(4_120), release());
    send(&mut ends, at(4_120));
    ends.take(at(4_130), Event::Answered(conflict(0)));
    assert_eq!(ends.status(at(4_130)), Status::Released);
    send(&mut ends, at(4_230));
    ends.take(at(19_900), Event::Answered(conflict(0)));
    assert_eq!(ends.next(at(19_900)), Command::Wait(at(20_100)));
    assert_eq!(ends.next(at(27_110)), Command::Done(Released::Unknown));
}

#[test]
fn a_definite_no_is_a_loss_whose_reason_is_looked_up() {
    let mut hold = held(at(0));
    send(&mut hold, at(4_000));
    hold.take(at(4_010), Event::Answered(conflict(20)));
    assert_eq!(hold.next(at(4_010)), Command::Look(20));
    let mut broken = hold.clone();
    broken
        .take(at(4_020), Event::Found(Some(taken(20, Record { broken: Some("x".into()), ..record("me") }))));
    assert_eq!(broken.status(at(4_020)), Status::Lost(Loss::Broken("x".into())));
    broken.take(at(4_030), release());
    assert_eq!(send(&mut broken, at(4_030)).expect, 20, "the holder frees what was broken");
    hold.take(at(4_020), Event::Found(Some(taken(20, record("you")))));
    assert_eq!(hold.status(at(4_020)), Status::Lost(Loss::Taken));
    hold.take(at(4_030), release());
    assert_eq!(hold.next(at(4_030)), Command::Done(Released::Lost(Loss::Taken)), "nobody else's is touched");
}

/// Whenever an outage ends, the next try begins within 1.6 s, so that one of T − T/5 − 2 s costs nobody a lease.
#[test]
fn a_try_begins_every_second_and_a_half_while_nothing_is_answered() {
    let mut hold = held(at(0));
    let (mut now, mut begun) = (4_000, Vec::new());
    while now < 19_800 {
        match hold.next(at(now)) {
            Command::Send(_) => {
                begun.push(now);
                now += 1_500;
                hold.take(at(now), Event::Answered(UNKNOWN));
            }
            Command::Wait(until) => now = until.as_nanos() / 1_000_000,
            other => panic!("{other:?}"),
        }
    }
    assert!(begun.windows(2).all(|two| two[1] - two[0] <= 1_600), "{begun:?}");
    // A refusal at once is repeated after a pause, counted from when it was sent.
    let mut refused = held(at(0));
    send(&mut refused, at(4_000));
    refused.take(at(4_050), Event::Answered(Err(WriteError::NotTaken)));
    assert_eq!(refused.next(at(4_050)), Command::Wait(at(4_100)));
}

#[test]
fn a_no_from_a_server_that_was_left_behind_is_none() {
    let mut hold = held(at(0));
    let first = send(&mut hold, at(4_000));
    hold.take(at(4_010), Event::Answered(conflict(9)));
    assert_eq!(hold.status(at(4_010)), Status::Jeopardy, "our own revision is newer than what it knows");
    assert_eq!(hold.next(at(4_010)), Command::Wait(at(4_100)));
    assert_eq!(send(&mut hold, at(4_110)), first);
    hold.take(at(4_120), Event::Answered(ok(11)));
    assert_eq!(hold.status(at(4_120)), Status::Held);
}

#[test]
fn from_before_the_release_is_sent_nobody_holds() {
    let mut hold = held(at(0));
    hold.take(at(100), release());
    assert_eq!(hold.status(at(100)), Status::Released);
    let write = send(&mut hold, at(100));
    assert_eq!(write.expect, 10, "by CAS on the own revision");
    assert!(matches!(write.body, Body::Delete(_)));
    hold.take(at(110), Event::Answered(ok(11)));
    assert_eq!(hold.next(at(110)), Command::Done(Released::Clean));
}

#[test]
fn a_release_of_unknown_outcome_is_resolved() {
    let next_holder = Record {
        previous: Some(Previous {
            token: Token::new(10),
            holder: "o".into(),
            ended: "t".into(),
            why: End::Released,
        }),
        ..record("you")
    };
    let free = Slot::Free { revision: 11, previous: None, by: Some("me".into()) };
    // In the last case nobody can tell whether the release was applied or the grant broken just before: either way it
    // is another's now, and was ours until the release.
    for slot in [free, taken(12, next_holder), taken(12, record("you"))] {
        let mut hold = held(at(0));
        hold.take(at(100), release());
        let first = send(&mut hold, at(100));
        hold.take(at(1_600), Event::Answered(UNKNOWN));
        assert_eq!(send(&mut hold, at(1_700)), first, "the same write, the same id");
        hold.take(at(1_710), Event::Answered(conflict(slot.revision())));
        assert_eq!(hold.next(at(1_710)), Command::Look(slot.revision()));
        hold.take(at(1_720), Event::Found(Some(slot)));
        assert_eq!(hold.next(at(1_720)), Command::Done(Released::Clean));
    }
}

#[test]
fn a_release_that_finds_its_grant_broken_says_so() {
    let previous = |why| Some(Previous { token: Token::new(10), holder: "o".into(), ended: "t".into(), why });
    let broken = Slot::Free { revision: 11, previous: previous(End::Broken), by: Some(String::new()) };
    let next_holder = Record { previous: previous(End::Broken), ..record("you") };
    for slot in [broken, taken(12, next_holder)] {
        let mut hold = held(at(0));
        hold.take(at(100), release());
        send(&mut hold, at(100));
        hold.take(at(110), Event::Answered(Err(WriteError::InFlight)));
        send(&mut hold, at(115));
        hold.take(at(120), Event::Answered(conflict(slot.revision())));
        assert_eq!(hold.next(at(120)), Command::Look(slot.revision()));
        hold.take(at(130), Event::Found(Some(slot)));
        assert_eq!(hold.next(at(130)), Command::Done(Released::Lost(Loss::Taken)));
    }
}

#[test]
fn of_a_guarded_write_that_another_leader_may_have_taken_nobody_knows() {
    for behind in [conflict(9), conflict(0), Err(WriteError::InFlight)] {
        let mut hold = held(at(0));
        let (key, body) = ("data.v".to_owned(), Body::Put("1".into()));
        hold.take(at(100), Event::Guard(Guarded::Put { key, body, ttl_secs: 0 }));
        assert!(matches!(hold.next(at(100)), Command::Send(_)));
        hold.take(at(110), Event::Answered(behind));
        hold.take(at(111), release());
        assert_eq!(hold.guarded(), (1, Some(Outcome::Unknown)));
    }
}

#[test]
fn a_renewal_that_lands_late_does_not_keep_a_release_from_its_record() {
    let mut hold = held(at(0));
    send(&mut hold, at(4_000));
    hold.take(at(4_500), release());
    send(&mut hold, at(4_500));
    hold.take(at(4_510), Event::Answered(conflict(11)));
    assert_eq!(hold.next(at(4_510)), Command::Look(11));
    hold.take(at(4_520), Event::Found(Some(taken(11, record("me")))));
    assert_eq!(send(&mut hold, at(4_520)).expect, 11);
    hold.take(at(4_530), Event::Answered(ok(12)));
    assert_eq!(hold.next(at(4_530)), Command::Done(Released::Clean));
}

#[test]
fn after_the_deadline_ones_own_may_still_be_deleted() {
    let mut hold = held(at(0));
    hold.take(at(20_500), release());
    assert_eq!(send(&mut hold, at(20_500)).expect, 10);
    hold.take(at(20_510), Event::Answered(ok(11)));
    assert_eq!(hold.next(at(20_510)), Command::Done(Released::Lost(Loss::Expired)));
}

#[test]
fn an_unanswered_release_ends_when_the_record_must_have() {
    let mut hold = held(at(0));
    hold.take(at(100), release());
    for ms in (100..23_000).step_by(1_600) {
        if let Command::Send(_) = hold.next(at(ms)) {
            hold.take(at(ms + 1_500), Event::Answered(UNKNOWN));
        }
    }
    assert_eq!(hold.next(at(23_000)), Command::Done(Released::Unknown));
}

/// Whoever gives back what it had lost is told of the loss, however late, and whether or not the store answers.
#[test]
fn a_release_of_what_was_lost_says_lost() {
    let expired = Command::Done(Released::Lost(Loss::Expired));
    let mut late = held(at(0));
    late.take(at(23_500), release());
    assert_eq!(late.next(at(23_500)), expired);
    let mut unanswered = held(at(0));
    unanswered.take(at(19_900), release());
    send(&mut unanswered, at(19_900));
    unanswered.take(at(21_400), Event::Answered(UNKNOWN));
    assert_eq!(unanswered.next(at(23_000)), expired);
    // With its bucket the record went, so that nothing is left to be asked.
    let mut replaced = held(at(0));
    replaced.take(at(100), release());
    send(&mut replaced, at(100));
    replaced.take(at(200), Event::Lose(Loss::StoreRegressed));
    assert_ne!(replaced.next(at(200)), Command::Done(Released::Lost(Loss::StoreRegressed)));
    replaced.take(at(300), Event::Lose(Loss::BucketReplaced));
    assert_eq!(replaced.next(at(300)), Command::Done(Released::Lost(Loss::BucketReplaced)));
}

#[test]
fn a_reservation_names_the_next_and_is_nobodys_grant() {
    let mut hold = held(at(0));
    let next = Record { reserved: true, ..record("you") };
    hold.take(at(100), Event::End(Ending { why: End::Released, at: "t".into(), reserve_for: Some(next) }));
    let write = send(&mut hold, at(100));
    assert_eq!((write.expect, write.ttl_secs), (10, RESERVATION_SECS));
    let Body::Put(value) = write.body else { panic!() };
    let stored = serde_json::from_slice::<Record>(&value).unwrap();
    assert!(stored.reserved && stored.attempt == "you" && stored.token.is_none());
    assert_eq!(stored.previous.unwrap().token, Token::new(10));
}

#[test]
fn a_record_of_a_newer_version_counts_as_held() {
    let entry = |value: &str| crate::store::Entry {
        key: "lock.a".into(),
        revision: 5,
        body: Body::Put(value.to_owned().into()),
        ttl_secs: 0,
        written_micros: 0,
    };
    for foreign in [r#"{"v":2,"shape":"new"}"#, "not json", "", "{}"] {
        assert_eq!(Slot::of(Some(&entry(foreign))), Slot::Foreign { revision: 5 }, "{foreign}");
    }
}
