//! Why the daemon did not start, and with which exit code.

use std::fmt::Display;
use std::process::ExitCode;

use lease::Error;

use crate::listen::ListenError;

/// Why the daemon ends without having been told to. One line for people, one code for supervisors (`sysexits`).
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    text: String,
    code: u8,
}

impl Failure {
    /// `EX_USAGE`, for flags and variables that make no sense.
    pub fn usage(error: impl Display) -> Failure {
        Failure { text: error.to_string(), code: 64 }
    }

    /// `EX_CONFIG`, for a configuration file that cannot be read or makes no sense.
    pub fn config(error: impl Display) -> Failure {
        Failure { text: error.to_string(), code: 78 }
    }

    /// `EX_SOFTWARE`.
    pub fn internal(error: impl Display) -> Failure {
        Failure { text: error.to_string(), code: 70 }
    }

    /// `EX_CANTCREAT`, for an address that cannot be listened at.
    pub fn listen(error: impl Display) -> Failure {
        Failure { text: error.to_string(), code: 73 }
    }

    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl From<ListenError> for Failure {
    fn from(error: ListenError) -> Failure {
        Failure::listen(error)
    }
}

impl From<Error> for Failure {
    /// `EX_NOPERM`, `EX_UNAVAILABLE`, or `EX_CONFIG` for what an operator must mend.
    fn from(error: Error) -> Failure {
        let code = match error {
            Error::Denied(_) => 77,
            Error::Unreachable(_) | Error::Unknown(_) => 69,
            Error::UnsafeBucket { .. }
            | Error::ServerTooOld { .. }
            | Error::InvalidName { .. }
            | Error::InvalidSetting { .. } => 78,
            _ => 70,
        };
        Failure { text: error.to_string(), code }
    }
}
