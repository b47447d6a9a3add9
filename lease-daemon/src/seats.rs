//! What can be used up: so many in all, so many of one user, so many for one name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::wire::{Code, Problem};

/// How soon it makes sense to ask again.
const SOON: Duration = Duration::from_secs(1);

/// A bound, and how it is called.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// The most at a time.
    pub most: u32,
    /// Its key in the configuration.
    pub key: &'static str,
    /// What is answered beyond it.
    pub code: Code,
}

/// The bounds of one kind of thing.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The things: `connections`.
    pub what: &'static str,
    /// In all.
    pub all: Bound,
    /// Of one user.
    pub user: Bound,
    /// For one name, where there are names.
    pub name: Option<Bound>,
}

/// Counts what is taken.
#[derive(Debug)]
pub struct Seats {
    bounds: Bounds,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: u32,
    users: BTreeMap<u32, u32>,
    names: BTreeMap<String, u32>,
}

/// One that is taken; given back when dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    uid: u32,
    names: Vec<String>,
}

impl Seats {
    /// None are taken.
    pub fn new(bounds: Bounds) -> Arc<Seats> {
        Arc::new(Seats { bounds, taken: Mutex::default() })
    }

    /// Takes one for a user, and for each of these names.
    ///
    /// # Errors
    /// The bound that is reached.
    pub fn take(self: &Arc<Seats>, uid: u32, names: Vec<String>) -> Result<Seat, Problem> {
        let mut taken = self.taken();
        self.room(&taken, uid, &names)?;
        taken.all += 1;
        *taken.users.entry(uid).or_default() += 1;
        for name in &names {
            *taken.names.entry(name.clone()).or_default() += 1;
        }
        Ok(Seat { seats: Arc::clone(self), uid, names })
    }

    /// Whether the user could take one now.
    ///
    /// # Errors
    /// The bound that is reached.
    pub fn has_room(&self, uid: u32) -> Result<(), Problem> {
        self.room(&self.taken(), uid, &[])
    }

    fn room(&self, taken: &Taken, uid: u32, names: &[String]) -> Result<(), Problem> {
        let Bounds { what, all, user, name } = self.bounds;
        let full = |bound: Bound, whose: &str| {
            let Bound { most, key, code } = bound;
            let detail =
                format!("there are {most} {what}{whose}, the most that this daemon allows (limits.{key})");
            Err(Problem::new(code, detail).retry(SOON))
        };
        if taken.all >= all.most {
            return full(all, "");
        }
        let of_user = taken.users.get(&uid).copied().unwrap_or_default();
        if of_user >= user.most {
            return full(user, &format!(" of user {uid}"));
        }
        let Some(bound) = name else { return Ok(()) };
        match names.iter().find(|name| taken.names.get(*name).is_some_and(|count| *count >= bound.most)) {
            Some(name) => full(bound, &format!(" for {name}")),
            None => Ok(()),
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        taken.all = taken.all.saturating_sub(1);
        give_back(&mut taken.users, &self.uid);
        for name in &self.names {
            give_back(&mut taken.names, name);
        }
    }
}

/// One less, and nothing remembered of what has none.
fn give_back<K: Ord>(counts: &mut BTreeMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats() -> Arc<Seats> {
        let bound = |most, key, code| Bound { most, key, code };
        Seats::new(Bounds {
            what: "waiters",
            all: bound(5, "waiters", Code::TooManyWaiters),
            user: bound(3, "waiters-per-user", Code::TooManyWaitersOfUser),
            name: Some(bound(2, "waiters-per-name", Code::TooManyWaitersOfName)),
        })
    }

    #[test]
    fn each_bound_has_its_code_and_what_is_given_back_can_be_taken_again() {
        let seats = seats();
        let take = |uid, name: &str| seats.take(uid, vec![name.to_owned()]);
        let code = |uid, name: &str| take(uid, name).map(drop).map_err(|problem| problem.code);
        let first = take(1, "a").unwrap();
        let _second = take(2, "a").unwrap();
        assert_eq!(code(3, "a"), Err(Code::TooManyWaitersOfName));
        let _others = (take(1, "b").unwrap(), take(1, "c").unwrap());
        assert_eq!(code(1, "d"), Err(Code::TooManyWaitersOfUser));
        assert_eq!(seats.has_room(1).map_err(|problem| problem.code), Err(Code::TooManyWaitersOfUser));
        let _last = take(2, "b").unwrap();
        let full = take(3, "d").unwrap_err();
        assert_eq!((full.code, full.detail.contains("there are 5 waiters, ")), (Code::TooManyWaiters, true));
        drop(first);
        assert_eq!(code(3, "a"), Ok(()));
        assert_eq!(code(1, "d"), Ok(()));
    }

    #[test]
    fn nothing_is_remembered_of_those_who_left() {
        let seats = seats();
        for uid in 0..1000 {
            drop(seats.take(uid, vec![format!("n{uid}"), "all".to_owned()]).unwrap());
        }
        let taken = seats.taken();
        assert_eq!((taken.all, taken.users.len(), taken.names.len()), (0, 0, 0));
    }
}
