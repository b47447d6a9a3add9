//! Keeping connected to some server of a cluster, and asking through whichever connection stands.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::nats::{Access, Address, Answer, Answers, HeaderList, Outgoing, Session, Subscription};
use super::nats_call::Failure;
use super::nats_options::NatsOptions;
use super::nats_secrets::invalid;
use super::nats_silence::Silence;
use super::nats_wire::UNDER_WAY;
use super::{EVENT_BUFFER, Events, WriteError};
use crate::ambient::{Moment, SharedAmbient, fresh_id};
use crate::error::Error;

/// The pauses between rounds over all servers grow from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
/// A connection that lasts for less counts as a round that failed: a server that lets in and throws out again is not
/// to be asked without end.
const LASTING: Duration = Duration::from_secs(10);
/// How many rounds the first connection gets before it is an error: servers may be starting just now.
const FIRST_ROUNDS: u32 = 4;
/// How long the first connection may take, whatever the number of servers.
const FIRST_LIMIT: Duration = Duration::from_secs(4);

/// How long looking around may take, whatever the number of servers.
const VISITS_LIMIT: Duration = Duration::from_secs(4);

/// Where to connect to, and as whom.
pub(super) struct Reach {
    given: Vec<Address>,
    /// What the last server that let us in knew of its cluster.
    discovered: Mutex<Vec<Address>>,
    access: Access,
    ambient: SharedAmbient,
}

impl Reach {
    /// Reads URLs, separated by commas; credentials in one of them (`nats://user:password@host`,
    /// `nats://token@host`) count for all.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`], without the credentials.
    pub(super) fn new(
        urls: &str,
        options: &NatsOptions,
        name: String,
        ambient: SharedAmbient,
    ) -> Result<Reach, Error> {
        let wrong = |url: &str| {
            let value = format!("{:?}", url.rsplit('@').next().unwrap_or_default());
            invalid(
                "NATS URL",
                value,
                "allowed are nats://host:port and tls://host:port, several separated by commas",
            )
        };
        let (mut given, mut secrets) = (Vec::new(), options.secrets());
        for url in urls.split(',').map(str::trim) {
            let mut address: Address = url.parse().map_err(|()| wrong(url))?;
            match address.take_user() {
                Some((user, Some(password))) => {
                    secrets.user = Some(unescape(&user));
                    secrets.password = Some(unescape(&password));
                }
                Some((token, None)) => secrets.token = Some(unescape(&token)),
                None => {}
            }
            given.push(address);
        }
        secrets.check()?;
        let demands_tls = options.tls.demanded() || given.iter().any(Address::tls);
        let access = Access { secrets, tls: options.tls.clone(), demands_tls, name };
        Ok(Reach { given, discovered: Mutex::default(), access, ambient })
    }

    /// All known servers in random order, so that the clients of one that died spread over the others. The one just
    /// left comes last: it may hang, and cost the whole limit of a connection.
    fn candidates(&self, left: Option<&Address>) -> Vec<Address> {
        let discovered = self.discovered.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut all: Vec<Address> = Vec::new();
        for address in self.given.iter().cloned().chain(discovered) {
            if !all.contains(&address) {
                all.push(address);
            }
        }
        all.sort_by_cached_key(|address| (Some(address) == left, self.ambient.random()));
        all
    }

    /// Whether more than one server is known.
    fn has_another(&self) -> bool {
        self.candidates(None).len() > 1
    }

