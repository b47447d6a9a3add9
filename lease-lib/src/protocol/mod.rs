//! The protocol, pure: no async, no clock, no IO. Events go in, commands come out.
//!
//! ```text
//!              Claim                               Hold
//!   idle ── granting write ──► granted ──► renew every T/5 ──► released
//!             │  Cas: one          │            │  Cas                ▲
//!             │  logical write,    │            ▼                     │
//!             ▼  however often     │          lost: the deadline      │
//!          not mine  it is sent    └───────── passed, or a CAS said ──┘
//!                                             that it is not ours
//! ```
//!
//! [`Cas`] turns "yes", "no", "try again" and silence into a verdict about *one logical write*; [`Claim`] wins a
//! record with it; [`Hold`] keeps it, loses it in time, and gives it back. [`mod@line`] decides who tries next. The
//! record is in [`Record`], the numbers in [`Times`].

mod cas;
mod claim;
mod claim_all;
mod command;
mod ending;
mod gate;
mod guarded;
mod hold;
pub mod key;
pub mod line;
#[cfg(test)]
mod line_props;
mod loss;
mod pauses;
mod payload;
mod record;
#[cfg(test)]
mod record_props;
#[cfg(test)]
mod tests;
mod times;
mod transition;

pub use cas::{Cas, Step};
pub use claim::{Claim, ClaimStep};
pub use claim_all::{AllStep, ClaimAll, Part};
pub use command::{Command, Event};
pub use ending::{Ended, Ending, RESERVATION_SECS, Released};
pub use gate::{Gate, Request};
pub use guarded::{Guarded, Outcome};
pub use hold::Hold;
pub use loss::{Loss, Status};
pub(crate) use pauses::Pauses;
pub use payload::{MAX_PAYLOAD, Payload};
pub use record::{End, Holder, MARKER_SECS, Previous, Record, Slot};
pub use times::{DEFAULT_TTL, MAX_TTL, MIN_TTL, Times};
pub use transition::{Known, Transition};
