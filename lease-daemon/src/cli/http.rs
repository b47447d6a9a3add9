//! One request, and its answer, whole or line by line. Every request has a connection of its own, because closing it is
//! what tells the daemon that its client has gone; only what measures sends many over one.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_util::task::AbortOnDropHandle;

use super::exit::Exit;
use super::server::Server;
use super::source::Refusal;
use crate::wire::NDJSON;

/// No line of an answer, and no answer that is read whole, is longer.
const LONGEST: usize = 1 << 20;

/// An answer under way. Dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    body: Incoming,
    /// Read, but not yet a whole line.
    rest: Vec<u8>,
    /// How much of `rest` is known to have no line's end.
    searched: usize,
    /// Drives the connection; its end closes it.
    _connection: AbortOnDropHandle<()>,
}

/// Why a stream of lines has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut(pub String);

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// The rest of the answer.
    pub(super) async fn whole(self, limit: Duration) -> Result<Bytes, Refusal> {
        let read = tokio::time::timeout(limit, Limited::new(self.body, LONGEST).collect()).await;
        match read {
            Ok(Ok(whole)) => Ok(whole.to_bytes()),
            Ok(Err(error)) => Err(Refusal::unavailable(format!("the daemon's answer broke off: {error}"))),
            Err(_) => Err(Refusal::unavailable(format!("the daemon's answer takes longer than {limit:?}"))),
        }
    }

    /// The next line that is not blank; `None` at the end of a complete answer. Cancel-safe.
    pub(super) async fn line(&mut self) -> Result<Option<Vec<u8>>, Cut> {
        loop {
            if let Some(line) = self.buffered() {
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Ok(Some(line));
            }
            if self.rest.len() > LONGEST {
                return Err(Cut("the daemon sent a line without end".into()));
            }
            match self.body.frame().await {
                None if self.rest.is_empty() => return Ok(None),
                None => return Err(Cut("the daemon's last line is not complete".into())),
                Some(Err(error)) => return Err(Cut(format!("the connection to the daemon broke: {error}"))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.rest.extend_from_slice(&data);
                    }
                }
            }
        }
    }

    fn buffered(&mut self) -> Option<Vec<u8>> {
        let fresh = self.rest.get(self.searched..).unwrap_or_default();
        let Some(end) = fresh.iter().position(|byte| *byte == b'\n') else {
            self.searched = self.rest.len();
            return None;
        };
        let tail = self.rest.split_off(self.searched + end + 1);
        self.searched = 0;
        Some(std::mem::replace(&mut self.rest, tail))
    }
}

/// A connection, for one request after the other. Dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Connection {
    server: Server,
    sender: SendRequest<Full<Bytes>>,
    /// Drives the connection; its end closes it.
    driver: AbortOnDropHandle<()>,
}

impl Connection {
    /// Connects.
    pub(super) async fn open(server: &Server) -> Result<Connection, Refusal> {
        let stream = TokioIo::new(server.connection().await?);
        let handshake = hyper::client::conn::http1::handshake(stream).await;
        let (sender, connection) = handshake.map_err(|error| broken(server, &error))?;
        let driver = AbortOnDropHandle::new(tokio::spawn(async move {
            // Its errors come to light in the answers.
            let _ = connection.await;
        }));
        Ok(Connection { server: server.clone(), sender, driver })
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        &mut self,
        method: Method,
        target: &str,
        body: String,
    ) -> Result<Response<Incoming>, Refusal> {
        let mut request =
            Request::builder().method(method).uri(target).header(HOST, "lease").header(ACCEPT, NDJSON);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Refusal::new(Exit::USAGE, format!("not a request: {error}")))?;
        self.sender.send_request(request).await.map_err(|error| broken(&self.server, &error))
    }
}

fn broken(server: &Server, error: &hyper::Error) -> Refusal {
    Refusal::unavailable(format!("{server} broke the connection: {error}"))
}

/// Sends a request and waits for the head of its answer; how long that may take is the caller's business.
pub(super) async fn send(
    server: &Server,
    method: Method,
    target: &str,
    body: String,
) -> Result<Answer, Refusal> {
    let mut connection = Connection::open(server).await?;
    let (head, body) = connection.send(method, target, body).await?.into_parts();
    Ok(Answer { status: head.status, body, rest: Vec::new(), searched: 0, _connection: connection.driver })
}

/// The daemon is there, but does not answer.
pub(super) fn silent(server: &Server, limit: Duration) -> Refusal {
    Refusal::unavailable(format!("{server} has not answered for {limit:?}"))
}

/// There is no daemon, or it is not for us.
pub(super) fn no_daemon(socket: &Path, error: &io::Error) -> Refusal {
    let socket = socket.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            Refusal::new(Exit::DENIED, format!("the daemon's socket {socket} is not for this user: {error}"))
        }
        io::ErrorKind::InvalidInput => {
            Refusal::new(Exit::USAGE, format!("{socket} cannot be a socket: {error}"))
        }
        _ => Refusal::unavailable(format!(
            "no daemon at {socket}: {error}; start lease-daemon, name its socket with --socket, or go without a \
             daemon by --nats URL"
        )),
    }
}
