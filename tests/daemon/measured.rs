//! Milliseconds, a thousand connections, and how soon all are served again: `tests/run` runs these, and each file's own
//! `measured`, with nothing beside them.

mod elected;
mod limits;
mod restart;
