//! A hasty operator: removes by force, at once, a grant whose answer was lost on its way, before the attempt can know
//! of it. What the attempt then learns from a repeat ("applied before") is true, and the grant is gone all the same.

use std::sync::Arc;
use std::time::Duration;

use lease::protocol::{MARKER_SECS, Slot};
use lease::store::{Body, Entry, Write};
use tokio::time::sleep;

use crate::exec::WORLD;
use crate::sim::{Pid, Sim};

/// Long after the write has arrived; long before its sender gives up waiting for the answer.
const SOON: Duration = Duration::from_millis(100);

/// Removes what this write grants, as often as the run's make-up says.
pub fn perhaps(sim: &Arc<Sim>, by: Pid, write: &Write) {
    let grants = granted(write).is_some_and(
        |slot| matches!(&slot, Slot::Taken { record, .. } if !record.reserved && record.token.is_none()),
    );
    let hasty = {
        let mut state = sim.lock();
        let odds = state.profile.hasty_permille;
        grants && state.chance.odds(odds)
    };
    if !hasty {
        return;
    }
    let (sim, attempt, key) = (Arc::clone(sim), granted(write), write.key.clone());
    let shared = Arc::clone(&sim);
    shared.exec.spawn(WORLD, async move {
        sleep(SOON).await;
        let found = sim.lock().history.current(&key).cloned();
        let Slot::Taken { revision, record, .. } = Slot::of(found.as_ref()) else { return };
        if attempt.as_ref().and_then(Slot::attempt) != Some(&record.attempt)
            || record.broken.is_some()
            || record.reserved
        {
            return;
        }
        let token = record.token_at(revision);
        let previous = serde_json::json!({
            "token": token, "holder": record.owner, "ended": "2026-01-01T00:00:00Z", "why": "broken",
        });
        let note = serde_json::json!({ "attempt": "", "previous": previous }).to_string();
        let id = format!("hasty-{revision}");
        let body = Body::Delete(note.into());
        let write = Write { key, expect: revision, body, ttl_secs: MARKER_SECS, id };
        let at = sim.at();
        sim.lock().fault(at, "hasty-operator", None, Duration::ZERO);
        // It can only fail because the grant is gone already.
        let _ = sim.apply(by, &write);
    });
}

/// What the store would show of it.
fn granted(write: &Write) -> Option<Slot> {
    let entry = Entry {
        key: write.key.clone(),
        revision: 1,
        body: write.body.clone(),
        ttl_secs: write.ttl_secs,
        written_micros: 0,
    };
    write.key.starts_with("lock.").then(|| Slot::of(Some(&entry)))
}
