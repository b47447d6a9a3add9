//! Exit codes: those of section 5 of the contract, in one place.

/// How a run of the command line ends, as its parent sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exit(u8);

impl Exit {
    /// All went well.
    pub(super) const OK: Exit = Exit(0);
    /// The command line makes no sense: `EX_USAGE`.
    pub(super) const USAGE: Exit = Exit(64);
    /// Store or daemon out of reach: `EX_UNAVAILABLE`.
    pub(super) const UNAVAILABLE: Exit = Exit(69);
    /// Held by somebody else, or waited too long: `EX_TEMPFAIL`. `-E` sets another.
    pub(super) const BUSY: Exit = Exit(75);
    /// Not allowed: `EX_NOPERM`.
    pub(super) const DENIED: Exit = Exit(77);
    /// The lease was lost while the command ran.
    pub(super) const LOST: Exit = Exit(79);
    /// The command is there but cannot be executed, as a shell says it.
    pub(super) const NOT_EXECUTABLE: Exit = Exit(126);
    /// There is no such command, as a shell says it.
    pub(super) const NOT_FOUND: Exit = Exit(127);

    /// Any code: the command's own, or what `-E` asks for.
    pub(super) const fn code(code: u8) -> Exit {
        Exit(code)
    }

    /// Ended by a signal: 128 + its number.
    pub(super) fn signal(number: i32) -> Exit {
        // Signal numbers end at 64; the mask only keeps the conversion from failing.
        Exit(128 | u8::try_from(number & 0x7f).unwrap_or_default())
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn signals_count_from_128() {
        assert_eq!(Exit::signal(15), Exit::code(143));
        assert_eq!(Exit::signal(9), Exit::code(137));
        assert_eq!(Exit::signal(64), Exit::code(192));
    }
}
