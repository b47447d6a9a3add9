//! One hostile client: what it sends, and what must come of it.

use std::time::Duration;

use serde_json::Value;
use support::Api;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::OwnedWriteHalf;

use crate::LIMIT;

/// What must have become of the connection after the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It serves the next request.
    Open,
    /// The daemon has closed it.
    Closed,
}

/// How the bytes are sent.
#[derive(Clone, Copy, Debug)]
enum Way {
    AtOnce,
    /// One byte after the other, with this pause.
    Slowly(Duration),
    /// And then the sending half is closed.
    HalfClosed,
    /// And then the connection is closed, without reading.
    HungUp,
}

/// One line of the table.
#[derive(Debug)]
pub struct Case {
    name: &'static str,
    send: Vec<u8>,
    way: Way,
    /// Status, and the problem's code; no code for an answer that is no problem, `-` for one without a body.
    answers: Vec<(u16, &'static str)>,
    /// Whether it may also end without any of these.
    perhaps: bool,
    then: Then,
}

/// A client that sends these bytes at once.
pub fn case(
    name: &'static str,
    send: impl AsRef<[u8]>,
    answers: impl AsRef<[(u16, &'static str)]>,
    then: Then,
) -> Case {
    let (send, answers) = (send.as_ref().to_vec(), answers.as_ref().to_vec());
    Case { name, send, way: Way::AtOnce, answers, perhaps: false, then }
}

impl Case {
    /// Sends byte after byte, so many milliseconds apart.
    pub fn slowly(self, millis: u64) -> Case {
        Case { way: Way::Slowly(Duration::from_millis(millis)), ..self }
    }

    /// Closes its sending half when all is sent.
    pub fn half_closed(self) -> Case {
        Case { way: Way::HalfClosed, ..self }
    }

    /// It may also be closed without an answer.
    pub fn perhaps(self) -> Case {
        Case { perhaps: true, ..self }
    }

    /// Closes the connection when all is sent.
    pub fn hung_up(self) -> Case {
        Case { way: Way::HungUp, ..self }
    }

    /// Does it, and says what was wrong.
    pub async fn run(&self, api: &Api) -> Result<(), String> {
        let mut seen = Vec::new();
        let outcome = tokio::time::timeout(LIMIT, self.converse(api, &mut seen)).await;
        let wrong = match outcome {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(wrong)) => wrong,
            Err(_) => format!("nothing more within {LIMIT:?}"),
        };
        let seen = String::from_utf8_lossy(&seen);
        Err(format!("{}: wanted {:?}, {:?}: {wrong}; it said {seen:?}", self.name, self.answers, self.then))
    }

    async fn converse(&self, api: &Api, seen: &mut Vec<u8>) -> Result<(), String> {
        let stream = api.connect().await.map_err(|error| format!("cannot connect: {error}"))?;
        let (mut reading, writing) = stream.into_split();
        // What is sent slowly need not be sent to its end: the daemon may answer and close before that.
        let sending = tokio::spawn(send(writing, self.send.clone(), self.way));
        if matches!(self.way, Way::HungUp) {
            drop((reading, sending.await));
            return Ok(());
        }
        let mut at = 0;
        for wanted in &self.answers {
            at = match self.answer(&mut reading, seen, at, *wanted).await {
                Err(_) if self.perhaps && seen.is_empty() => return Ok(()),
                at => at?,
            };
        }
        if self.then == Then::Closed {
            while reading.read_buf(seen).await.unwrap_or(0) > 0 {}
            sending.abort();
            return if seen.len() > at { Err("more than that".to_owned()) } else { Ok(()) };
        }
        let mut writing = sending.await.map_err(|error| error.to_string())?;
        let next = b"GET /healthz HTTP/1.1\r\nHost: l\r\n\r\n";
        writing.write_all(next).await.map_err(|error| format!("no next request: {error}"))?;
        self.answer(&mut reading, seen, at, (200, "")).await.map_err(|error| format!("then: {error}"))?;
        Ok(())
    }

    /// Reads on until there is an answer from `at` on, checks it, and gives where it ends.
    async fn answer<R: tokio::io::AsyncRead + Unpin>(
        &self,
        reading: &mut R,
        seen: &mut Vec<u8>,
        at: usize,
        (status, code): (u16, &str),
    ) -> Result<usize, String> {
        let (got, body, end) = loop {
            if let Some(answer) = parse(&seen[at..]) {
                break answer;
            }
            match reading.read_buf(seen).await {
                Ok(0) => return Err("closed".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(format!("{error}")),
            }
        };
        if got != status {
            return Err(format!("status {got}"));
        }
        match (code, body.is_empty()) {
            ("", false) | ("-", true) => {}
            ("", true) if status == 100 => {}
            ("" | "-", _) => return Err(format!("{} bytes of body", body.len())),
            (code, _) => {
                let problem: Value = serde_json::from_slice(&body).map_err(|_| "no problem".to_owned())?;
                if problem["code"] != code {
                    return Err(format!("code {}", problem["code"]));
                }
                if problem["detail"].as_str().is_none_or(|detail| detail.is_empty() || detail.len() > 1000) {
                    return Err("a detail of no use".to_owned());
                }
            }
        }
        Ok(at + end)
    }
}

/// Sends, as far as the daemon takes it.
async fn send(mut writing: OwnedWriteHalf, bytes: Vec<u8>, way: Way) -> OwnedWriteHalf {
    if let Way::Slowly(pause) = way {
        for byte in bytes {
            if writing.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        return writing;
    }
    let _ = writing.write_all(&bytes).await;
    if matches!(way, Way::HalfClosed) {
        let _ = writing.shutdown().await;
    }
    writing
}

/// The first answer: its status, its body, and where it ends. `None` while it is incomplete.
pub fn parse(bytes: &[u8]) -> Option<(u16, Vec<u8>, usize)> {
    let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    let body = bytes.get(head_end..head_end + length)?;
    Some((status, body.to_vec(), head_end + length))
}

/// A request to acquire the lock that all of the table is about, with this body.
pub fn acquire(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut request = format!(
        "POST /v1/locks/hostile/acquire HTTP/1.1\r\nHost: l\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// As [`acquire`], with these headers instead of the length, and these bytes behind the head.
pub fn acquire_with(headers: &str, rest: impl AsRef<[u8]>) -> Vec<u8> {
    let mut request =
        format!("POST /v1/locks/hostile/acquire HTTP/1.1\r\nHost: l\r\n{headers}\r\n").into_bytes();
    request.extend_from_slice(rest.as_ref());
    request
}

/// `GET /healthz` with these headers.
pub fn healthz(headers: impl AsRef<[u8]>) -> Vec<u8> {
    [b"GET /healthz HTTP/1.1\r\nHost: l\r\n", headers.as_ref(), b"\r\n"].concat()
}

/// `GET` of this path.
pub fn get(path: impl AsRef<[u8]>) -> Vec<u8> {
    [b"GET ", path.as_ref(), b" HTTP/1.1\r\nHost: l\r\n\r\n"].concat()
}
