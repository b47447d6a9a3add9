//! A lease in the hands of its holder.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::ambient::Moment;
use crate::chronicler::Story;
use crate::core::{Core, locked};
use crate::error::Error;
use crate::keeper::{Keeper, MOST_GUARDS, Order, Shared};
use crate::line;
use crate::protocol::line::Waiter;
use crate::protocol::{End, Event, Hold, Loss, Payload, Previous, Released, Status};
use crate::store::Revision;
use crate::token::Token;

/// What is held.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// The word for it in [`crate::KINDS`].
    pub kind: &'static str,
    /// For people: the lock, the election, the semaphore.
    pub name: String,
    /// The record.
    pub key: String,
    /// What the line is for.
    pub line: String,
    /// Whether the record is kept free for whoever is known to come next.
    pub keeps_next: bool,
}

/// A granted lease. It is renewed in the background (unless the caller asked to renew it) until it is released,
/// dropped or lost.
///
/// Dropping it gives it back in the background, best effort, without blocking. [`Lease::release`] also reports.
pub struct Lease {
    core: Arc<Core>,
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    held: Box<Held>,
    token: Token,
    ttl: Duration,
    previous: Option<Previous>,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("name", &self.held.name)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

impl Lease {
    /// Starts the keeper of a grant.
    ///
    /// `calamity` was subscribed to before the grant was found to stand: whatever befalls the space from then on ends
    /// this lease too.
    pub(crate) fn start(
        core: &Arc<Core>,
        held: Held,
        hold: Hold,
        calamity: watch::Receiver<Option<Loss>>,
    ) -> Lease {
        let (token, previous) = (hold.token(), hold.record().previous.clone());
        let ttl = Duration::from_millis(hold.record().ttl_ms);
        let shared = Arc::new(Shared {
            lost: watch::Sender::new(None),
            deadline: watch::Sender::new(hold.deadline()),
            over: CancellationToken::new(),
            story: Story::new(&held.name, &held.line, core.now()),
            why: Mutex::new(End::Released),
            hold: Mutex::new(hold),
        });
        let (orders, inbox) = mpsc::channel(16);
        let keeper = Keeper {
            core: Arc::clone(core),
            shared: Arc::clone(&shared),
            held: held.clone(),
            calamity,
            orders: inbox,
        };
        core.spawn(keeper.run());
        Lease { core: Arc::clone(core), shared, orders, held: Box::new(held), token, ttl, previous }
    }

    /// For the history: how long it took from the call to the grant.
    pub(crate) fn waited(&self, waited: Duration) {
        self.shared.story.waited(waited);
    }

    /// The name that is held.
    pub fn name(&self) -> &str {
        &self.held.name
    }

    /// The fencing token: hand it to whatever the lease protects.
    pub fn token(&self) -> Token {
        self.token
    }

    /// The logical TTL.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// The moment at which the lease ends unless a renewal is confirmed before.
    pub fn deadline(&self) -> Moment {
        locked(&self.shared.hold).deadline()
    }

    /// How long the lease is good for at least, if no renewal succeeds any more; zero once it is lost.
    ///
    /// Compare it with what a step of the work takes *before* starting the step.
    pub fn expires_in(&self) -> Duration {
        match self.status() {
            Status::Held | Status::Jeopardy => self.core.now().until(self.deadline()),
            Status::Lost(_) | Status::Released => Duration::ZERO,
        }
    }

    /// Where the lease stands: the clock is compared at this very moment, so a process that was paused gets the
    /// truth even before any of its timers has fired.
    pub fn status(&self) -> Status {
        locked(&self.shared.hold).status(self.core.now())
    }

    /// Of a shared grant: the token of the last exclusive one. What a reader reads was written under that or an older one;
    /// whoever protects something refuses a reader whose `fence` is lower than a writer's token that it has seen.
    pub fn fence(&self) -> Option<Token> {
        locked(&self.shared.hold).record().fence
    }

