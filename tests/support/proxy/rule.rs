//! Rules: which messages, how often, and what happens to them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::{Proxy, Publish};
use crate::eventually::eventually;

/// What happens to a message that a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The request never reaches the server (a delivery: never the client).
    LoseRequest,
    /// The server gets the request, the client never gets the answer.
    LoseAnswer,
    /// The request reaches the server this much later; what the client sends meanwhile overtakes it.
    DelayRequest(Duration),
    /// The answer reaches the client this much later.
    DelayAnswer(Duration),
    /// The request reaches the server only after [`Rule::release`].
    HoldRequest,
    /// The answer reaches the client only after [`Rule::release`].
    HoldAnswer,
    /// The connection is closed in place of forwarding the request.
    CutBefore,
    /// The connection is closed when the server's answer has come, in place of forwarding that.
    CutAfter,
}

impl Fate {
    /// Whether it waits for the answer.
    pub(super) fn concerns_answer(self) -> bool {
        matches!(self, Fate::LoseAnswer | Fate::DelayAnswer(_) | Fate::HoldAnswer | Fate::CutAfter)
    }
}

type Predicate = Box<dyn Fn(&Publish) -> bool + Send + Sync>;

/// What a rule looks at.
pub(super) enum Matches {
    Publish(Predicate),
    Delivery(Predicate),
}

/// A rule that is being made: first how often, then what.
#[derive(Debug)]
pub struct Builder<'a> {
    proxy: &'a Proxy,
    matches: Matches,
    skip: usize,
    times: usize,
}

impl<'a> Builder<'a> {
    pub(super) fn new(proxy: &'a Proxy, matches: Matches) -> Builder<'a> {
        Builder { proxy, matches, skip: 0, times: 1 }
    }

    /// Lets the first `count` matching messages pass.
    pub fn skip(self, count: usize) -> Builder<'a> {
        Builder { skip: count, ..self }
    }

    /// Applies to this many matching messages; one, unless said otherwise.
    pub fn times(self, count: usize) -> Builder<'a> {
        Builder { times: count, ..self }
    }

    /// Applies to every matching message from now on.
    pub fn always(self) -> Builder<'a> {
        self.times(usize::MAX)
    }

    /// [`Fate::LoseRequest`].
    pub fn lose_request(self) -> Rule {
        self.fate(Fate::LoseRequest)
    }

    /// [`Fate::LoseAnswer`].
    pub fn lose_answer(self) -> Rule {
        self.fate(Fate::LoseAnswer)
    }

    /// [`Fate::DelayRequest`].
    pub fn delay_request(self, by: Duration) -> Rule {
        self.fate(Fate::DelayRequest(by))
    }

    /// [`Fate::DelayAnswer`].
    pub fn delay_answer(self, by: Duration) -> Rule {
        self.fate(Fate::DelayAnswer(by))
    }

    /// [`Fate::HoldRequest`].
    pub fn hold_request(self) -> Rule {
        self.fate(Fate::HoldRequest)
    }

    /// [`Fate::HoldAnswer`].
    pub fn hold_answer(self) -> Rule {
        self.fate(Fate::HoldAnswer)
    }

    /// [`Fate::CutBefore`].
    pub fn cut_before(self) -> Rule {
        self.fate(Fate::CutBefore)
    }

    /// [`Fate::CutAfter`].
    pub fn cut_after(self) -> Rule {
        self.fate(Fate::CutAfter)
    }

    /// Installs the rule. Rules are asked in the order of their installation, the first that applies decides.
    ///
    /// # Panics
    /// If a delivery, which has no answer, is to lose or delay its answer.
    pub fn fate(self, fate: Fate) -> Rule {
        let Builder { proxy, matches, skip, times } = self;
        let about_delivery = matches!(matches, Matches::Delivery(_));
        assert!(!(about_delivery && fate.concerns_answer()), "a delivery has no answer: {fate:?}");
        let rule = Rule(Arc::new(Inner {
            matches,
            skip,
            times,
            fate,
            matched: AtomicUsize::new(0),
            fired: AtomicUsize::new(0),
            released: watch::Sender::new(false),
        }));
        proxy.install(&rule);
        rule
    }
}

/// An installed rule. Dropping this handle leaves the rule in place; see [`Rule::remove`].
#[derive(Clone, Debug)]
pub struct Rule(Arc<Inner>);

struct Inner {
    matches: Matches,
    skip: usize,
    times: usize,
    fate: Fate,
    matched: AtomicUsize,
    fired: AtomicUsize,
    released: watch::Sender<bool>,
}

impl Rule {
    /// How often it has done its deed: for an answer, when that was read from the server.
    pub fn fired(&self) -> usize {
        self.0.fired.load(Ordering::Acquire)
    }

    /// Waits until it has done its deed `count` times.
    ///
    /// # Panics
    /// If that has not happened within `limit`.
    #[track_caller]
    pub fn fired_times(&self, count: usize, limit: Duration) -> impl Future<Output = ()> {
        let what = format!("the proxy's rule {:?} to apply {count} times", self.0.fate);
        eventually(what, limit, async move || (self.fired() >= count).then_some(()))
    }

    /// Waits until it has done its deed once.
    #[track_caller]
    pub fn fired_once(&self, limit: Duration) -> impl Future<Output = ()> {
        self.fired_times(1, limit)
    }

    /// Lets go what [`Fate::HoldRequest`] or [`Fate::HoldAnswer`] holds back, now and in future.
    pub fn release(&self) {
        self.0.released.send_replace(true);
    }

    /// Takes it away from the proxy. What it holds back stays so until [`release`](Rule::release).
    pub fn remove(&self, proxy: &Proxy) {
        proxy.shared.state().rules.retain(|rule| !Arc::ptr_eq(&rule.0, &self.0));
    }

    pub(super) fn fate(&self) -> Fate {
        self.0.fate
    }

    /// Whether it applies to this message; counts it if the predicate matches.
    pub(super) fn applies(&self, message: &Publish, delivery: bool) -> bool {
        let inner = &self.0;
        let matches = match (&inner.matches, delivery) {
            (Matches::Publish(matches), false) | (Matches::Delivery(matches), true) => matches(message),
            _ => false,
        };
        if !matches {
            return false;
        }
        let before = inner.matched.fetch_add(1, Ordering::AcqRel);
        before >= inner.skip && before - inner.skip < inner.times
    }

    pub(super) fn fire(&self) {
        self.0.fired.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) async fn released(&self) {
        // The sender lives in the rule that we hold.
        let _ = self.0.released.subscribe().wait_for(|released| *released).await;
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("fate", &self.fate)
            .field("matched", &self.matched)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Matches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Matches::Publish(_) => "Publish",
            Matches::Delivery(_) => "Delivery",
        })
    }
}
