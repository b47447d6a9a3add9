//! The pure protocol, explored exhaustively: every order in which a few steps can come, within bounds.
//!
//! ```text
//!   contender A      contender B      contender C        each the real Claim and Hold, driven as the library does
//!        │ requests       │ requests       │             lost, late, doubled, refused; reads failed or old;
//!        ▼                ▼                ▼             machines that stand still, die and begin anew
//!   ┌───────────────────────────────────────────┐
//!   │ one record: revision, value, when it went │        removed as early as the slack allows, or late;
//!   └───────────────────────────────────────────┘        an operator who breaks or removes it
//! ```
//!
//! A step is an [`actions::Action`]; what must hold in every world is in `properties.rs`; what every exploration must have
//! come across, so that it is worth its name, in `seen.rs`; wrong protocols that must be refuted in `mutant.rs`. Time is a
//! clock of whole seconds, and every contender's own runs 1 % slow, the worst that the contract allows. Worlds that differ
//! only in who is who count as one (`symmetry.rs`).
//!
//! ```sh
//! cargo test -p lease-lib --test model -- --nocapture                          # small bounds, and the wrong protocols
//! cargo test --release -p lease-lib --test model -- --ignored --nocapture     # the large ones
//! ```
//!
//! **Not covered**: the line (who tries next), which decides nothing; more than one name; what the keeper and the waiter
//! make of the protocol between two steps, which is what the simulation is for; clocks that break the contract.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may end at once")]

mod actions;
mod bounds;
mod claiming;
mod contender;
mod explore;
mod holding;
mod mutant;
mod network;
mod progress;
mod properties;
mod seen;
mod store;
mod story;
mod symmetry;
mod world;

use std::time::Duration;

use bounds::{Bounds, Repeats};
use mutant::Mutant;

/// Two cores are what a small machine has.
const THREADS: usize = 2;

/// What every large exploration here has at the least.
const SMALL: Bounds = Bounds {
    contenders: 2,
    ttl_secs: 3,
    slack_secs: 1,
    late: 1,
    horizon: 5,
    attempts: 2,
    all_restarts: 1,
    claims: 1,
    crashes: 1,
    all_crashes: 1,
    faults: 1,
    all_faults: 1,
    handovers: 1,
    marks: 0,
    removals: 0,
    repeats: Repeats::ById,
    ask_progress_everywhere: false,
    mutant: None,
};

/// Explores all of it: nothing is broken, and nothing that should happen is missing.
fn holds(title: &str, bounds: Bounds) {
    let outcome = explore::explore(title, bounds, THREADS);
    let broken: Vec<&str> = outcome.failed.iter().map(|(property, _)| *property).collect();
    assert!(broken.is_empty(), "broken: {broken:?}; the ways there are printed above");
    assert!(outcome.unseen.is_empty(), "never seen: {:?}", outcome.unseen);
}

#[test]
fn two_contenders() {
    holds("two contenders, for a short time", Bounds { ttl_secs: 2, horizon: 4, ..SMALL });
}

#[test]
#[ignore = "seconds in release, in `tests/run long`"]
fn two_contenders_for_longer() {
    holds("two contenders", SMALL);
}

#[test]
#[ignore = "7 minutes and 1.3 GB on two cores in release, with --ignored"]
fn two_contenders_that_an_operator_breaks() {
    holds("two contenders and an operator", Bounds { marks: 1, removals: 1, ..SMALL });
}

#[test]
#[ignore = "5 minutes on two cores in release, with --ignored"]
fn two_contenders_with_two_faults() {
    let bounds = Bounds { ttl_secs: 2, claims: 2, all_restarts: 9, faults: 2, all_faults: 2, ..SMALL };
    holds("two contenders, two faults", bounds);
}

#[test]
#[ignore = "seconds in release, in `tests/run long`"]
fn two_contenders_of_a_store_with_one_replica() {
    let bounds = Bounds { repeats: Repeats::ByRevision, ask_progress_everywhere: true, ..SMALL };
    holds("two contenders, one replica", bounds);
}

#[test]
#[ignore = "half a minute in release, in `tests/run long`"]
fn three_contenders() {
    holds("three contenders", Bounds { contenders: 3, ..SMALL });
}

/// Each wrong protocol, the bounds within which it shows, and the property that it breaks first.
#[test]
fn wrong_protocols_are_refuted() {
    let small = Bounds { ttl_secs: 2, horizon: 4, ..SMALL };
    let operator = Bounds { marks: 1, removals: 1, ..small };
    for (mutant, bounds, property) in [
        (Mutant::ReleaseWithoutCas, small, properties::UNTOUCHED),
        (Mutant::DeadlineFromTheAnswer, small, properties::RECORD_STANDS),
        (Mutant::NoMargin, small, properties::RECORD_STANDS),
        (Mutant::RenewalWithoutTtl, small, properties::ALL_SERVED),
        (Mutant::DuplicateStands, operator, properties::RECORD_STANDS),
        (Mutant::UnknownIsNo, small, properties::NOTHING_LEFT),
        (Mutant::UnknownIsYes, small, properties::RECORD_STANDS),
        (Mutant::LateYesCounts, small, properties::NO_RETURN),
        (Mutant::MarkOverlooked, operator, properties::MARK_STANDS),
    ] {
        let bounds = Bounds { mutant: Some(mutant), ..bounds };
        let outcome = explore::refute(bounds, &[property], Duration::from_secs(120));
        let broken: Vec<&str> = outcome.failed.iter().map(|(property, _)| *property).collect();
        assert!(broken.contains(&property), "{mutant:?} should break {property:?}, and broke {broken:?}");
    }
}