    /// How the grant before this one ended, where the store still knew.
    pub fn previous(&self) -> Option<&Previous> {
        self.previous.as_ref()
    }

    /// Waits until the lease is lost, and says why. Never returns if it is released instead.
    ///
    /// Cancel-safe. It fires by the clock, without the network, before anybody else can be granted the name.
    pub async fn lost(&self) -> Loss {
        let mut lost = self.shared.lost.subscribe();
        let loss = lost.wait_for(Option::is_some).await.ok().and_then(|loss| loss.clone());
        match loss {
            Some(loss) => loss,
            // The sender lives in `self.shared`, so it cannot be gone while we wait.
            None => std::future::pending().await,
        }
    }

    /// A token that is cancelled when the lease is lost or given back: hand it to the work.
    pub fn cancellation(&self) -> CancellationToken {
        self.shared.over.clone()
    }

    /// The deadline, changed with every confirmed renewal.
    pub fn renewals(&self) -> watch::Receiver<Moment> {
        self.shared.deadline.subscribe()
    }

    /// Renews now, and returns the new deadline once it is confirmed.
    ///
    /// Cancel-safe: the renewal goes on.
    ///
    /// # Errors
    /// [`Error::Lost`] if the lease is lost, or is lost before a renewal is confirmed.
    pub async fn renew(&self) -> Result<Moment, Error> {
        let (tell, told) = oneshot::channel();
        if self.orders.send(Order::Renew(tell)).await.is_ok()
            && let Ok(deadline) = told.await
        {
            return Ok(deadline);
        }
        Err(self.why_not())
    }

    /// Says this to whoever looks, from now on: any value that JSON can say in 32 KiB, in place of what was said before.
    ///
    /// It is written with a renewal, by compare-and-set on the holder's own record, so nobody but the holder ever says it.
    /// Of several calls at once the last one wins, and all are answered. Dropping the future does not take it back.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] if the value is too long, [`Error::TooMany`] if 64 changes wait already: nothing was sent.
    /// [`Error::Lost`] if the lease is lost, or is lost
    /// before this is confirmed; then it may have been seen by others or not.
    pub async fn set_value(&self, value: &impl serde::Serialize) -> Result<(), Error> {
        let value = Payload::of(value)?;
        let (tell, told) = oneshot::channel();
        if self.orders.send(Order::Say(value, tell)).await.is_ok() && told.await.is_ok() {
            return Ok(());
        }
        match self.status() {
            Status::Held | Status::Jeopardy => {
                Err(Error::TooMany { what: "changes of one lease's value at once", limit: MOST_GUARDS })
            }
            Status::Lost(_) | Status::Released => Err(self.why_not()),
        }
    }

    /// What the record says since the last change was confirmed or sent.
    pub fn value(&self) -> Option<Payload> {
        locked(&self.shared.hold).record().value.clone()
    }

    /// Hands it over to somebody who waits in line, in one write that keeps the record free for them and nobody else.
    /// `to` is who they say they are ([`Waiter::owner`]) or their [`Waiter::attempt`]; of several with that name, the first in line.
    ///
    /// From the moment of the call the holder is no holder any more, and whoever is named holds with a write of their
    /// own; if they do not within 3 s, the next in line does.
    ///
    /// # Errors
    /// [`Error::NobodyWaits`] if nobody of that name is in line, and [`Error::Unreachable`] if the line cannot be read; the
    /// lease is still held then, and comes back with the error. Else as [`Lease::release`].
    pub async fn hand_over(self, to: &str) -> Result<(), (Error, Option<Lease>)> {
        match self.find(to).await {
            Ok(waiter) => self.end(End::HandedOver, Some(waiter)).await.map_err(|error| (error, None)),
            Err(error) => Err((error, Some(self))),
        }
    }

    /// Gives it back, keeping the record free for this waiter alone.
    pub(crate) async fn give_to(&self, waiter: Waiter) -> Result<(), Error> {
        self.end(End::Released, Some(waiter)).await
    }

