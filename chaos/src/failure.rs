//! Why a run could not be made: nothing that was found by it.

use std::fmt;

/// Usage: an argument that makes no sense.
pub const USAGE: u8 = 64;
/// Something that the machine must have is not there.
pub const UNAVAILABLE: u8 = 69;
/// Anything else.
pub const INTERNAL: u8 = 70;

/// What went wrong, for a person, and the exit code for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// What went wrong, and what to do about it.
    pub text: String,
}

impl Failure {
    /// Something that nobody thought of.
    pub fn internal(text: impl Into<String>) -> Failure {
        Failure { code: INTERNAL, text: text.into() }
    }

    /// The machine lacks something.
    pub fn unavailable(text: impl Into<String>) -> Failure {
        Failure { code: UNAVAILABLE, text: text.into() }
    }

    /// An argument makes no sense.
    pub fn usage(text: impl Into<String>) -> Failure {
        Failure { code: USAGE, text: text.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::internal(error.to_string())
    }
}
