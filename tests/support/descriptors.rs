//! How many descriptors a test may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises this process's limit of open files to what is allowed, for a test that has thousands of connections.
///
/// # Panics
/// If fewer than `wanted` are allowed.
pub fn raise_limit(wanted: u64) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let may = maximum.is_none_or(|maximum| maximum >= wanted);
    // Root may raise the maximum too.
    let limit = if may { maximum } else { Some(wanted) };
    setrlimit(Resource::Nofile, Rlimit { current: limit, maximum: limit }).unwrap_or_else(|error| {
        panic!("this test needs {wanted} open files, and {maximum:?} are allowed (`ulimit -Hn`): {error}")
    });
}
