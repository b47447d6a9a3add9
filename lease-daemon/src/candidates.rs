//! The candidates that stand for office here, so that they can say whether they are ready.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lease::fresh_id;
use tokio::sync::watch;

use crate::app::CLOCK;
use crate::wire::{Code, Problem};

/// The candidates of this daemon: no more than requests may wait.
#[derive(Debug, Default)]
pub struct Candidates {
    standing: Mutex<BTreeMap<String, Standing>>,
}

#[derive(Debug)]
struct Standing {
    uid: u32,
    election: String,
    ready: watch::Sender<bool>,
}

/// One candidacy; it ends when this is dropped.
#[derive(Debug)]
pub struct Candidacy {
    candidates: Arc<Candidates>,
    /// Its id, unguessable.
    pub id: String,
}

impl Candidates {
    /// A candidate of the user `uid`, ready or not, and what follows whether it is.
    pub fn add(
        self: &Arc<Self>,
        uid: u32,
        election: &str,
        ready: bool,
    ) -> (Candidacy, watch::Receiver<bool>) {
        let (ready, follows) = watch::channel(ready);
        let id = fresh_id(&CLOCK);
        self.standing().insert(id.clone(), Standing { uid, election: election.to_owned(), ready });
        (Candidacy { candidates: Arc::clone(self), id }, follows)
    }

    /// Says whether a candidate is ready.
    ///
    /// # Errors
    /// `unknown-candidate`.
    pub fn ready(&self, id: &str, uid: u32, election: &str, ready: bool) -> Result<(), Problem> {
        let standing = self.standing();
        let found = standing.get(id).filter(|it| it.uid == uid && it.election == election);
        let Some(found) = found else {
            let detail = "no candidate of yours in this election has this id: it was elected, has withdrawn, or its \
                          connection was closed";
            return Err(Problem::new(Code::UnknownCandidate, detail));
        };
        found.ready.send_replace(ready);
        Ok(())
    }

    fn standing(&self) -> MutexGuard<'_, BTreeMap<String, Standing>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Candidacy {
    fn drop(&mut self) {
        self.candidates.standing().remove(&self.id);
    }
}
