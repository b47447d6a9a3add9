//! The watches that are open: each needs memory of its own, so there is a bound.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::wire::{Code, Problem, Retry};

/// The most watches at a time.
pub const MAX_WATCHES: usize = 256;

/// The open watches of this daemon.
#[derive(Debug)]
pub struct Watches {
    seats: Arc<Semaphore>,
}

impl Default for Watches {
    fn default() -> Watches {
        Watches { seats: Arc::new(Semaphore::new(MAX_WATCHES)) }
    }
}

impl Watches {
    /// A seat for one watch of the user `uid`; given back when dropped.
    ///
    /// # Errors
    /// `too-many-watches`.
    pub fn seat(&self, uid: u32) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.seats).try_acquire_owned().map_err(|_| {
            tracing::warn!(uid, "refused a watch: there are {MAX_WATCHES}");
            let detail = format!("{MAX_WATCHES} watches are open, the most that this daemon serves");
            Problem::new(Code::TooManyWatches, detail).retry(Retry::After(1000))
        })
    }
}
