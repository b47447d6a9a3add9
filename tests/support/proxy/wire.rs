//! The NATS client protocol, as far as frames, messages and INFO go.

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::seen::Headers;

/// One protocol unit, with the bytes it came in.
#[derive(Debug)]
pub(super) enum Frame {
    /// PUB, HPUB, MSG or HMSG.
    Message(Message),
    /// Anything else, passed on as it is (INFO without other servers' addresses).
    Other(Bytes),
}

/// A message in either direction.
#[derive(Debug)]
pub(super) struct Message {
    pub raw: Bytes,
    pub subject: String,
    pub reply: Option<String>,
    pub headers: Headers,
    pub payload: Bytes,
}

/// Cuts a stream of bytes into frames.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    buffer: BytesMut,
}

impl<S: AsyncRead + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Wire<S> {
        Wire { stream, buffer: BytesMut::with_capacity(16 * 1024) }
    }

    /// The next frame; `None` when the connection has ended.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = take_frame(&mut self.buffer) {
                return Some(frame);
            }
            if self.stream.read_buf(&mut self.buffer).await.ok()? == 0 {
                return None;
            }
        }
    }
}

fn take_frame(buffer: &mut BytesMut) -> Option<Frame> {
    let line_end = buffer.iter().position(|byte| *byte == b'\n')? + 1;
    let line = String::from_utf8_lossy(&buffer[..line_end]).into_owned();
    let mut words = line.split_ascii_whitespace();
    let operation = words.next().unwrap_or_default().to_ascii_uppercase();
    let args: Vec<&str> = words.collect();
    // After the subject (and, from a server, the subscription's id) come the reply if there is one, the length of the
    // headers for the H forms, and the length of everything.
    let (fixed, with_headers) = match operation.as_str() {
        "PUB" => (1, false),
        "HPUB" => (1, true),
        "MSG" => (2, false),
        "HMSG" => (2, true),
        "INFO" => return Some(Frame::Other(without_peers(buffer.split_to(line_end).freeze()))),
        _ => return Some(Frame::Other(buffer.split_to(line_end).freeze())),
    };
    let number = |word: Option<&&str>| word.and_then(|word| word.parse::<usize>().ok()).unwrap_or(0);
    let sizes = if with_headers { 2 } else { 1 };
    let total = number(args.last());
    let header_size = if with_headers { number(args.get(args.len().wrapping_sub(2))) } else { 0 };
    let reply = (args.len() == fixed + 1 + sizes).then(|| args[fixed].to_owned());
    let subject = args.first().map(|subject| (*subject).to_owned()).unwrap_or_default();

    let frame_end = line_end + total + 2;
    if buffer.len() < frame_end {
        buffer.reserve(frame_end - buffer.len());
        return None;
    }
    let raw = buffer.split_to(frame_end).freeze();
    let headers = Headers::parse(&raw[line_end..line_end + header_size]);
    let payload = raw.slice(line_end + header_size..line_end + total);
    Some(Frame::Message(Message { raw, subject, reply, headers, payload }))
}

/// INFO without the addresses of other servers, so that the client does not leave the proxy for them.
fn without_peers(line: Bytes) -> Bytes {
    let json = line.get(4..).unwrap_or_default();
    let Ok(Value::Object(mut info)) = serde_json::from_slice::<Value>(json) else { return line };
    info.remove("connect_urls");
    info.remove("ws_connect_urls");
    Bytes::from(format!("INFO {}\r\n", Value::Object(info)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `input` byte by byte, the hardest way it can arrive.
    fn frames(input: &[u8]) -> Vec<Frame> {
        let mut buffer = BytesMut::new();
        let mut frames = Vec::new();
        for byte in input {
            buffer.extend_from_slice(&[*byte]);
            frames.extend(take_frame(&mut buffer));
        }
        assert!(buffer.is_empty(), "left over: {buffer:?}");
        frames
    }

    #[test]
    fn messages_are_taken_apart_whatever_their_form() {
        let headers = "NATS/1.0\r\nNats-TTL: 22s\r\nA: b:c\r\n\r\n";
        let (size, all) = (headers.len(), headers.len() + 5);
        let input = format!(
            "PING\r\nPUB a 0\r\n\r\npub a r 7\r\nPUB x 1\r\nHPUB a {size} {all}\r\n{headers}hello\r\n\
             HPUB a r {size} {all}\r\n{headers}hello\r\nMSG a 9 2\r\nhi\r\nHMSG a 9 r {size} {all}\r\n{headers}hello\r\n+OK\r\n"
        );
        let frames = frames(input.as_bytes());
        let shown: Vec<_> = frames
            .iter()
            .map(|frame| match frame {
                Frame::Other(raw) => String::from_utf8_lossy(raw).trim().to_owned(),
                Frame::Message(Message { subject, reply, headers, payload, .. }) => {
                    format!(
                        "{subject} {reply:?} {:?} {:?} {payload:?}",
                        headers.get("nats-ttl"),
                        headers.get("A")
                    )
                }
            })
            .collect();
        assert_eq!(
            shown,
            [
                "PING",
                r#"a None None None b"""#,
                r#"a Some("r") None None b"PUB x 1""#,
                r#"a None Some("22s") Some("b:c") b"hello""#,
                r#"a Some("r") Some("22s") Some("b:c") b"hello""#,
                r#"a None None None b"hi""#,
                r#"a Some("r") Some("22s") Some("b:c") b"hello""#,
                "+OK"
            ]
        );
        let bytes: Vec<u8> = frames
            .iter()
            .flat_map(|frame| match frame {
                Frame::Other(raw) | Frame::Message(Message { raw, .. }) => raw.to_vec(),
            })
            .collect();
        assert_eq!(bytes, input.as_bytes());
    }

    #[test]
    fn info_loses_the_other_servers_and_nothing_else() {
        let found = frames(b"INFO {\"server_id\":\"S\",\"connect_urls\":[\"1.2.3.4:4222\"],\"port\":1}\r\n");
        let [Frame::Other(raw)] = found.as_slice() else { panic!("{found:?}") };
        let info: Value = serde_json::from_slice(&raw[4..]).unwrap();
        assert_eq!(info, serde_json::json!({"server_id": "S", "port": 1}));
    }
}
