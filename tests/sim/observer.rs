//! Somebody who follows an election: what it is shown is held against what the store has.

use std::sync::Arc;
use std::time::Duration;

use lease::protocol::Slot;
use lease::{Leadership, Space};
use tokio::time::timeout;
use tokio_stream::StreamExt;

use crate::sim::{Pid, Sim, State};

/// Follows until nobody wants anything any more.
pub async fn observe(sim: Arc<Sim>, by: Pid, space: Space, name: String) {
    let Ok(mut seen) = space.election(&name).observe() else { return };
    // Who was shown to lead, and until when.
    let mut known = None;
    while !sim.lock().winding_down {
        match timeout(Duration::from_millis(500), seen.next()).await {
            Err(_) => {}
            Ok(None) => return,
            Ok(Some(Leadership::Leader(leader))) => {
                let (token, value) =
                    (leader.token.get(), leader.value.map(|value| value.as_str().to_owned()));
                sim.note(
                    by,
                    format_args!("is shown {} as leader of {name}, for {:?}", leader.owner, leader.valid_for),
                );
                let at = sim.at();
                known = Some((token, at + leader.valid_for));
                let mut state = sim.lock();
                let owner = value.as_deref().unwrap_or_default().contains(&leader.owner);
                let what = state.checks.together.shown(at, token, leader.valid_for);
                if let Some(what) =
                    what.or((!owner).then(|| format!("{} does not say so itself", leader.owner)))
                    && !state.checks.causes.ever("regress")
                {
                    state.checks.violation(
                        at,
                        "stale leader",
                        format!("{by} is shown {}: {what}", leader.owner),
                    );
                }
            }
            Ok(Some(Leadership::Vacant)) => {
                let at = sim.at();
                let mut state = sim.lock();
                let denied =
                    known.take().filter(|(token, until)| at < *until && stands(&state, &name, *token));
                if let Some((token, _)) = denied
                    && !["regress", "recreate"].iter().any(|fault| state.checks.causes.ever(fault))
                {
                    state.checks.violation(
                        at,
                        "leader denied",
                        format!("{by} is told that nobody leads {name}, and token {token} stands"),
                    );
                }
            }
            Ok(Some(_)) => {}
        }
    }
}

/// Whether the store has the grant of this token.
fn stands(state: &State, name: &str, token: u64) -> bool {
    let slot = Slot::of(state.history.current(&format!("elect.{name}")));
    matches!(slot, Slot::Taken { revision, record, .. } if !record.reserved && record.token_at(revision).get() == token)
}
