//! An answer that goes on: one JSON object a line, as it comes.

use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::wire::{Reader, Response};

/// A streamed answer. Dropping it closes the connection.
#[derive(Debug)]
pub struct Lines {
    head: Response,
    reader: Reader<UnixStream>,
    text: Vec<u8>,
}

impl Lines {
    pub(super) async fn begin(stream: UnixStream, limit: Duration) -> io::Result<Lines> {
        let mut reader = Reader::new(stream);
        let head = tokio::time::timeout(limit, reader.head()).await.map_err(|_| {
            io::Error::new(io::ErrorKind::TimedOut, format!("no head of an answer within {limit:?}"))
        })??;
        Ok(Lines { head, reader, text: Vec::new() })
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The next line that is not blank; `None` when the answer has ended. Cancel-safe.
    ///
    /// # Errors
    /// If the connection breaks before the answer has ended.
    pub async fn try_line(&mut self) -> io::Result<Option<String>> {
        loop {
            while let Some(at) = self.text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.text.drain(..=at).collect();
                let line = String::from_utf8_lossy(&line).trim().to_owned();
                if !line.is_empty() {
                    return Ok(Some(line));
                }
            }
            match self.reader.part().await? {
                Some(part) => self.text.extend(part),
                None if self.text.is_empty() => return Ok(None),
                None => {
                    return Ok(Some(String::from_utf8_lossy(&std::mem::take(&mut self.text)).into_owned()));
                }
            }
        }
    }

    /// The next line as JSON, within `limit`; `None` when the answer has ended, well or by a broken connection.
    ///
    /// # Panics
    /// If nothing comes in time, or something that is not JSON.
    pub async fn next(&mut self, limit: Duration) -> Option<Value> {
        let line = tokio::time::timeout(limit, self.try_line())
            .await
            .unwrap_or_else(|_| panic!("neither a line nor the end of the answer within {limit:?}"));
        let line = line.ok().flatten()?;
        Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}")))
    }

    /// Reads on until a line whose `event` is `name`, within `limit`, and gives it; other events are skipped.
    ///
    /// # Panics
    /// If it does not come; the message lists what came instead.
    pub async fn event(&mut self, name: &str, limit: Duration) -> Value {
        let mut others = Vec::new();
        let found = tokio::time::timeout(limit, async {
            loop {
                match self.try_line().await {
                    Ok(Some(line)) => match serde_json::from_str::<Value>(&line) {
                        Ok(value) if value["event"] == name => return Ok(value),
                        _ => others.push(line),
                    },
                    Ok(None) => return Err("the answer ended".to_owned()),
                    Err(error) => return Err(format!("the connection broke ({error})")),
                }
            }
        })
        .await;
        let why = match found {
            Ok(Ok(value)) => return value,
            Ok(Err(why)) => why,
            Err(_) => format!("{limit:?} passed"),
        };
        panic!("status {}: no event {name:?}: {why} after {others:#?}", self.head.status)
    }

    /// The rest of the answer up to its end, for a refusal or a stream that is over; panics after `limit`.
    pub async fn rest(&mut self, limit: Duration) -> String {
        let rest = async {
            let mut all = String::new();
            while let Ok(Some(line)) = self.try_line().await {
                all.push_str(&line);
                all.push('\n');
            }
            all
        };
        tokio::time::timeout(limit, rest)
            .await
            .unwrap_or_else(|_| panic!("the answer did not end within {limit:?}"))
    }

    /// Closes the writing half only, as `shutdown(SHUT_WR)` does; the answer can still be read.
    pub async fn half_close(&mut self) {
        let _ = self.reader.stream_mut().shutdown().await;
    }

    /// Closes the connection.
    pub fn close(self) {}
}
