//! One client of the measurement: a connection that is kept, and one request after the other on it.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use crate::cli::http::Connection;
use crate::cli::server::Server;
use crate::cli::source::{Refusal, encode, parse, refused};
use crate::wire::Span;

/// A client.
#[derive(Debug)]
pub(super) struct Client(Connection);

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
        Ok(Client(Connection::open(server).await?))
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
        let answer = self.0.send(method, path, body).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await;
        let body = body
            .map_err(|error| Refusal::unavailable(format!("the daemon's answer broke off: {error}")))?
            .to_bytes();
        if status.is_success() { Ok(body) } else { Err(refused(status, &body, None)) }
    }
}
