//! Breaks a real cluster under real clients from a seed, and checks what they saw.
//!
//! ```text
//!   scenario ─► runner ─┬─ cluster    three servers, each a host of its own
//!      seed             ├─ nemeses    break it, and heal it
//!                       ├─ workers    processes that hold and use locks; they say what they ask and hear
//!                       └─ auditor    reads every revision as it is written
//!                             │
//!                             ▼
//!                       history.jsonl ─► checkers ─► verdict ─► report
//! ```

pub mod auditor;
pub mod availability;
pub mod checkers;
pub mod clock;
pub mod cluster;
pub mod crew;
pub mod history;
pub mod interrupt;
pub mod judge;
pub mod linear;
pub mod nemesis;
pub mod pulse;
pub mod recorder;
pub mod register;
pub mod report;
pub mod runner;
pub mod scenario;
pub mod shell;
pub mod traffic;
pub mod tries;
pub mod verdict;
pub mod weakness;
pub mod worker;
