//! The judging half, on histories made by hand: every checker is seen to hold, and seen to be violated.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod belief;
mod browser;
mod busy;
mod exclusion;
mod garbage;
mod library;
mod line;
mod store;
mod story;
mod time;
mod verdicts;
