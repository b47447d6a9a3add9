//! What went by: a message with its headers, and the answer it got.

use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;

/// NATS headers in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Parses `NATS/1.0 …\r\nName: value\r\n\r\n`.
    pub(super) fn parse(block: &[u8]) -> Headers {
        let text = String::from_utf8_lossy(block);
        let pairs = text.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        Headers(pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect())
    }

    /// The first value of a header; the name in any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// A message that a client published (or, for [`Proxy::on_delivery`](super::Proxy::on_delivery), that a server
/// delivered).
#[derive(Clone, Debug)]
pub struct Publish {
    /// The connection it came on; they are numbered from 1.
    pub connection: u64,
    /// When the proxy read it.
    pub at: Instant,
    /// Where to.
    pub subject: String,
    /// Where the answer goes, if one is wanted.
    pub reply: Option<String>,
    /// Its headers.
    pub headers: Headers,
    /// Its payload.
    pub payload: Bytes,
    /// The payload of the server's first answer, once the proxy has read that, whether the client gets it or not.
    pub answer: Option<Bytes>,
}

impl Publish {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The payload as JSON; `Null` if it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or(Value::Null)
    }

    /// The answer as JSON; `Null` if there is none yet, or it is not.
    pub fn answer_json(&self) -> Value {
        self.answer.as_deref().and_then(|answer| serde_json::from_slice(answer).ok()).unwrap_or(Value::Null)
    }
}
