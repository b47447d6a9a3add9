//! HTTP/1.1 on the wire: a request's bytes, an answer's head, and bodies in their three forms.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers in their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body (empty in the head of a stream).
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header; the name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; panics with the body if it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("status {}, not JSON ({error}): {}", self.status, self.text()))
    }

    /// The body, if the status is the expected one; else panics with both.
    pub fn expect(&self, status: u16) -> &Response {
        assert_eq!(self.status, status, "unexpected status; the body is: {}", self.text());
        self
    }
}

/// A request as bytes. `close` asks for the connection to be closed after the answer.
pub(super) fn request_bytes(method: &str, target: &str, body: &[u8], close: bool) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
    if close {
        head.push_str("Connection: close\r\n");
    }
    if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
        if !body.is_empty() {
            head.push_str("Content-Type: application/json\r\n");
        }
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// How the end of a body is known.
#[derive(Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

/// Reads answers from a connection.
#[derive(Debug)]
pub(super) struct Reader<S> {
    stream: S,
    buffer: Vec<u8>,
    framing: Framing,
    ended: bool,
}

impl<S: AsyncRead + Unpin> Reader<S> {
    pub(super) fn new(stream: S) -> Reader<S> {
        Reader { stream, buffer: Vec::new(), framing: Framing::UntilClose, ended: false }
    }

    pub(super) fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// A whole answer.
    pub(super) async fn response(&mut self) -> io::Result<Response> {
        let mut response = self.head().await?;
        while let Some(part) = self.part().await? {
            response.body.extend(part);
        }
        Ok(response)
    }

    /// The head of an answer; interim answers (1xx) are skipped.
    pub(super) async fn head(&mut self) -> io::Result<Response> {
        loop {
            let first = self.line().await?;
            let mut words = first.split(' ');
            let version = words.next().unwrap_or_default();
            let status = words.next().and_then(|word| word.parse::<u16>().ok());
            let Some(status) = status.filter(|_| version.starts_with("HTTP/1.")) else {
                return Err(invalid(&format!("not a status line: {first:?}")));
            };
            let mut headers = Vec::new();
            loop {
                let line = self.line().await?;
                if line.is_empty() {
                    break;
                }
                let (name, value) =
                    line.split_once(':').ok_or_else(|| invalid(&format!("not a header: {line:?}")))?;
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            let response = Response { status, headers, body: Vec::new() };
            if status >= 200 {
                self.framing = framing(&response)?;
                return Ok(response);
            }
        }
    }

    /// The next part of the body as it came; `None` at its end.
    ///
    /// Cancel-safe: nothing is lost if the future is dropped, because bytes leave the buffer only when complete.
    pub(super) async fn part(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.ended {
            return Ok(None);
        }
        loop {
            let part = match self.framing {
                Framing::Length(0) => Some(None),
                Framing::Length(left) => (!self.buffer.is_empty()).then(|| {
                    let part: Vec<u8> = self.buffer.drain(..left.min(self.buffer.len())).collect();
                    self.framing = Framing::Length(left - part.len());
                    Some(part)
                }),
                Framing::Chunked => take_chunk(&mut self.buffer)?,
                Framing::UntilClose => {
                    (!self.buffer.is_empty()).then(|| Some(std::mem::take(&mut self.buffer)))
                }
            };
            match part {
                Some(Some(part)) => return Ok(Some(part)),
                Some(None) => break,
                None if self.fill().await? => {}
                None if self.framing == Framing::UntilClose => break,
                None => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "closed in the middle of a body",
                    ));
                }
            }
        }
        self.ended = true;
        Ok(None)
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=at).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if !self.fill().await? {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "closed before the answer's head was complete",
                ));
            }
        }
    }

    /// Reads more into the buffer; `false` at the end of the connection.
    async fn fill(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }
}

fn framing(head: &Response) -> io::Result<Framing> {
    if head.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        return Ok(Framing::Chunked);
    }
    match head.header("content-length") {
        Some(length) => length.parse().map(Framing::Length).map_err(|_| invalid("unreadable Content-Length")),
        None if matches!(head.status, 204 | 304) => Ok(Framing::Length(0)),
        None => Ok(Framing::UntilClose),
    }
}

/// Takes one whole chunk off the front: `Some(None)` is the last one, `None` means that more bytes are needed.
fn take_chunk(buffer: &mut Vec<u8>) -> io::Result<Option<Option<Vec<u8>>>> {
    let Some(line_end) = buffer.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let size = String::from_utf8_lossy(&buffer[..line_end]).into_owned();
    let digits = size.split(';').next().unwrap_or_default().trim();
    let size =
        usize::from_str_radix(digits, 16).map_err(|_| invalid(&format!("not a chunk size: {size:?}")))?;
    let begin = line_end + 2;
    let Some(rest) = buffer.get(begin..) else { return Ok(None) };
    if rest.len() < size + 2 {
        return Ok(None);
    }
    let chunk = rest[..size].to_vec();
    buffer.drain(..begin + size + 2);
    Ok(Some((size > 0).then_some(chunk)))
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.to_owned())
}
