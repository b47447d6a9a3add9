//! The sidecar as its users meet it: a real process behind a real socket.
//!
//! Most of it runs on the embedded store, which keeps to the same definition as NATS; where the store's own time or
//! two daemons matter, on a real server.

mod access;
mod acquire;
mod attempt;
mod beats;
mod bound;
mod bounds;
mod client;
mod crash;
mod doctor;
mod drain;
mod handed;
mod hold;
mod inputs;
mod kinds;
mod logins;
mod manifests;
mod measured;
mod metrics;
mod openapi;
mod policy;
mod problem;
mod settings;
mod start;
mod systemd;
mod turns;
mod watching;

use std::time::Duration;

/// Longer than anything here takes that needs no store's TTL.
const SOON: Duration = Duration::from_secs(10);
