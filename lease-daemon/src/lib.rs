//! The sidecar that gives distributed locks to any language over a Unix socket, and the command line `lease`.

pub mod problem;
pub mod socket_path;
pub mod span;
pub mod wire;
