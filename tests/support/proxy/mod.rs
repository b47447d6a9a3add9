//! A TCP proxy between NATS clients and one server that understands enough of the protocol to lose things.
//!
//! The interesting failures of a lock are lost *answers*: the server has applied a write and the client does not know.
//! A network can be cut anywhere, but hardly ever exactly there. This proxy reads every frame, knows which answer
//! belongs to which publish (by the reply subject), and does to chosen ones what a [`Fate`] says. It also hides the
//! addresses of other servers from its clients, so that they stay on it.
//!
//! It runs on the runtime of the test that starts it: a test that blocks its only thread blocks its proxy.

mod pump;
mod rule;
mod seen;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::eventually::eventually;

pub use rule::{Builder, Fate, Rule};
pub use seen::{Headers, Publish};

/// A direction of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Client to server.
    ToServer,
    /// Server to client.
    ToClient,
    /// Both.
    Both,
}

/// A proxy in front of one server. Dropping it closes all its connections.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// What the connections and the test share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// True: nothing passes towards the server.
    hold_to_server: watch::Sender<bool>,
    /// True: nothing passes towards the client.
    hold_to_client: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    upstream: String,
    refusing: bool,
    next_connection: u64,
    connections: BTreeMap<u64, Arc<Notify>>,
    rules: Vec<Rule>,
    seen: Vec<Publish>,
    /// Publishes whose answer is still to come: reply subject to index in `seen`, and what shall happen to the answer.
    awaited: BTreeMap<String, (usize, Option<Rule>)>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Proxy {
    /// A proxy in front of the server at `upstream`: `nats://127.0.0.1:4222` or without the scheme.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn start(upstream: &str) -> Proxy {
        let listener =
            TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("cannot listen: {error}"));
        let port = listener.local_addr().unwrap_or_else(|error| panic!("no local address: {error}")).port();
        let shared = Arc::new(Shared {
            state: Mutex::new(State::default()),
            hold_to_server: watch::Sender::new(false),
            hold_to_client: watch::Sender::new(false),
        });
        let accepting = tokio::spawn(pump::accept(listener, shared.clone()));
        let proxy = Proxy { port, shared, accepting };
        proxy.point_to(upstream);
        proxy
    }

    /// Where clients connect to.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Leads new connections to another server.
    pub fn point_to(&self, upstream: &str) {
        self.shared.state().upstream = upstream.trim_start_matches("nats://").to_owned();
    }

    /// Begins a rule for publishes (to any subject, requests included) that `matches` accepts. Say what shall happen
    /// with one of [`Builder`]'s last words; without one the rule does nothing.
    pub fn on(&self, matches: impl Fn(&Publish) -> bool + Send + Sync + 'static) -> Builder<'_> {
        Builder::new(self, rule::Matches::Publish(Box::new(matches)))
    }

    /// Begins a rule for messages that the server delivers, other than answers to a publish of the same client: what
    /// a subscription receives. [`Publish`] describes them as well; its `reply` is the message's own.
    pub fn on_delivery(&self, matches: impl Fn(&Publish) -> bool + Send + Sync + 'static) -> Builder<'_> {
        Builder::new(self, rule::Matches::Delivery(Box::new(matches)))
    }

    fn install(&self, rule: &Rule) {
        self.shared.state().rules.push(rule.clone());
    }

    /// Takes every rule away. What is held back stays so until its rule is released.
    pub fn clear(&self) {
        self.shared.state().rules.clear();
    }

    /// Every publish that clients have sent so far, in the order in which they were read.
    pub fn seen(&self) -> Vec<Publish> {
        self.shared.state().seen.clone()
    }

    /// Waits for a publish that `matches`, past or to come, and gives the first one. With
    /// `|publish| publish.answer.is_some()` it waits until the server has answered it, even if the client never
    /// learns.
    ///
    /// # Panics
    /// If there is none within `limit`.
    #[track_caller]
    pub fn saw(&self, limit: Duration, matches: impl Fn(&Publish) -> bool) -> impl Future<Output = Publish> {
        eventually("a publish through the proxy that matches", limit, async move || {
            self.shared.state().seen.iter().find(|publish| matches(publish)).cloned()
        })
    }

    /// Black hole: connections stay open and can be made, but nothing passes in this direction until
    /// [`unblock`](Proxy::unblock); then everything arrives, late, as after a network partition.
    pub fn block(&self, way: Way) {
        self.hold(way, true);
    }

    /// Ends [`block`](Proxy::block) in both directions.
    pub fn unblock(&self) {
        self.hold(Way::Both, false);
    }

    fn hold(&self, way: Way, held: bool) {
        if way != Way::ToClient {
            self.shared.hold_to_server.send_replace(held);
        }
        if way != Way::ToServer {
            self.shared.hold_to_client.send_replace(held);
        }
    }

    /// Closes every connection now; clients may come back at once.
    pub fn cut(&self) {
        for closing in self.shared.state().connections.values() {
            closing.notify_one();
        }
    }

    /// While true, new connections are closed as soon as they are made.
    pub fn refuse(&self, refusing: bool) {
        self.shared.state().refusing = refusing;
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.shared.state().connections.len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}
