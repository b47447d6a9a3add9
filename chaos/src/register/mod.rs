//! What the locks protect: registers that know the highest token of each resource, refuse lower ones, and say what
//! stood there before. One request and one answer a line, as JSON, over TCP.

mod client;
mod serve;

use serde::{Deserialize, Serialize};

pub use client::Client;
pub use serve::serve;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Write, under this token.
    Write {
        /// What.
        resource: String,
        /// The writer's token.
        token: u64,
        /// What is to stand there.
        value: u64,
    },
    /// Read.
    Read {
        /// What.
        resource: String,
    },
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Whether a write was taken; true for a read.
    pub accepted: bool,
    /// What stood there before the write, or stands there; 0 for nothing.
    pub value: u64,
}
