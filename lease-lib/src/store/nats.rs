//! One connection to a NATS server: the only file that names `async_nats`.
//!
//! `async_nats` reconnects by itself, but what was queued meanwhile it sends afterwards, however late: a claim or a
//! renewal would go out long after its try was given up, and past its holder's deadline. So each of its clients
//! serves for one connection only (a [`Session`]), and dies with it and with all that was queued. Keeping connected
//! is the business of [`Link`](super::nats_link::Link).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, HeaderMap, Message, PublishErrorKind};
use async_nats::{ServerAddr, ServerError, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::nats_call::Failure;
use super::nats_options::NatsTls;
use super::nats_refusal::{Kind, refusal};
use super::nats_secrets::{Login, Opened, Secrets};
use super::nats_waiting::{Incoming, Waiting};
use super::nats_wire::{Headers, new_enough};
use crate::ambient::{Ambient, fresh_id};
use crate::error::Error;

/// How long one request may take, from handing it over to its answer.
pub(super) const TRY_LIMIT: Duration = Duration::from_millis(1_500);
/// How long a server may take to accept, to greet and to let in.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
/// A server that says nothing for this long is asked; one that leaves two such questions open is left. So a server
/// that hangs is left within 2.4 s.
const PING_EVERY: Duration = Duration::from_millis(800);
/// How often it is checked that the connection stands, in case the news of its end was dropped.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How many messages a subscription holds until they are looked at.
const BACKLOG: usize = 8_192;

/// Where a server is. Holds no credentials.
#[derive(Clone)]
pub(super) struct Address(ServerAddr);

/// However the URL spells it: a server names its neighbours without scheme, a user may leave out the port.
impl PartialEq for Address {
    fn eq(&self, other: &Address) -> bool {
        (self.0.host(), self.0.port()) == (other.0.host(), other.0.port())
    }
}

impl Address {
    /// Takes the user and password (or token) out of the URL: no log is to show them, and `async_nats` would ignore
    /// them. Escaped as the URL has them.
    pub(super) fn take_user(&mut self) -> Option<(String, Option<String>)> {
        let taken = (self.0.username()?.to_owned(), self.0.password().map(str::to_owned));
        let mut url = self.0.clone().into_inner();
        let _ = (url.set_username(""), url.set_password(None));
        self.0 = ServerAddr::from_url(url).ok()?;
        Some(taken)
    }

    pub(super) fn host(&self) -> &str {
        self.0.host()
    }

    pub(super) fn tls(&self) -> bool {
        self.0.tls_required()
    }
}

impl FromStr for Address {
    type Err = ();

    fn from_str(text: &str) -> Result<Address, ()> {
        let address: ServerAddr = text.parse().map_err(|_| ())?;
        let known = ["nats", "tls"].contains(&address.scheme()) && !address.host().is_empty();
        if known { Ok(Address(address)) } else { Err(()) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.host(), self.0.port())
    }
}

/// A message that came in.
pub(super) struct Answer(Message);

impl Answer {
    pub(super) fn subject(&self) -> &str {
        self.0.subject.as_str()
    }

    pub(super) fn status(&self) -> Option<u16> {
        self.0.status.map(|status| status.as_u16())
    }

    pub(super) fn payload(&self) -> Bytes {
        self.0.payload.clone()
    }
}

impl Headers for Answer {
    fn last_value(&self, name: &str) -> Option<&str> {
        self.0.headers.as_ref()?.get_last(name).map(|value| value.as_str())
    }
}

/// What a session shares with the callbacks and tasks of its connection.
type Shared = Waiting<Message>;

/// News of the connection. Any may be missing: `async_nats` drops them when many come at once.
fn hear(shared: &Shared, event: &Event, inbox: &str) {
    match event {
        Event::Disconnected | Event::Closed => shared.end(),
        Event::ServerError(ServerError::Other(text)) => shared.refused(text, inbox),
        Event::ServerError(ServerError::AuthorizationViolation) => {
            shared.refused("authorization violation", inbox);
        }
        Event::SlowConsumer(_) => {
            tracing::warn!("messages from NATS come in faster than they are looked at");
        }
        _ => {}
    }
}

/// One connection, from the greeting to its end.
pub(super) struct Session {
    client: Client,
    shared: Arc<Shared>,
    inbox: String,
    pub address: Address,
    pub server: String,
    pub version: String,
    /// Whether this server itself runs JetStream.
    pub jetstream: bool,
    /// Other servers of the cluster, as this one knows them.
    pub others: Vec<Address>,
}

impl Session {
    /// Connects, once.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::ServerTooOld`]; everything that another server or another time may mend is
    /// [`Error::Unreachable`].
    pub(super) async fn connect(
        address: &Address,
        access: &Access,
        ambient: &dyn Ambient,
    ) -> Result<Session, Error> {
        let unreachable = |why: &dyn fmt::Display| Error::Unreachable(format!("{address}: {why}"));
        let shared = Arc::new(Shared::default());
        let inbox = format!("_INBOX.{}", fresh_id(ambient));
        let (listener, prefix) = (shared.clone(), inbox.clone());
        let options = ConnectOptions::new()
            .name(&access.name)
            .connection_timeout(CONNECT_LIMIT)
            .ping_interval(PING_EVERY)
            .subscription_capacity(BACKLOG)
            .ignore_discovered_servers()
            .max_reconnects(1)
            .reconnect_delay_callback(|_| Duration::ZERO)
            .event_callback(move |event| {
                hear(&listener, &event, &prefix);
                std::future::ready(())
            });
        let Opened { login, mut who } = access.secrets.open(ambient.wall_micros() / 1_000_000).await?;
        if let (Login::Nobody, Some(file)) = (&login, &access.tls.cert_file) {
            who = format!("the holder of the TLS certificate {}", file.display());
        }
        let options = let_in(options, login, &who)?;
        let options = with_tls(options, access).await?;
        // Its own limit leaves out the name's resolution. A connection that is given up before or after the greeting
        // has sent nothing that matters.
        let client = match timeout(2 * CONNECT_LIMIT, options.connect(address.0.clone())).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => {
                let kind = match error.kind() {
                    ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                        Kind::Credentials
                    }
                    ConnectErrorKind::Tls => Kind::Tls,
                    _ => Kind::Other,
                };
                return Err(refusal(kind, address, &who, &access.tls, &error.to_string()));
            }
            Err(_) => return Err(unreachable(&"no answer")),
        };
        // From here on it knows no server that it could reconnect to: it ends with this connection.
        client.set_server_pool("nats://127.0.0.1:0").await.map_err(|error| unreachable(&error))?;
        let info = client.server_info();
        if !new_enough(&info.version) {
            return Err(Error::ServerTooOld { version: info.version });
        }
        let answers = client.subscribe(format!("{inbox}.*")).await.map_err(|error| unreachable(&error))?;
        ambient.spawn(Box::pin(deliver(shared.clone(), answers)));
        let others = info.connect_urls.iter().filter_map(|url| url.parse().ok()).collect();
        let (server, version, jetstream) = (info.server_name, info.version, info.jetstream);
        Ok(Session { client, shared, inbox, address: address.clone(), server, version, jetstream, others })
    }

    /// Returns once the connection is over.
    pub(super) async fn ended(&self) {
        while timeout(LOOK_EVERY, self.shared.over().cancelled()).await.is_err() {
            if self.client.connection_state() != State::Connected {
                self.shared.end();
            }
        }
    }

    /// Ends the connection.
    pub(super) fn end(&self) {
        self.shared.end();
    }

    /// One request, one answer.
    ///
    /// Lost: [`Failure::Silence`] after [`TRY_LIMIT`]. Late: nobody waits for its token any more. Old: a token is used
    /// for one request only, so an answer is never that of another.
    pub(super) async fn request(
        &self,
        subject: &str,
        headers: HeaderList<'_>,
        payload: Bytes,
    ) -> Result<Answer, Failure> {
        let mut sent = false;
        let whole = async {
            let mut answers = self.ask(subject, headers, payload).await?;
            sent = true;
            answers.receive().await
        };
        match timeout(TRY_LIMIT, whole).await {
            Ok(outcome) => outcome,
            Err(_) if sent => Err(self.shared.silence()),
            Err(_) => Err(Failure::NotSent),
        }
    }

    /// One request, any number of answers.
    pub(super) async fn ask(
        &self,
        subject: &str,
        headers: HeaderList<'_>,
        payload: Bytes,
    ) -> Result<Answers, Failure> {
        let answers = self.wait(vec![subject.to_owned()])?;
        let reply = self.reply(&answers);
        let map = header_map(headers.iter().copied());
        let handing = self.client.publish_with_reply_and_headers(subject.to_owned(), reply, map, payload);
        self.handed(handing).await.map(|()| answers)
    }

    /// Several messages in a row, one answer: the first that says anything.
    ///
    /// Lost: [`Failure::Silence`] after [`TRY_LIMIT`], if the last message went out; before that, and if this future is
    /// dropped on the way, whoever got the first ones never gets the last. Late and old: as for a single request.
    pub(super) async fn request_all(&self, messages: Vec<Outgoing>) -> Result<Answer, Failure> {
        let mut sent = false;
        let whole = async {
            let mut answers = self.ask_all(messages).await?;
            sent = true;
            loop {
                let answer = answers.receive().await?;
                if !answer.0.payload.is_empty() {
                    return Ok(answer);
                }
            }
        };
        match timeout(TRY_LIMIT, whole).await {
            Ok(outcome) => outcome,
            Err(_) if sent => Err(self.shared.silence()),
            Err(_) => Err(Failure::NotSent),
        }
    }

    /// Refuses before the first is sent, if any of them is too large.
    async fn ask_all(&self, messages: Vec<Outgoing>) -> Result<Answers, Failure> {
        let limit = self.client.max_payload();
        if let Some(size) = messages.iter().map(Outgoing::size).find(|size| *size > limit) {
            return Err(Failure::Malformed(format!(
                "a message of {size} bytes with its headers is more than the server takes: {limit} (max_payload)"
            )));
        }
        let answers = self.wait(messages.iter().map(|message| message.subject.clone()).collect())?;
        for Outgoing { subject, headers, payload, answered } in messages {
            let map = header_map(headers.iter().map(|(name, value)| (*name, value.as_str())));
            if answered {
                let reply = self.reply(&answers);
                self.handed(self.client.publish_with_reply_and_headers(subject, reply, map, payload)).await?;
            } else {
                self.handed(self.client.publish_with_headers(subject, map, payload)).await?;
            }
        }
        Ok(answers)
    }

    /// Begins to wait for answers to what goes to these subjects.
    fn wait(&self, subjects: Vec<String>) -> Result<Answers, Failure> {
        let (token, receiver) = self.shared.wait(subjects);
        let answers = Answers { shared: self.shared.clone(), token, receiver };
        // Looked at after waiting began, while `end` clears after the cancellation: one of them sees the other.
        if self.shared.over().is_cancelled() { Err(Failure::NotSent) } else { Ok(answers) }
    }

    fn reply(&self, answers: &Answers) -> String {
        format!("{}.{}", self.inbox, answers.token)
    }

    /// Publishes without an answer: it may be lost.
    pub(super) async fn publish(&self, subject: &str, payload: Bytes) -> Result<(), Failure> {
        self.handed(self.client.publish(subject.to_owned(), payload)).await
    }

    /// Waits until the client's queue takes a message. A queue that stays full has not taken it.
    async fn handed(
        &self,
        handing: impl Future<Output = Result<(), async_nats::PublishError>>,
    ) -> Result<(), Failure> {
        match timeout(TRY_LIMIT, handing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.kind() != PublishErrorKind::Send => {
                Err(Failure::Malformed(error.to_string()))
            }
            Ok(Err(_)) | Err(_) => Err(Failure::NotSent),
        }
    }

    /// Messages on a subject (or filter), until the connection ends.
    pub(super) async fn subscribe(&self, subject: &str) -> Result<Subscription, Failure> {
        let over = self.shared.over().clone();
        // The same queue as above; if it stays full, the connection ends soon.
        let subscriber = tokio::select! {
            () = over.cancelled() => return Err(Failure::NotSent),
            subscriber = self.client.subscribe(subject.to_owned()) => subscriber,
        };
        match subscriber {
            Ok(subscriber) => Ok(Subscription { subscriber, over }),
            Err(error) => Err(Failure::Malformed(error.to_string())),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.end();
    }
}

