//! What each request may be refused with: every code, under its status.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, PartialSchema};

use super::answers::named;
use crate::wire::{Code, PROBLEM, Problem};

/// Some codes that go together.
pub(in crate::api) trait Codes {
    /// Which.
    fn codes() -> Vec<Code>;
}

/// The refusals of a request: those of each part of it, and what any request may be refused with.
pub(in crate::api) struct Refused<C>(PhantomData<C>);

/// Declares groups of codes.
macro_rules! groups {
    ($($(#[$doc:meta])* $name:ident: $($code:ident)*;)*) => {$(
        $(#[$doc])*
        pub(in crate::api) struct $name;

        impl Codes for $name {
            fn codes() -> Vec<Code> {
                vec![$(Code::$code),*]
            }
        }
    )*};
}

groups! {
    /// Whatever is asked.
    Any: Internal TooManyConnections TooManyConnectionsOfUser;
    /// A name in the path, and what the policy says of it.
    OfName: InvalidName Denied;
    /// A query, or one where none has a meaning.
    OfQuery: InvalidQuery;
    /// A filter, and what the policy says of it.
    OfFilter: InvalidFilter Denied;
    /// A body: without a query beside it, in time, and not too long.
    OfBody: InvalidQuery InvalidBody BodyTooLarge RequestTimeout;
    /// What only an operator may do.
    OfOperator: Denied;
    /// A ttl.
    OfTtl: InvalidTtl;
    /// Who it is and how long it takes.
    OfOwner: InvalidTtl InvalidOwner;
    /// What everybody may wish who wants to hold something.
    OfWishes: InvalidTtl InvalidOwner InvalidWait InvalidMetadata;
    /// The grace of a lock.
    OfGrace: InvalidGrace;
    /// The promise to be heard of.
    OfBeat: InvalidHeartbeat;
    /// The process that a lease is bound to.
    OfProcess: ForeignPidNamespace InvalidPid ProcessDenied ProcessGone TooManyBound;
    /// An attempt, and what became of it.
    OfAttempt: InvalidAttempt AttemptEnded Lost;
    /// The limit of a semaphore.
    OfLimit: InvalidLimit LimitMismatch;
    /// A list of names, and what the policy says of each.
    OfNames: InvalidName InvalidNames Denied;
    /// A value.
    OfValue: InvalidValue;
    /// A seat for whoever waits, and a place for what is granted.
    Seats: TooMany TooManyLeases TooManyLeasesOfUser TooManyWaiters TooManyWaitersOfName TooManyWaitersOfUser;
    /// Waiting in line.
    Waiting: Held WaitElapsed TooMany TooManyLeases TooManyLeasesOfUser TooManyWaiters TooManyWaitersOfName
        TooManyWaitersOfUser;
    /// Granting from, or writing to, the store.
    Writing: Draining StoreUnreachable StoreDenied StoreUnsafe StoreRegressed BucketQuiet OutcomeUnknown;
    /// Looking into the store.
    Looking: StoreUnreachable StoreDenied StoreUnsafe StoreRegressed TooMany;
    /// A watch.
    Watching: TooManyWatches TooManyWatchesOfUser;
    /// A lease by its id.
    ALease: UnknownLease Lost;
    /// What not every kind of lease can do, nor any number of times at once.
    OfKind: WrongKind TooMany;
    /// Handing over.
    HandingOver: InvalidOwner NobodyWaits WrongKind;
    /// Breaking by force.
    OfToken: TokenMismatch;
    /// A candidate by its id.
    OfCandidate: UnknownCandidate;
    /// What may be absent.
    Absent: NotFound;
}

impl Codes for () {
    fn codes() -> Vec<Code> {
        Vec::new()
    }
}

macro_rules! together {
    ($($($part:ident)+;)*) => {$(
        impl<$($part: Codes),+> Codes for ($($part,)+) {
            fn codes() -> Vec<Code> {
                [$($part::codes()),+].concat()
            }
        }
    )*};
}

together! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
}

impl<C: Codes> IntoResponses for Refused<C> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
        let mut codes = <(C, Any)>::codes();
        codes.sort_unstable();
        codes.dedup();
        for code in codes {
            by_status.entry(code.status()).or_default().push(code);
        }
        let described =
            by_status.iter().map(|(status, codes)| (status.to_string(), refusal(*status, codes).into()));
        described.collect()
    }
}

/// All refusals of one status.
fn refusal(status: u16, codes: &[Code]) -> Response {
    let words: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
    let described = format!("Refused: `{}`.", words.join("`, `"));
    let code = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words));
    let problem =
        AllOfBuilder::new().item(named::<Problem>()).item(ObjectBuilder::new().property("code", code));
    let response = ResponseBuilder::new().description(described);
    let response = response.content(PROBLEM, ContentBuilder::new().schema(Some(problem)).build());
    match status {
        409 | 429 | 503 => response.header_ref(RETRY_AFTER, Ref::new(RETRY_AFTER_REF)).build(),
        _ => response.build(),
    }
}

/// Where the document describes the header.
const RETRY_AFTER_REF: &str = "#/components/headers/Retry-After";

/// The header of refusals that say when to try again.
pub(super) const RETRY_AFTER: &str = "Retry-After";

/// What it means.
pub(super) fn retry_after() -> Header {
    let what = "Whole seconds, where the problem's `retry` is a number of milliseconds.";
    HeaderBuilder::new().schema(Some(u64::schema())).description(Some(what)).build()
}
