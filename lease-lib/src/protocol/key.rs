//! Which key is what. Kinds are independent name spaces.

/// The ownership record of a lock.
pub fn lock(name: &str) -> String {
    format!("lock.{name}")
}

/// A place in the line for a lock. Ids hold no dot, so the last token is the id and the rest is the name.
pub fn place(name: &str, id: &str) -> String {
    format!("line.lock.{name}.{id}")
}

/// All places in the line for a lock.
pub fn line(name: &str) -> String {
    format!("line.lock.{name}.*")
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
