//! Attempts: ids that make a repeated `acquire` return the same lease.
//!
//! A client whose connection broke does not know whether it was granted the lock. It repeats the request with the
//! same id: if the first was granted, the repeat gets that lease; if the first still waits, the repeat waits for what
//! becomes of it, and stands in line anew if the first gives up or its connection is closed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::holders::Holders;
use crate::wire::{Code, Problem};

/// The longest attempt id.
const MAX_ATTEMPT: usize = 64;

/// Attempts are one user's, at one name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    uid: u32,
    name: String,
    attempt: String,
}

impl Key {
    /// The key of `attempt`, by the user `uid`, at the lock `name`.
    ///
    /// # Errors
    /// `invalid-attempt`.
    pub fn new(uid: u32, name: &str, attempt: &str) -> Result<Key, Problem> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if attempt.is_empty() || attempt.len() > MAX_ATTEMPT || !attempt.bytes().all(allowed) {
            let shown: String = attempt.chars().take(MAX_ATTEMPT).collect();
            let detail = format!("attempt {shown:?}: allowed are 1 to {MAX_ATTEMPT} of A-Z a-z 0-9 - _ . :");
            return Err(Problem::new(Code::InvalidAttempt, detail));
        }
        Ok(Key { uid, name: name.to_owned(), attempt: attempt.to_owned() })
    }
}

/// The id of the lease that the attempt was granted.
type Granted = Arc<tokio::sync::Mutex<Option<String>>>;

/// The attempts that are under way, or whose lease is still remembered.
#[derive(Debug, Default)]
pub struct Attempts {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    granted: BTreeMap<Key, Granted>,
    /// How many to let gather before those that are over are looked for again.
    enough: usize,
}

impl Known {
    /// Forgets attempts whose leases are forgotten, now and then: twice as many as there were last time.
    fn purge(&mut self, holders: &Holders) {
        if self.granted.len() >= self.enough {
            self.granted.retain(|_, granted| {
                Arc::strong_count(granted) > 1
                    || granted
                        .try_lock()
                        .is_ok_and(|id| id.as_deref().is_some_and(|id| holders.remembers(id)))
            });
            self.enough = (self.granted.len() * 2).max(64);
        }
    }
}

/// The right to try: one request per attempt has it at a time.
#[derive(Debug)]
pub struct Turn {
    attempts: Arc<Attempts>,
    key: Key,
    granted: Option<OwnedMutexGuard<Option<String>>>,
}

impl Attempts {
    /// Waits for the turn of this request. Cancel-safe.
    pub async fn turn(self: &Arc<Self>, key: Key, holders: &Holders) -> Turn {
        let granted = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.purge(holders);
            Arc::clone(known.granted.entry(key.clone()).or_default())
        };
        let granted = granted.lock_owned().await;
        Turn { attempts: Arc::clone(self), key, granted: Some(granted) }
    }
}

impl Turn {
    /// The lease that an earlier request of this attempt was granted.
    pub fn earlier(&self) -> Option<&str> {
        self.granted.as_ref()?.as_deref()
    }

    /// Remembers the lease that this request was granted.
    pub fn granted(mut self, id: &str) {
        if let Some(granted) = self.granted.as_mut() {
            **granted = Some(id.to_owned());
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let came_to_nothing = self.granted.take().is_some_and(|granted| granted.is_none());
        if came_to_nothing {
            let mut known = self.attempts.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.granted.get(&self.key).is_some_and(|granted| Arc::strong_count(granted) == 1) {
                known.granted.remove(&self.key);
            }
        }
    }
}
