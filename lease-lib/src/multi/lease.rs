//! Several locks in the hands of one holder.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, select_all};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::ambient::Moment;
use crate::core::Core;
use crate::error::Error;
use crate::lease::Lease;
use crate::protocol::{Loss, Previous, Status};
use crate::token::Token;

/// Several locks that were granted together. Each is renewed in the background; the loss of one is the loss of all.
///
/// Dropping it gives all of them back in the background, best effort, without blocking. [`MultiLease::release`] also
/// reports.
#[derive(Debug)]
pub struct MultiLease {
    parts: Arc<Vec<Lease>>,
    lost: watch::Receiver<Option<(String, Loss)>>,
    over: CancellationToken,
}

impl MultiLease {
    pub(super) fn start(core: &Arc<Core>, parts: Vec<Lease>) -> MultiLease {
        let parts = Arc::new(parts);
        let over = CancellationToken::new();
        let (tell, lost) = watch::channel(None);
        core.spawn(bind(Arc::clone(&parts), over.clone(), tell));
        MultiLease { parts, lost, over }
    }

    /// The names that are held, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(Lease::name)
    }

    /// The fencing token of one of the names.
    pub fn token(&self, name: &str) -> Option<Token> {
        self.parts.iter().find(|part| part.name() == name).map(Lease::token)
    }

    /// The fencing token of each name.
    pub fn tokens(&self) -> BTreeMap<String, Token> {
        self.parts.iter().map(|part| (part.name().to_owned(), part.token())).collect()
    }

    /// How the last grant of one of the names ended, where the store still knew.
    pub fn previous(&self, name: &str) -> Option<&Previous> {
        self.parts.iter().find(|part| part.name() == name)?.previous()
    }

    /// Where the grant stands, by the clock at this very moment: lost if one of its parts is.
    pub fn status(&self) -> Status {
        if let Some((name, _)) = self.lost.borrow().as_ref() {
            return Status::Lost(Loss::Together(name.clone()));
        }
        let worst = |status: &Status| match status {
            Status::Lost(_) => 3,
            Status::Released => 2,
            Status::Jeopardy => 1,
            Status::Held => 0,
        };
        self.parts.iter().map(Lease::status).max_by_key(worst).unwrap_or(Status::Released)
    }

    /// The logical TTL.
    pub fn ttl(&self) -> Duration {
        self.parts.first().map(Lease::ttl).unwrap_or_default()
    }

    /// The moment at which the first of them ends unless a renewal is confirmed before.
    pub fn deadline(&self) -> Moment {
        self.parts.iter().map(Lease::deadline).min().unwrap_or(Moment::from_nanos(0))
    }

    /// How long the grant is good for at least, if no renewal succeeds any more; zero once it is lost.
    pub fn expires_in(&self) -> Duration {
        self.parts.iter().map(Lease::expires_in).min().unwrap_or_default()
    }

    /// Waits until the grant is lost, and says why, and with which name it began. Never returns if it is released
    /// instead. Cancel-safe.
    pub async fn lost(&self) -> (String, Loss) {
        let mut lost = self.lost.clone();
        let loss = lost.wait_for(Option::is_some).await.ok().and_then(|loss| loss.clone());
        match loss {
            Some(loss) => loss,
            None => std::future::pending().await,
        }
    }

    /// A token that is cancelled when the grant is lost or given back: hand it to the work.
    pub fn cancellation(&self) -> CancellationToken {
        self.over.clone()
    }

    /// Gives all of them back and says how that went. From the moment of the call the holder is no holder any more.
    ///
    /// # Errors
    /// As [`Lease::release`]; of several failures the first, in the order of the names.
    pub async fn release(self) -> Result<(), Error> {
        let loss = self.lost.borrow().clone();
        self.over.cancel();
        let outcomes = join_all(self.parts.iter().map(Lease::give_back)).await;
        match loss {
            Some((_, loss)) => Err(Error::Lost(loss)),
            None => outcomes.into_iter().collect(),
        }
    }
}

impl Drop for MultiLease {
    fn drop(&mut self) {
        // The task that binds the parts holds the other handle, and drops it now.
        self.over.cancel();
    }
}

/// Ends all as soon as one is lost, and lets go of them once they are given back.
async fn bind(parts: Arc<Vec<Lease>>, over: CancellationToken, tell: watch::Sender<Option<(String, Loss)>>) {
    let losses = parts.iter().map(|part| Box::pin(part.lost()));
    let (loss, index, _) = tokio::select! {
        biased;
        () = over.cancelled() => return,
        lost = select_all(losses) => lost,
    };
    let name = parts.get(index).map(Lease::name).unwrap_or_default().to_owned();
    for part in parts.iter() {
        part.lose(Loss::Together(name.clone())).await;
    }
    over.cancel();
    tell.send_replace(Some((name, loss)));
}
