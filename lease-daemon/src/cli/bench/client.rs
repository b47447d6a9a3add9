//! One client of the measurement: a connection that is kept, and one request after the other on it.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::header::HOST;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use crate::cli::server::Server;
use crate::cli::source::{Refusal, encode, exit_for, parse};
use crate::wire::{Problem, Span};

/// A connection that is kept.
#[derive(Debug)]
pub(super) struct Client {
    server: Server,
    sender: SendRequest<Full<Bytes>>,
    /// Drives the connection; its end closes it.
    _connection: AbortOnDropHandle<()>,
}

/// Of an answer that grants, what a measurement needs.
#[derive(Debug, Deserialize)]
struct Granted {
    lease: String,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// If nobody answers there.
    pub(super) async fn connect(server: &Server) -> Result<Client, Refusal> {
        let stream = TokioIo::new(server.connection().await?);
        let (sender, connection) = hyper::client::conn::http1::handshake(stream).await.map_err(broken)?;
        let connection = AbortOnDropHandle::new(tokio::spawn(async move {
            // Its errors come to light in the answers.
            let _ = connection.await;
        }));
        Ok(Client { server: server.clone(), sender, _connection: connection })
    }

    /// One round trip to `path`.
    ///
    /// # Errors
    /// If there is no answer, or a refusal.
    pub(super) async fn get(&mut self, path: &str) -> Result<(), Refusal> {
        self.ask(Method::GET, path, String::new()).await.map(drop)
    }

    /// Takes the lock `name`, however long that takes.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) async fn acquire(&mut self, name: &str, ttl: Span) -> Result<String, Refusal> {
        let path = format!("/v1/locks/{}/acquire", encode(name));
        let answer = self.ask(Method::POST, &path, json!({ "ttl": ttl }).to_string()).await?;
        Ok(parse::<Granted>(&answer)?.lease)
    }

    /// Gives it back.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) async fn release(&mut self, lease: &str) -> Result<(), Refusal> {
        self.ask(Method::DELETE, &format!("/v1/leases/{}", encode(lease)), String::new()).await.map(drop)
    }

    async fn ask(&mut self, method: Method, path: &str, body: String) -> Result<Bytes, Refusal> {
        let request = Request::builder().method(method).uri(path).header(HOST, "lease");
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Refusal::unavailable(format!("not a request: {error}")))?;
        let answer = self.sender.send_request(request).await.map_err(broken)?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(broken)?.to_bytes();
        if status.is_success() { Ok(body) } else { Err(self.refused(status, &body)) }
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> Refusal {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => Refusal::new(exit_for(problem.code), problem.detail),
            Err(_) => Refusal::unavailable(format!("{} answers {status}", self.server)),
        }
    }
}

fn broken(error: hyper::Error) -> Refusal {
    Refusal::unavailable(format!("the connection broke: {error}"))
}
