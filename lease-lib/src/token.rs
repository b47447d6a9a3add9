//! Fencing tokens.

use serde::{Deserialize, Serialize};

/// The number that fences a grant: of two grants of one name, the later has the higher token.
///
/// Hand it to whatever the lock protects and let *that* refuse a lower token than the highest it has seen: it is the
/// only thing that helps when a holder was paused past its deadline (Kleppmann, "How to do distributed locking",
/// 2016; Burrows, "The Chubby lock service", OSDI 2006, calls it a sequencer). It is the store's revision of the
/// write that granted the lease: a positive number below 2^53, exact in JSON and in a double.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(u64);

impl Token {
    /// The token of the grant that revision `revision` of the store made.
    pub const fn new(revision: u64) -> Token {
        Token(revision)
    }

    /// The token as a number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Token> for u64 {
    fn from(token: Token) -> u64 {
        token.0
    }
}
