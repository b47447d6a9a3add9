//! A worker's way to the registers.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::{Reply, Request};

/// Whoever is not answered within this does not know.
const ANSWER: Duration = Duration::from_secs(1);

/// One connection, made when it is needed.
#[derive(Debug)]
pub struct Client {
    address: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    /// To the registers at this address.
    pub fn new(address: &str) -> Client {
        Client { address: address.to_owned(), stream: None }
    }

    /// Asks; `None` if no answer came, so that nobody knows whether it was done.
    pub async fn ask(&mut self, request: &Request) -> Option<Reply> {
        // A connection whose answer is outstanding is not used again: it would be taken for the next one's.
        let stream = self.stream.take();
        let asked = tokio::time::timeout(ANSWER, ask(stream, &self.address, request)).await;
        let (stream, reply) = asked.ok()??;
        self.stream = Some(stream);
        Some(reply)
    }
}

async fn ask(
    stream: Option<BufReader<TcpStream>>,
    address: &str,
    request: &Request,
) -> Option<(BufReader<TcpStream>, Reply)> {
    let mut stream = match stream {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(address).await.ok()?;
            stream.set_nodelay(true).ok()?;
            BufReader::new(stream)
        }
    };
    let mut text = serde_json::to_string(request).ok()?;
    text.push('\n');
    stream.write_all(text.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_line(&mut answer).await.ok()?;
    Some((stream, serde_json::from_str(&answer).ok()?))
}
