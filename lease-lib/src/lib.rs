//! Distributed locks on NATS JetStream KV.

mod ambient;
mod breaking;
mod core;
mod error;
mod guard;
mod keeper;
mod lease;
mod lock;
mod name;
mod observe;
mod post;
mod presence;
pub mod protocol;
mod space;
pub mod store;
mod token;
mod waiter;

pub use ambient::{Ambient, Moment, SharedAmbient, System, fresh_id, sleep_until};
pub use error::Error;
pub use lease::Lease;
pub use lock::{Attempt, Lock, Waiting};
pub use name::{Filter, MAX_NAME, Name};
pub use observe::{Observation, Observer, Unobserved};
pub use protocol::line::Waiter;
pub use protocol::{DEFAULT_TTL, End, Holder, Loss, MAX_TTL, MIN_TTL, Previous, Status};
pub use space::{Seen, Space, SpaceOptions};
pub use token::Token;
