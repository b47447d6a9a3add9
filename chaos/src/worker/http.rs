//! HTTP over the daemon's socket, as little of it as a client needs.

use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio_util::task::AbortOnDropHandle;

/// No line is longer.
const LONGEST: usize = 1 << 16;

/// An answer under way. Dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    body: Incoming,
    rest: Vec<u8>,
    _connection: AbortOnDropHandle<()>,
}

impl Answer {
    /// The next line; `None` at the end.
    pub async fn line(&mut self) -> Result<Option<Value>, String> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return serde_json::from_slice(&line).map(Some).map_err(|error| error.to_string());
            }
            if self.rest.len() > LONGEST {
                return Err("a line without end".into());
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(error.to_string()),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.rest.extend_from_slice(&data);
                    }
                }
            }
        }
    }

    pub async fn whole(self) -> Result<Value, String> {
        let whole = self.body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        serde_json::from_slice(&whole).map_err(|error| error.to_string())
    }
}

/// Every request has a connection of its own.
pub(super) async fn send(
    socket: &Path,
    method: Method,
    path: &str,
    body: impl ToString,
) -> Result<Answer, String> {
    let stream = UnixStream::connect(socket).await.map_err(|error| format!("no daemon: {error}"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let connection = AbortOnDropHandle::new(tokio::spawn(async move {
        // Its errors come to light in the answer.
        let _ = connection.await;
    }));
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "lease")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let (head, body) = answer.into_parts();
    Ok(Answer { status: head.status, body, rest: Vec::new(), _connection: connection })
}
