//! An operator with a short temper: looks for a lock that somebody holds, and breaks that by force, with the mark that its
//! holder is to heed or at once.

use lease::Space;
use tokio_util::sync::CancellationToken;

use super::say::Said;
use crate::history::What;
use support::chance::Chance;

/// The locks that workers share.
pub(super) const SHARED: [&str; 6] = ["a", "b", "c", "d", "e", "data"];
/// Those that the first workers have for themselves.
pub(super) const OWN: [&str; 6] = ["own-w0", "own-w1", "own-w2", "own-w3", "own-w4", "own-w5"];

/// Breaks some of these until told to stop, so many of 1,000 at once.
pub(super) async fn run(
    space: &Space,
    said: &Said,
    chance: &mut Chance,
    stop: &CancellationToken,
    names: &[&'static str],
    permille: u32,
) {
    while !stop.is_cancelled() {
        let pause = chance.millis(50, 600);
        let mut names = names.to_vec();
        chance.shuffle(&mut names);
        let at_once = chance.odds(permille);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let one = async {
            for name in names {
                let Ok(seen) = space.look(name).await else { return };
                let Some(holder) = seen.holder else { continue };
                // Said before: whatever comes of it, from here on the promise of early notice is void.
                let (name, token) = (name.to_owned(), holder.token.get());
                said.now(What::Breaks { name: name.clone(), token, at_once });
                if let Err(error) = space.lock(&name).break_by_force(holder.token, "chaos", at_once).await {
                    eprintln!("breaking {name} {token}: {error}");
                }
                return;
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = one => {}
        }
    }
}
