//! What a write takes, and what the clock of whoever stores it shows.

use std::time::Duration;

use bytes::Bytes;

use crate::ambient::{Ambient, fresh_id};
use crate::store::{Body, Offset, Store, Write, WriteError};

/// How many writes are measured.
const WRITES: usize = 7;
/// After so many failures no more are tried.
const FAILURES: usize = 3;
/// The key vanishes by itself.
const TTL_SECS: u64 = 5;

/// What was measured.
#[derive(Clone, Debug, Default)]
pub(super) struct Probed {
    /// How long each acknowledged write took, the shortest first.
    pub took: Vec<Duration>,
    /// Why others were not acknowledged.
    pub failed: Vec<String>,
    /// The clock of the bucket's leader against this host's.
    pub clock: Option<Offset>,
}

/// Writes a key of its own a few times, one write after the other.
///
/// A write whose answer is lost only counts as failed: the next one begins a key of its own.
pub(super) async fn probe(store: &dyn Store, ambient: &dyn Ambient) -> Probed {
    let mut probed = Probed::default();
    let mut key = fresh_key(ambient);
    let mut expect = 0;
    for _ in 0..WRITES {
        if probed.failed.len() >= FAILURES {
            break;
        }
        let body = Body::Put(Bytes::from_static(b"{}"));
        let write = Write { key: key.clone(), expect, body, ttl_secs: TTL_SECS, id: fresh_id(ambient) };
        let (sent, sent_micros) = (ambient.now(), ambient.wall_micros());
        match store.write(&write).await {
            Ok(ack) => {
                probed.took.push(ambient.now().since(sent));
                let got_micros = ambient.wall_micros();
                expect = ack.revision;
                let stored = store.read_revision(ack.revision).await.ok().flatten();
                if let Some(entry) = stored {
                    let read = Offset::read(sent_micros, entry.written_micros, got_micros);
                    let best = probed.clock.is_none_or(|best| read.within_micros < best.within_micros);
                    probed.clock = if best { Some(read) } else { probed.clock };
                }
            }
            Err(error) => {
                probed.failed.push(reason(error));
                (key, expect) = (fresh_key(ambient), 0);
            }
        }
    }
    probed.took.sort_unstable();
    probed
}

fn fresh_key(ambient: &dyn Ambient) -> String {
    format!("doctor.{}", fresh_id(ambient))
}

fn reason(error: WriteError) -> String {
    match error {
        WriteError::Refused(why) => why,
        WriteError::Unknown(why) => why.to_owned(),
        WriteError::NotTaken => "nobody took it: the bucket has no leader, or no room".to_owned(),
        WriteError::Conflict { .. } | WriteError::InFlight => {
            "it was refused as if somebody else wrote".to_owned()
        }
    }
}