/// Headers to send.
pub(super) type HeaderList<'a> = &'a [(&'a str, &'a str)];

fn header_map<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(name, value);
    }
    map
}

/// One of several messages to send.
pub(super) struct Outgoing {
    pub subject: String,
    pub headers: Vec<(&'static str, String)>,
    pub payload: Bytes,
    /// Whether an answer to it is wanted.
    pub answered: bool,
}

impl Outgoing {
    /// What a server counts against its `max_payload`.
    pub(super) fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        "NATS/1.0\r\n\r\n".len() + headers + self.payload.len()
    }
}

/// As whom, and how, to connect to any of the servers.
pub(super) struct Access {
    pub secrets: Secrets,
    pub tls: NatsTls,
    pub demands_tls: bool,
    /// What the server's list of connections says.
    pub name: String,
}

/// Adds the credentials.
fn let_in(options: ConnectOptions, login: Login, who: &str) -> Result<ConnectOptions, Error> {
    Ok(match login {
        Login::Nobody => options,
        Login::User(user, password) => options.user_and_password(user, password),
        Login::Token(token) => options.token(token),
        Login::Nkey(seed) => options.nkey(seed),
        Login::Credentials(text) => {
            options.credentials(&text).map_err(|error| Error::Denied(format!("{who}: {error}")))?
        }
    })
}