    /// Tries each server once.
    ///
    /// # Errors
    /// What another try would not mend, if any of them said so: that helps more than that others are out of reach.
    async fn round(&self, left: Option<&Address>) -> Result<Session, Error> {
        let (mut failed, mut refused) = (Vec::new(), None);
        for address in self.candidates(left) {
            match Session::connect(&address, &self.access, &*self.ambient).await {
                Ok(session) => {
                    tracing::info!(server = session.server, %address, "connected to NATS");
                    *self.discovered.lock().unwrap_or_else(PoisonError::into_inner) = session.others.clone();
                    return Ok(session);
                }
                Err(Error::Unreachable(why)) => failed.push(why),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or_else(|| Error::Unreachable(failed.join("; "))))
    }

    /// The first connection: what another try will not mend is said at once.
    async fn first(&self) -> Result<Session, Error> {
        let rounds = async {
            let mut round = 0;
            loop {
                match self.round(None).await {
                    Err(Error::Unreachable(_)) if round + 1 < FIRST_ROUNDS => sleep(self.pause(round)).await,
                    outcome => return outcome,
                }
                round += 1;
            }
        };
        timeout(FIRST_LIMIT, rounds).await.unwrap_or_else(|_| {
            let servers: Vec<String> = self.given.iter().map(ToString::to_string).collect();
            Err(Error::Unreachable(format!("no answer from {}", servers.join(", "))))
        })
    }

    /// Any later connection: goes on until there is one, and tells `failed` of each round without. `round` counts
    /// those rounds, and goes on from one connection to the next while none of them lasts.
    async fn again(&self, left: &Address, round: &mut u32, failed: impl Fn(Error)) -> Session {
        let mut told = None;
        loop {
            sleep(self.pause(*round)).await;
            *round = round.saturating_add(1);
            let error = match self.round(Some(left)).await {
                Ok(session) => return session,
                Err(error) => error,
            };
            // The same again is no news, but that a server which did not answer now refuses is.
            let kind = std::mem::discriminant(&error);
            if told.replace(kind) == Some(kind) {
                tracing::debug!(%error, round, "cannot reconnect to NATS, trying on");
            } else {
                tracing::warn!(%error, "cannot reconnect to NATS, trying on");
            }
            failed(error);
        }
    }

    /// A pause that grows with the rounds that failed, between an eighth and all of it at random, so that those who lost
    /// the same server do not come back all at once.
    fn pause(&self, rounds: u32) -> Duration {
        let longest = PAUSES.0.saturating_mul(1 << rounds.min(10)).min(PAUSES.1);
        let share = u32::try_from(self.ambient.random() % 1_000).unwrap_or_default();
        longest / 8 + longest / 8 * 7 * share / 1_000
    }
}

/// `%40` is `@`; what is no such escape stands for itself.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped =
            (first == b'%').then(|| after.split_at_checked(2)).flatten().and_then(|(digits, after)| {
                // Not "+f", which a number may look like too.
                let digits = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
                Some((u8::from_str_radix(digits, 16).ok()?, after))
            });
        let (byte, after) = escaped.unwrap_or((first, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The connection that stands, or why none does.
type Current = Result<Arc<Session>, Error>;

/// Keeps connected for as long as it lives.
pub(super) struct Link {
    reach: Arc<Reach>,
    current: watch::Receiver<Current>,
    /// How many connections there were before it.
    count: watch::Receiver<u64>,
    silence: Silence,
    ambient: SharedAmbient,
    _stop: DropGuard,
}

impl Link {
    /// Connects, and from then on keeps connected.
    ///
    /// # Errors
    /// What [`Session::connect`] says; [`Error::Unreachable`] after [`FIRST_LIMIT`] at the latest.
    pub(super) async fn start(reach: Reach) -> Result<Link, Error> {
        let reach = Arc::new(reach);
        let session = Arc::new(reach.first().await?);
        let (sender, current) = watch::channel(Ok(session.clone()));
        let stop = CancellationToken::new();
        let ambient = reach.ambient.clone();
        let (counter, count) = watch::channel(0);
        ambient.spawn(Box::pin(keep(reach.clone(), session, sender, counter, stop.clone())));
        Ok(Link { reach, current, count, silence: Silence::default(), ambient, _stop: stop.drop_guard() })
    }

    /// The connection that stands.
    ///
    /// # Errors
    /// Why none does.
    pub(super) fn standing(&self) -> Result<Arc<Session>, Error> {
        self.current.borrow().clone()
    }

    /// Changes with each connection that follows another.
    pub(super) fn connections(&self) -> watch::Receiver<u64> {
        self.count.clone()
    }

    /// Connects for a moment to each server that is known, up to `most` of them, to see who is where: name, release and
    /// host of those that let us in.
    pub(super) async fn visit(&self, most: usize) -> Vec<(String, String, String)> {
        let (mut seen, begun) = (Vec::new(), self.ambient.now());
        for address in self.reach.candidates(None).into_iter().take(most) {
            if self.ambient.now().since(begun) > VISITS_LIMIT {
                break;
            }
            if let Ok(session) = Session::connect(&address, &self.reach.access, &*self.ambient).await {
                seen.push((session.server.clone(), session.version.clone(), address.host().to_owned()));
            }
        }
        seen
    }

    fn session(&self) -> Result<Arc<Session>, Failure> {
        self.standing().map_err(|_| Failure::NotSent)
    }

    /// [`Session::request`]. Without a connection it does not wait for one: the answer is [`Failure::NotSent`], and
    /// the caller's next try comes soon enough.
    pub(super) async fn request(
        &self,
        subject: &str,
        headers: HeaderList<'_>,
        payload: Bytes,
    ) -> Result<Answer, Failure> {
        self.session()?.request(subject, headers, payload).await
    }

    /// As [`Link::request`], of the stream, whose answer `judge` reads: a server by whose way nothing is decided is left for
    /// another one.
    pub(super) async fn request_write<T>(
        &self,
        subject: &str,
        headers: HeaderList<'_>,
        payload: Bytes,
        judge: impl FnOnce(&[u8]) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        let (session, sent) = (self.session()?, self.ambient.now());
        let outcome = session.request(subject, headers, payload).await;
        self.judged(&session, sent, outcome, judge)
    }

    /// [`Session::request_all`], of the stream, as [`Link::request_write`].
    pub(super) async fn request_all<T>(
        &self,
        messages: Vec<Outgoing>,
        judge: impl FnOnce(&[u8]) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        let (session, sent) = (self.session()?, self.ambient.now());
        let outcome = session.request_all(messages).await;
        self.judged(&session, sent, outcome, judge)
    }

    /// What came of something that was written. A connection by which such things come to nothing is ended: the next one is
    /// to another server, if there is one.
    ///
    /// A leader that was cut off does answer: that another write is under way, or that the same one is. Neither counts as an
    /// answer.
    fn judged<T>(
        &self,
        session: &Arc<Session>,
        sent: Moment,
        outcome: Result<Answer, Failure>,
        judge: impl FnOnce(&[u8]) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        let was_heard = match &outcome {
            Ok(_) => Some(true),
            Err(Failure::Silence | Failure::NoResponders) => Some(false),
            // It says nothing of the server.
            Err(_) => None,
        };
        let judged = outcome.map_err(WriteError::from).and_then(|answer| judge(&answer.payload()));
        let is_under_way = matches!(judged, Err(WriteError::InFlight | WriteError::Unknown(UNDER_WAY)));
        match was_heard {
            Some(true) if !is_under_way => self.silence.broken(),
            Some(_) => {
                // What was asked by an earlier connection says nothing of this one.
                let connection = *self.count.borrow();
                let is_standing = self.standing().is_ok_and(|standing| Arc::ptr_eq(&standing, session));
                if is_standing
                    && self.silence.lasts(connection, sent, self.ambient.now())
                    && self.reach.has_another()
                {
                    tracing::warn!(
                        server = session.server,
                        "nothing that is written by way of this NATS server is decided: leaving it for another one"
                    );
                    session.end();
                }
            }
            None => {}
        }
        judged
    }

    /// An id that nobody has used.
    pub(super) fn fresh_id(&self) -> String {
        fresh_id(&*self.ambient)
    }

    /// [`Session::ask`].
    pub(super) async fn ask(&self, subject: &str, payload: Bytes) -> Result<Answers, Failure> {
        self.session()?.ask(subject, &[], payload).await
    }

    /// [`Session::publish`].
    pub(super) async fn publish(&self, subject: &str, payload: Bytes) -> Result<(), Failure> {
        self.session()?.publish(subject, payload).await
    }

    /// Follows a subject over all connections to come. Between two connections messages are missed, and when the
    /// buffer is full the newest are dropped. Ends when the receiver is dropped, or this link.
    pub(super) async fn follow<T: Send + 'static>(
        &self,
        subject: String,
        read: impl Fn(&Answer) -> Option<T> + Send + 'static,
    ) -> Result<Events<T>, Failure> {
        let first = self.session()?.subscribe(&subject).await?;
        let (sender, events) = mpsc::channel(EVENT_BUFFER);
        self.ambient.spawn(Box::pin(forward(self.current.clone(), first, subject, sender, read)));
        Ok(events)
    }
}

/// Puts one session after the other into `current`, until told to stop.
async fn keep(
    reach: Arc<Reach>,
    mut session: Arc<Session>,
    current: watch::Sender<Current>,
    count: watch::Sender<u64>,
    stop: CancellationToken,
) {
    let mut round = 0;
    loop {
        let begun = reach.ambient.now();
        let ended = tokio::select! {
            () = stop.cancelled() => false,
            () = session.ended() => true,
        };
        // Followers look into `current` as well: what stays in there would live as long as they do.
        drop(current.send_replace(Err(Error::Unreachable("disconnected from NATS".into()))));
        session.end();
        if !ended {
            return;
        }
        tracing::info!(server = session.server, "disconnected from NATS");
        if reach.ambient.now().since(begun) >= LASTING {
            round = 0;
        }
        session = tokio::select! {
            () = stop.cancelled() => return,
            next = reach.again(&session.address, &mut round, |error| drop(current.send_replace(Err(error)))) => Arc::new(next),
        };
        drop(current.send_replace(Ok(session.clone())));
        count.send_modify(|count| *count += 1);
    }
}

/// Passes messages on, connection after connection.
async fn forward<T>(
    mut current: watch::Receiver<Current>,
    mut subscription: Subscription,
    subject: String,
    events: mpsc::Sender<T>,
    read: impl Fn(&Answer) -> Option<T>,
) {
    loop {
        let message = tokio::select! {
            () = events.closed() => return,
            message = subscription.next() => message,
        };
        if let Some(message) = message {
            if let Some(event) = read(&message) {
                let _ = events.try_send(event);
            }
            continue;
        }
        subscription = loop {
            tokio::select! {
                () = events.closed() => return,
                changed = current.changed() => if changed.is_err() { return },
            }
            let session = current.borrow_and_update().clone();
            if let Ok(session) = session
                && let Ok(subscription) = session.subscribe(&subject).await
            {
                break subscription;
            }
        };
    }
}

#[cfg(test)]
#[path = "nats_link_props.rs"]
mod props;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::System;

    fn reach(urls: &str) -> Result<Reach, Error> {
        Reach::new(urls, &NatsOptions::default(), "test".into(), Arc::new(System))
    }

    #[test]
    fn urls() {
        let all = reach("nats://a:4222, b ,tls://c:4333,nats://[::1]:4222").unwrap();
        let shown: Vec<String> = all.given.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a:4222", "b:4222", "c:4333", "::1:4222"]);
        for bad in ["", ",", "a,,b", "http://a", "ws://a", "nats://", "nats://a b", "nats://a:99999"] {
            let error = reach(bad).err();
            assert!(
                matches!(error, Some(Error::InvalidSetting { setting: "NATS URL", .. })),
                "{bad}: {error:?}"
            );
        }
    }

    #[test]
    fn credentials_leave_the_url_and_stay_out_of_sight() {
        let both = reach("nats://al%40ice:s%3acr%t@a:4222,nats://b").unwrap();
        assert_eq!(both.access.secrets.user.as_deref(), Some("al@ice"));
        assert_eq!(both.access.secrets.password.as_deref(), Some("s:cr%t"));
        assert_eq!(both.given.first().map(ToString::to_string).as_deref(), Some("a:4222"));
        assert_eq!(reach("nats://t0ken@a").unwrap().access.secrets.token.as_deref(), Some("t0ken"));
        let shown = format!("{:?} {}", both.access.secrets, reach("nats://alice:s3cret@a:x").err().unwrap());
        assert!(!shown.contains("s3cret") && !shown.contains("s:cr%t"), "{shown}");
    }

    #[test]
    fn the_server_just_left_is_tried_last() {
        let reach = reach("nats://a,nats://b,nats://c").unwrap();
        *reach.discovered.lock().unwrap() = vec!["d:4222".parse().unwrap(), "nats://a:4222".parse().unwrap()];
        let left = "nats://b".parse().unwrap();
        for _ in 0..50 {
            let order = reach.candidates(Some(&left));
            assert_eq!(order.len(), 4, "each once");
            assert!(order.last() == Some(&left));
        }
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        let reach = reach("nats://a").unwrap();
        for round in 0..40 {
            let pause = reach.pause(round);
            assert!(pause <= PAUSES.1 && pause >= PAUSES.0 / 8, "{round}: {pause:?}");
        }
    }
}
