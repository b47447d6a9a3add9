//! The judging half, on histories made by hand: every checker is seen to hold, and seen to be violated.

mod browser;
mod busy;
mod exclusion;
mod garbage;
mod store;
mod story;
mod time;
mod verdicts;
