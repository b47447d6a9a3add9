//! `[drain]`: how the daemon stops.

use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::Wrong;
use crate::wire::Span;

/// The longest that clients may be waited for.
const LONGEST: Span = Span(Duration::from_secs(3600));

/// The end of the daemon's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Drain {
    /// How long clients that were told to stop are waited for.
    pub within: Span,
}

/// The flags.
#[derive(Clone, Debug, Default, Args)]
pub struct DrainArgs {
    /// How long to wait, once told to stop, until clients have let go; what they hold then is left to its TTL
    /// [default: 8s]
    #[arg(long = "drain-within", env = "LEASE_DRAIN_WITHIN", value_name = "DUR", value_parser = Span::parse)]
    pub drain_within: Option<Span>,
}

impl Default for Drain {
    /// With what comes after it, the daemon has ended within the ten seconds that most supervisors give it.
    fn default() -> Drain {
        Drain { within: Span(Duration::from_secs(8)) }
    }
}

impl Drain {
    pub(super) fn override_with(&mut self, args: &DrainArgs) {
        self.within = args.drain_within.unwrap_or(self.within);
    }

    pub(super) fn check(&self) -> Result<(), Wrong> {
        Wrong::unless_within("drain.within", &self.within, &Span(Duration::ZERO), &LONGEST)
    }
}
