//! Which key is what. Kinds are independent name spaces.

/// The ownership record of a lock.
pub fn lock(name: &str) -> String {
    format!("lock.{name}")
}

/// What the candidates of an election contend for.
pub fn elect(name: &str) -> String {
    format!("elect.{name}")
}

/// What those who want a permit of a semaphore stand in line for; no key itself.
pub fn permits(name: &str) -> String {
    format!("sem.{name}")
}

/// A semaphore's slot, counted from 0.
pub fn slot(name: &str, index: u32) -> String {
    format!("sem.{name}.{index}")
}

/// What is agreed on about a semaphore.
pub fn limit(name: &str) -> String {
    format!("sem.{name}.limit")
}

/// A reader of a shared lock. Ids hold no dot.
pub fn reader(name: &str, id: &str) -> String {
    format!("read.{name}.{id}")
}

/// A group; no key itself.
pub fn group(name: &str) -> String {
    format!("group.{name}")
}

/// A member of a group. Ids hold no dot, so the last token is the id and the rest is the group's name.
pub fn member(name: &str, id: &str) -> String {
    format!("group.{name}.{id}")
}

/// All members of a group, and of no other: a group whose name begins with this one's has longer keys.
pub fn members(name: &str) -> String {
    format!("group.{name}.*")
}

/// The group and the id of the member whose record has this key.
pub fn name_of_member(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix("group.")?.rsplit_once('.')
}

/// A place in the line for what is called `wanted`: a record's key, or [`permits`]. Ids hold no dot, so the last token is
/// the id and the rest is what is wanted.
pub fn place(wanted: &str, id: &str) -> String {
    format!("line.{wanted}.{id}")
}

/// All places in the line for what is called `wanted`.
pub fn line(wanted: &str) -> String {
    format!("line.{wanted}.*")
}

/// The presence of a process: exists while the process lives and waits for something.
pub fn here(process: &str) -> String {
    format!("here.{process}")
}

/// The note that the store's revisions went backwards, or that an operator accepted it.
pub const REGRESSION: &str = "space.regression";

/// Whether `filter` over names selects the lock whose record has this key; gives its name.
pub fn name_of_lock(key: &str) -> Option<&str> {
    key.strip_prefix("lock.")
}
