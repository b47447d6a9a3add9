//! A small HTTP/1.1 client over a Unix socket, as an application without any HTTP library would speak to the daemon.
//!
//! Hand-written on purpose: tests of malformed input, of half-closed connections and of the moment at which a
//! connection closes need the bytes in their own hands.

mod lines;
mod wire;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

pub use lines::Lines;
pub use wire::Response;
use wire::{Reader, request_bytes};

/// Longer than any answer of a healthy daemon takes; waits inside a request are the caller's own business.
const LIMIT: Duration = Duration::from_secs(60);

/// The daemon's API behind one socket. Every request has a connection of its own.
#[derive(Clone, Debug)]
pub struct Api {
    socket: PathBuf,
}

impl Api {
    /// The API behind `socket`.
    pub fn new(socket: impl Into<PathBuf>) -> Api {
        Api { socket: socket.into() }
    }

    /// The socket's path.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// `GET target`.
    pub async fn get(&self, target: &str) -> Response {
        self.send("GET", target, "").await
    }

    /// `POST target` with a JSON text (or any other) as the body.
    pub async fn post(&self, target: &str, body: &str) -> Response {
        self.send("POST", target, body).await
    }

    /// `DELETE target`.
    pub async fn delete(&self, target: &str) -> Response {
        self.send("DELETE", target, "").await
    }

    /// One request and its whole answer. Panics where [`try_send`](Api::try_send) gives an error.
    pub async fn send(&self, method: &str, target: &str, body: &str) -> Response {
        self.try_send(method, target, body)
            .await
            .unwrap_or_else(|error| panic!("{method} {target} at {}: {error}", self.socket.display()))
    }

    /// One request and its whole answer. An empty body is sent without a `Content-Type`.
    ///
    /// # Errors
    /// If the daemon is not there, hangs up in the middle, does not speak HTTP, or takes longer than a minute.
    pub async fn try_send(&self, method: &str, target: &str, body: &str) -> io::Result<Response> {
        let stream = UnixStream::connect(&self.socket).await?;
        exchange(stream, &request_bytes(method, target, body.as_bytes(), true)).await
    }

    /// Sends a request and gives its answer line by line as it comes; panics if there is none. See [`Lines`].
    pub async fn open(&self, method: &str, target: &str, body: &str) -> Lines {
        self.try_open(method, target, body)
            .await
            .unwrap_or_else(|error| panic!("{method} {target} at {}: {error}", self.socket.display()))
    }

    /// Like [`open`](Api::open).
    ///
    /// # Errors
    /// If no head of an answer comes.
    pub async fn try_open(&self, method: &str, target: &str, body: &str) -> io::Result<Lines> {
        let mut stream = UnixStream::connect(&self.socket).await?;
        stream.write_all(&request_bytes(method, target, body.as_bytes(), false)).await?;
        Lines::begin(stream, LIMIT).await
    }

    /// A bare connection, for input that is not HTTP, or not yet.
    pub async fn connect(&self) -> io::Result<UnixStream> {
        UnixStream::connect(&self.socket).await
    }

    /// Sends these bytes as they are and gives all that comes back until the daemon closes or `limit` has passed.
    ///
    /// # Errors
    /// If the connection cannot be made. A connection that is reset while answering only ends the answer.
    pub async fn raw(&self, bytes: &[u8], limit: Duration) -> io::Result<Vec<u8>> {
        let mut stream = self.connect().await?;
        // A daemon that has seen enough may answer and close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(limit, stream.read_to_end(&mut answer)).await;
        Ok(answer)
    }

    /// As [`raw`](Api::raw), the answer parsed.
    ///
    /// # Errors
    /// If the connection cannot be made, or what came back is not an HTTP answer.
    pub async fn raw_response(&self, bytes: &[u8]) -> io::Result<Response> {
        let stream = self.connect().await?;
        exchange(stream, bytes).await
    }
}

/// `GET target` over TCP, for a server's monitoring port or a metrics address such as `127.0.0.1:9090`.
///
/// # Errors
/// If nobody answers there within `limit`.
pub async fn get_tcp(address: &str, target: &str, limit: Duration) -> io::Result<Response> {
    tokio::time::timeout(limit, async {
        let stream = TcpStream::connect(address).await?;
        exchange(stream, &request_bytes("GET", target, b"", true)).await
    })
    .await
    .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:?}")))?
}

/// As [`get_tcp`], for an answer in JSON; `None` if there is none.
pub async fn json_tcp(address: &str, target: &str, limit: Duration) -> Option<Value> {
    let response = get_tcp(address, target, limit).await.ok()?;
    serde_json::from_slice(&response.body).ok()
}

async fn exchange<S>(mut stream: S, request: &[u8]) -> io::Result<Response>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    tokio::time::timeout(LIMIT, async {
        // As in `raw`: an early refusal of a long body is an answer, not an error.
        let sent = stream.write_all(request).await;
        let mut reader = Reader::new(stream);
        match reader.response().await {
            Err(error) => sent.and(Err(error)),
            answer => answer,
        }
    })
    .await
    .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {LIMIT:?}")))?
}
