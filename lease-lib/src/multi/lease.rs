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
use crate::protocol::{End, Loss, Previous, Status};
use crate::token::Token;

/// Several locks that were granted together. Each is renewed in the background; the loss of one is the loss of all.
///
/// Dropping it gives all of them back in the background, best effort, without blocking. [`MultiLease::release`] also
/// reports.
#[derive(Debug)]
pub struct MultiLease {
    parts: Arc<Vec<Lease>>,
    lost: watch::Receiver<Option<(String, Loss)>>,
    /// The first of the parts' deadlines, as it was told.
    deadline: Arc<watch::Sender<Moment>>,
    over: CancellationToken,
}

impl MultiLease {
    pub(super) fn start(core: &Arc<Core>, parts: Vec<Lease>) -> MultiLease {
        let parts = Arc::new(parts);
        let over = CancellationToken::new();
        let (tell, lost) = watch::channel(None);
        let deadline = Arc::new(watch::Sender::new(earliest(&parts)));
        core.spawn(bind(Arc::clone(&parts), over.clone(), tell, Arc::clone(&deadline)));
        MultiLease { parts, lost, deadline, over }
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
        earliest(&self.parts)
    }

    /// That moment, changed whenever renewals have moved it.
    pub fn renewals(&self) -> watch::Receiver<Moment> {
        self.deadline.subscribe()
    }

    /// Renews all of them now, and returns the new deadline once every renewal is confirmed. Cancel-safe: they go on.
    ///
    /// # Errors
    /// [`Error::Lost`] if the grant is lost, or is lost before they are confirmed.
    pub async fn renew(&self) -> Result<Moment, Error> {
        for renewed in join_all(self.parts.iter().map(Lease::renew)).await {
            renewed?;
        }
        // Not left to the task that follows the parts: whoever looks at the renewals next finds this one.
        tell_earliest(&self.parts, &self.deadline);
        Ok(self.deadline())
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
        self.release_as(End::Released).await
    }

    /// Like [`MultiLease::release`], telling the next holders why.
    ///
    /// # Errors
    /// As [`MultiLease::release`].
    pub async fn release_as(self, why: End) -> Result<(), Error> {
        let loss = self.lost.borrow().clone();
        self.over.cancel();
        let outcomes = join_all(self.parts.iter().map(|part| part.give_back(why))).await;
        match loss {
            Some((_, loss)) => Err(Error::Lost(loss)),
            None => outcomes.into_iter().collect(),
        }
    }

    /// Like dropping it, telling the next holders why.
    pub fn abandon(self, why: End) {
        for part in self.parts.iter() {
            part.when_dropped(why);
        }
    }
}

/// Two may tell at once; what is told last was looked at while nobody else told.
fn tell_earliest(parts: &[Lease], deadline: &watch::Sender<Moment>) {
    deadline.send_if_modified(|known| {
        let at = earliest(parts);
        std::mem::replace(known, at) != at
    });
}

fn earliest(parts: &[Lease]) -> Moment {
    parts.iter().map(Lease::deadline).min().unwrap_or(Moment::from_nanos(0))
}

impl Drop for MultiLease {
    fn drop(&mut self) {
        // The task that binds the parts holds the other handle, and drops it now.
        self.over.cancel();
    }
}

/// Ends all as soon as one is lost, and lets go of them once they are given back.
async fn bind(
    parts: Arc<Vec<Lease>>,
    over: CancellationToken,
    tell: watch::Sender<Option<(String, Loss)>>,
    deadline: Arc<watch::Sender<Moment>>,
) {
    let mut deadlines: Vec<_> = parts.iter().map(Lease::renewals).collect();
    let mut lost = select_all(parts.iter().map(|part| Box::pin(part.lost())));
    let (loss, index) = loop {
        let changed = select_all(deadlines.iter_mut().map(|deadline| Box::pin(deadline.changed())));
        tokio::select! {
            biased;
            () = over.cancelled() => return,
            (loss, index, _) = &mut lost => break (loss, index),
            _ = changed => tell_earliest(&parts, &deadline),
        }
    };
    let name = parts.get(index).map(Lease::name).unwrap_or_default().to_owned();
    for part in parts.iter() {
        part.lose(Loss::Together(name.clone())).await;
    }
    over.cancel();
    tell.send_replace(Some((name, loss)));
}
