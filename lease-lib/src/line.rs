//! Reading a line.

use crate::core::Core;
use crate::error::Error;
use crate::protocol::key;
use crate::protocol::line::{Place, places};
use crate::store::{Revision, Unreadable};

/// Everybody in line for what is called `wanted`, by order. It may be old.
pub(crate) async fn read(core: &Core, wanted: &str) -> Result<Vec<Place>, Error> {
    let filter = key::line(wanted);
    let mut entries = Vec::new();
    let mut from: Revision = 1;
    loop {
        let page = core.asked("scan", core.store.scan(&filter, from)).await;
        let page = page.map_err(|Unreadable(why)| Error::Unreachable(why))?;
        entries.extend(page.entries);
        match page.next {
            Some(next) if next > from => from = next,
            _ => return Ok(places(entries)),
        }
    }
}