/// Adds TLS.
async fn with_tls(options: ConnectOptions, access: &Access) -> Result<ConnectOptions, Error> {
    let mut options = options.require_tls(access.demands_tls);
    let NatsTls { ca_file, cert_file, key_file, first } = access.tls.usable().await?;
    if let Some(file) = ca_file {
        options = options.add_root_certificates(file);
    }
    if let (Some(cert), Some(key)) = (cert_file, key_file) {
        options = options.add_client_certificate(cert, key);
    }
    Ok(if first { options.tls_first() } else { options })
}

/// Hands answers to those who wait for them, until the connection ends.
async fn deliver(shared: Arc<Shared>, mut answers: Subscriber) {
    loop {
        let message = tokio::select! {
            () = shared.over().cancelled() => break,
            message = answers.next() => message,
        };
        let Some(message) = message else { break };
        if let Some(token) = message.subject.rsplit('.').next().and_then(|token| token.parse().ok()) {
            shared.answer(token, message);
        }
    }
    shared.end();
}

/// Answers to one request, as they come.
pub(super) struct Answers {
    shared: Arc<Shared>,
    token: u64,
    receiver: Incoming<Message>,
}

impl Answers {
    /// The next answer, if it comes within [`TRY_LIMIT`].
    pub(super) async fn next(&mut self) -> Result<Answer, Failure> {
        timeout(TRY_LIMIT, self.receive()).await.unwrap_or_else(|_| Err(self.shared.silence()))
    }

    async fn receive(&mut self) -> Result<Answer, Failure> {
        match self.receiver.recv().await {
            Some(Ok(message)) if message.status.is_some_and(|status| status == 503) => {
                Err(Failure::NoResponders)
            }
            Some(Ok(message)) => Ok(Answer(message)),
            Some(Err(failure)) => Err(failure),
            None => Err(Failure::Ended),
        }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.shared.forget(self.token);
    }
}

/// Messages on a subject. Dropping it unsubscribes.
pub(super) struct Subscription {
    subscriber: Subscriber,
    over: CancellationToken,
}

impl Subscription {
    /// The next message; `None` once the connection has ended.
    pub(super) async fn next(&mut self) -> Option<Answer> {
        tokio::select! {
            () = self.over.cancelled() => None,
            message = self.subscriber.next() => message.map(Answer),
        }
    }
}
