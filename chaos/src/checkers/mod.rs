//! One file for each promised property: a pure function from a [`Run`] to a [`Finding`].
//!
//! A checker that had nothing to look at says `untested`, never `holds`. What is only shown (an overlap while a process
//! was paused on purpose) stands beside the verdict and does not change it.

mod asking;
mod belief;
mod cause;
mod fenced;
mod finding;
mod free;
mod grounded;
mod history;
mod holder;
mod kept;
mod leaks;
mod line;
mod notice;
mod noticed;
mod once;
mod out;
mod ownership;
mod places;
mod progress;
mod register;
mod rising;
mod store;
mod succession;
mod trying;
mod turn;
mod use_after_loss;
mod weakness;

pub mod audit;
pub mod fault;
pub mod operation;
pub mod run;

pub use finding::{Evidence, Finding, Status};
pub use run::Run;

/// How late a process may come to say what it knows, on a busy machine: 200 ms.
pub const SCHEDULING_NS: u64 = 200_000_000;

/// What a checker is.
pub type Check = fn(&Run) -> Finding;

/// Every checker, in the order of the report.
pub const ALL: [Check; 22] = [
    history::check,
    holder::check,
    once::check,
    rising::check,
    fenced::check,
    register::check,
    belief::check,
    grounded::check,
    notice::check,
    cause::check,
    use_after_loss::check,
    ownership::check,
    succession::check,
    line::check,
    turn::check,
    kept::check,
    progress::check,
    free::check,
    leaks::check,
    asking::check,
    trying::check,
    store::check,
];

/// All findings.
pub fn all(run: &Run) -> Vec<Finding> {
    // Of what only some scenarios try, others need not say that it is untested.
    let weakness = (!run.weaknesses.is_empty()).then_some(weakness::check as Check);
    let noticed = noticed::concerns(run).then_some(noticed::check as Check);
    let out = out::concerns(run).then_some(out::check as Check);
    ALL.iter().copied().chain(out).chain(noticed).chain(weakness).map(|check| check(run)).collect()
}

/// A length of time for people.
pub fn length(ns: u64) -> String {
    let (us, ms) = (ns / 1_000, ns / 1_000_000);
    match ns {
        0..1_000_000 => format!("{us} µs"),
        1_000_000..10_000_000 => format!("{}.{} ms", ms, us % 1_000 / 100),
        10_000_000..1_000_000_000 => format!("{ms} ms"),
        _ => format!("{}.{:02} s", ms / 1_000, ms % 1_000 / 10),
    }
}
