//! The sidecar that gives distributed locks to any language over a Unix socket, and the command line `lease`.
//!
//! ```text
//!   listen ─► serve ─► api/* ─────► holders ─► held ◄── orders, fate ──► keeper ─► grip ─► the library's lease
//!   socket    HTTP,    one file     the table  one lease as             one task    one of any kind,
//!   file      hang-up  a resource              others see it            each        or several together
//!              │       └► candidates: what else lasts as long as a connection
//!              ├► access ─► policy, audit: whether this client may do that
//!              └► limits ─► seats: whether there is room; unread: whether the client reads
//!   cli ─► the same API, of a daemon or within its own process
//! ```
//!
//! [`wire`] is what travels over the socket, [`wire::problem`] how it is refused; the daemon and its clients share both.

pub mod access;
pub mod activation;
pub mod api;
pub mod app;
pub mod attempts;
pub mod audit;
pub mod beats;
pub mod bound;
pub mod candidates;
pub mod cli;
pub mod config;
mod convert;
pub mod drain;
pub mod failure;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod grip;
pub mod hangup;
pub mod held;
pub mod holders;
pub mod keeper;
pub mod limits;
pub mod listen;
pub mod metrics;
pub mod peer;
pub mod policy;
pub mod reload;
pub mod seats;
pub mod serve;
pub mod socket_path;
pub mod start;
pub mod supervisor;
pub mod unread;
pub mod watchdog;
pub mod wire;
