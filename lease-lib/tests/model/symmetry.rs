//! Worlds that differ only in who is who count as one.
//!
//! Nothing in the protocol depends on a name, so a world is hashed with its contenders in the order of what they are
//! like, and with the names that belong to the ranks in that order. Names are capitals, which nothing else in a record
//! or an id is. Where two contenders are alike in all but what others know of them, the order is arbitrary, and two
//! worlds are explored where one would do.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::contender::Contender;
use crate::world::World;

/// As many as any run has.
pub(crate) const NAMES: [&str; 3] = ["A", "B", "C"];

/// Passes on what is hashed, with other names. Numbers are left alone.
struct Renaming<'a, H> {
    inner: &'a mut H,
    /// What stands for each of [`NAMES`].
    names: [u8; NAMES.len()],
}

macro_rules! pass_on {
    ($($name:ident: $number:ty),*) => {
        $(fn $name(&mut self, number: $number) {
            self.inner.$name(number);
        })*
    };
}

impl<H: Hasher> Hasher for Renaming<'_, H> {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(64) {
            let mut renamed = [0; 64];
            for (to, from) in renamed.iter_mut().zip(chunk) {
                let rank = from.wrapping_sub(b'A') as usize;
                *to = if rank < NAMES.len() { self.names[rank] } else { *from };
            }
            self.inner.write(&renamed[..chunk.len()]);
        }
    }

    pass_on!(write_u8: u8, write_u16: u16, write_u32: u32, write_u64: u64, write_u128: u128, write_usize: usize);
    pass_on!(write_i8: i8, write_i16: i16, write_i32: i32, write_i64: i64, write_i128: i128, write_isize: isize);

    fn finish(&self) -> u64 {
        self.inner.finish()
    }
}

/// What a contender is like, whoever it is and whoever the others are.
pub(crate) fn likeness(contender: &Contender) -> u64 {
    let mut names = [b'-'; NAMES.len()];
    if let Some(own) = NAMES.iter().position(|name| *name == contender.name) {
        names[own] = b'+';
    }
    let mut hasher = DefaultHasher::new();
    contender.hash(&mut Renaming { inner: &mut hasher, names });
    hasher.finish()
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let holder = self.store.record().map(|record| record.attempt.as_str());
        let mut order: Vec<&Contender> = self.contenders.iter().map(AsRef::as_ref).collect();
        order.sort_by_cached_key(|contender| (contender.likeness, holder == Some(&contender.nonce())));
        let mut names = [b'?'; NAMES.len()];
        for (rank, contender) in order.iter().enumerate() {
            if let Some(k) = NAMES.iter().position(|name| *name == contender.name) {
                names[k] = NAMES[rank].as_bytes()[0];
            }
        }
        let World { tick, faults, crashes, restarts, handovers, marks, removals, highest, foul, .. } = self;
        let state = &mut Renaming { inner: state, names };
        (tick, faults, crashes, restarts, handovers, marks, removals, highest, foul).hash(state);
        (self.store.last, &self.store.kept).hash(state);
        for contender in order {
            // Ids that were applied are remembered for as long as one of these names them.
            (contender, self.store.applied.get(&contender.last_id)).hash(state);
        }
        let mut strays: Vec<u64> = self.strays.iter().map(|write| renamed(write.as_ref(), names)).collect();
        strays.sort_unstable();
        strays.hash(state);
    }
}

fn renamed(what: &impl Hash, names: [u8; NAMES.len()]) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut Renaming { inner: &mut hasher, names });
    hasher.finish()
}
