//! Who only wants to know who leads, and says for how long it was told that this is so.

use std::time::Duration;

use lease::Space;
use tokio_util::sync::CancellationToken;

use super::say::Said;
use crate::clock::now_ns;
use crate::history::What;
use support::chance::Chance;

/// Longer than a look may take: then the next one is as good.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks until told to stop.
pub(super) async fn run(space: &Space, said: &Said, chance: &mut Chance, stop: &CancellationToken) {
    let office = space.election("e");
    while !stop.is_cancelled() {
        let pause = chance.millis(50, 400);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let looked = tokio::select! {
            () = stop.cancelled() => return,
            looked = tokio::time::timeout(PATIENCE, office.leader()) => looked,
        };
        let Ok(Ok(Some(leader))) = looked else { continue };
        if leader.valid_for.is_zero() {
            continue;
        }
        // The time first: what it was told it was told before that.
        let at_ns = now_ns();
        let valid_ns = u64::try_from(leader.valid_for.as_nanos()).unwrap_or(u64::MAX);
        let (name, token, until_ns) = ("e".to_owned(), leader.token.get(), at_ns.saturating_add(valid_ns));
        said.at(at_ns, What::Shown { name, token, until_ns });
    }
}
