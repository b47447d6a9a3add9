//! Milliseconds, and a thousand connections: `tests/run` runs these, and each file's own `measured`, with nothing beside
//! them.

mod elected;
mod limits;
