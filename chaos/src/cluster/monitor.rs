//! What a server says of itself, on its monitoring port.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The monitoring port of every server.
pub const PORT: u16 = 8222;
/// A living server answers in milliseconds.
const LIMIT: Duration = Duration::from_secs(2);
/// No answer is longer.
const LONGEST: u64 = 4 << 20;

/// One question, such as `/jsz`; `None` if there is no answer, or none that is JSON.
pub async fn ask(server: Ipv4Addr, path: &str) -> Option<Value> {
    tokio::time::timeout(LIMIT, answer(server, path)).await.ok()?
}

async fn answer(server: Ipv4Addr, path: &str) -> Option<Value> {
    let mut stream = TcpStream::connect((server, PORT)).await.ok()?;
    // HTTP/1.0: the answer ends with the connection, and is not cut into chunks.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {server}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut text = Vec::new();
    stream.take(LONGEST).read_to_end(&mut text).await.ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let (_, body) = text.split_once("\r\n\r\n")?;
    serde_json::from_str(body).ok()
}