    async fn find(&self, to: &str) -> Result<Waiter, Error> {
        let places = line::read(&self.core, &self.held.line).await?;
        let mut waiters = places.into_iter().map(|place| place.waiter);
        let mut others = Vec::new();
        match waiters.find(|waiter| {
            others.push(waiter.owner.clone());
            [&waiter.owner, &waiter.attempt].contains(&&to.to_owned()) && waiter.is_ready
        }) {
            Some(waiter) => Ok(waiter),
            None => {
                others.truncate(10);
                Err(Error::NobodyWaits { to: to.to_owned(), waiting: others })
            }
        }
    }

    /// `false` if the keeper has gone.
    pub(crate) async fn order(&self, order: Order) -> bool {
        self.orders.send(order).await.is_ok()
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn record_key(&self) -> &str {
        &self.held.key
    }

    pub(crate) fn why_not(&self) -> Error {
        match self.status() {
            Status::Lost(loss) => Error::Lost(loss),
            Status::Held | Status::Jeopardy | Status::Released => Error::Lost(Loss::Taken),
        }
    }

    /// Gives the lease back and says how that went. From the moment of the call the holder is no holder any more.
    ///
    /// Dropping the future does not stop the release; it goes on in the background.
    ///
    /// # Errors
    /// [`Error::Lost`] if it had been lost before (nothing of anybody else's is touched), [`Error::Unknown`] if the
    /// store did not answer until the record must have expired by itself.
    pub async fn release(self) -> Result<(), Error> {
        self.release_as(End::Released).await
    }

    /// Like [`Lease::release`], telling the next holder why.
    ///
    /// # Errors
    /// As [`Lease::release`].
    pub async fn release_as(self, why: End) -> Result<(), Error> {
        self.end(why, None).await
    }

    /// As [`Lease::release_as`], while others may still look at it.
    pub(crate) async fn give_back(&self, why: End) -> Result<(), Error> {
        self.end(why, None).await
    }

    async fn end(&self, why: End, to: Option<Waiter>) -> Result<(), Error> {
        *locked(&self.shared.why) = why;
        let (tell, told) = oneshot::channel();
        // The keeper ends only after its hold has, and then answers nobody.
        let sent = self.orders.send(Order::End(why, to.map(Box::new), tell)).await.is_ok();
        self.shared.over.cancel();
        match told.await {
            Ok(Released::Clean) if sent => Ok(()),
            Ok(Released::Lost(loss)) => Err(Error::Lost(loss)),
            Ok(Released::Clean | Released::Unknown) | Err(_) => {
                Err(Error::Unknown("the store did not answer the release"))
            }
        }
    }

    /// The newest revision that is known to be its own, and whether it renews itself from now on.
    pub(crate) fn revision(&self, renews: bool) -> Revision {
        let mut hold = locked(&self.shared.hold);
        hold.renews_itself(renews);
        hold.revision()
    }

    /// This process has written another grant over it.
    pub(crate) async fn superseded(self) {
        // Nobody outside had it.
        self.shared.story.forget();
        // A keeper that is gone has nothing to give back either.
        let _ = self.orders.send(Order::Take(Box::new(Event::Supersede))).await;
    }

    /// It ends because something else did.
    pub(crate) async fn lose(&self, loss: Loss) {
        // As above.
        let _ = self.orders.send(Order::Take(Box::new(Event::Lose(loss)))).await;
    }

    /// Like dropping it, telling the next holder why.
    pub fn abandon(self, why: End) {
        self.when_dropped(why);
    }

    /// What the next holder is told if this is dropped.
    pub(crate) fn when_dropped(&self, why: End) {
        *locked(&self.shared.why) = why;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // The keeper sees that the handle has gone and gives the lease back; whoever works under it must stop now.
        self.shared.over.cancel();
    }
}
