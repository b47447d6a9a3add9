//! What takes many requests, many bytes or many connections.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use support::{Api, Daemon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::LIMIT;
use crate::case::{get, parse};

/// As many connections as are tried at the same time.
const CONNECTIONS: usize = 10_000;
/// As many bytes as are thrown at the daemon.
const GARBAGE: usize = 100 << 20;

/// 10,000 requests in one go, none of whose answers is read before all are sent; and one behind a stream.
pub async fn pipelined(daemon: &Daemon) -> String {
    let requests = 10_000;
    let (mut reading, mut writing) = daemon.api().connect().await.expect("a connection").into_split();
    let all = get("/healthz").repeat(requests);
    let sending = tokio::spawn(async move {
        let sent = writing.write_all(&all).await;
        (writing, sent)
    });
    // Until nothing moves any more: the daemon does not take in requests whose answers nobody reads.
    let _ = tokio::time::timeout(Duration::from_millis(300), std::future::pending::<()>()).await;
    assert!(!sending.is_finished(), "the daemon keeps answers without end");
    let (mut seen, mut answers) = (Vec::new(), 0);
    loop {
        while let Some((status, _, end)) = parse(&seen) {
            assert_eq!(status, 200);
            seen.drain(..end);
            answers += 1;
        }
        if answers == requests {
            break;
        }
        let read = tokio::time::timeout(LIMIT, reading.read_buf(&mut seen)).await.expect("an answer in time");
        assert!(read.expect("no error") > 0, "closed after {answers} answers");
    }
    let (mut writing, sent) = sending.await.expect("no panic");
    sent.expect("all is sent");

    let hold = b"POST /v1/locks/streamed/hold HTTP/1.1\r\nHost: l\r\nContent-Length: 2\r\n\r\n{}";
    writing.write_all(&[hold, get("/healthz").as_slice()].concat()).await.expect("sent");
    let mut seen = String::new();
    while !seen.contains(r#""event":"held""#) {
        let mut part = [0; 4096];
        let length = reading.read(&mut part).await.expect("a stream");
        seen.push_str(&String::from_utf8_lossy(&part[..length]));
    }
    drop((reading, writing));
    support::eventually("released, whatever was left unread", LIMIT, async || {
        let lock = daemon.api().get("/v1/locks/streamed").await.json();
        (lock["held"] == false).then_some(())
    })
    .await;
    format!("{requests} answers")
}

/// 100 MiB of what is no HTTP, over as many connections as that takes.
pub async fn garbage(daemon: &Daemon) -> String {
    let api = daemon.api();
    // Any bytes will do; these are the same in each run, and no line of them is short.
    let mut seed = 1_u32;
    let block: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    })
    .take(1 << 20)
    .collect();
    let (mut thrown, mut connections) = (0, 0);
    while thrown < GARBAGE {
        let rounds = stream::iter(0..16).map(|_| throw(&api, &block)).buffer_unordered(16);
        thrown += rounds.fold(0, |sum, sent| async move { sum + sent }).await;
        connections += 16;
    }
    format!("{} MiB over {connections} connections", thrown >> 20)
}

/// Sends as much of `block` as the daemon takes, and gives how much that was.
async fn throw(api: &Api, block: &[u8]) -> usize {
    let mut stream = connect(api).await;
    let mut sent = 0;
    while sent < block.len() {
        match tokio::time::timeout(LIMIT, stream.write(&block[sent..])).await.expect("taken or closed") {
            Ok(length) => sent += length,
            Err(_) => break,
        }
    }
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer)).await.expect("an end");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 4") || answer.is_empty(), "{answer}");
    sent
}

/// A body in chunks without an end is not read for ever.
pub async fn endless_body(daemon: &Daemon) -> String {
    let (mut reading, mut writing) = daemon.api().connect().await.expect("a connection").into_split();
    let head = b"POST /v1/locks/hostile/acquire HTTP/1.1\r\nHost: l\r\nTransfer-Encoding: chunked\r\n\r\n";
    writing.write_all(head).await.expect("sent");
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    let mut chunks = 0;
    while writing.write_all(&chunk).await.is_ok() {
        chunks += 1;
        assert!(chunks < GARBAGE >> 16, "the daemon reads on and on");
    }
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(LIMIT, reading.read_to_end(&mut answer)).await.expect("an end");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body-too-large"), "{answer}");
    format!("refused after {chunks} chunks of 64 KiB")
}

/// 10,000 connections at the same time: each is served, or refused by a code.
pub async fn connections(daemon: &Daemon) -> String {
    let api = daemon.api();
    let (mut served, mut refused) = (Vec::new(), 0);
    let mut outcomes = stream::iter(0..CONNECTIONS).map(|_| ask(&api)).buffer_unordered(CONNECTIONS);
    while let Some((stream, status, body)) = outcomes.next().await {
        match status {
            // Kept open until all have asked.
            200 => served.push(stream),
            // All are of one user, whose share is less than the whole.
            429 if body.contains(r#""code":"too-many-connections-of-user""#) => refused += 1,
            _ => panic!("{status} {body}"),
        }
    }
    drop(outcomes);
    assert!(served.len() >= 500 && refused >= 1_000, "{} served, {refused} refused", served.len());
    let summary = format!("{} served, {refused} refused", served.len());
    drop(served);
    support::eventually("room again", LIMIT, async || {
        let answer = api.try_send("GET", "/healthz", "").await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
    summary
}

async fn ask(api: &Api) -> (UnixStream, u16, String) {
    let mut stream = connect(api).await;
    // A daemon that refuses need not read this.
    let _ = stream.write_all(&get("/healthz")).await;
    let mut seen = Vec::new();
    loop {
        let read = tokio::time::timeout(LIMIT, stream.read_buf(&mut seen)).await.expect("an answer in time");
        if let Some((status, body, _)) = parse(&seen) {
            return (stream, status, String::from_utf8_lossy(&body).into_owned());
        }
        if !matches!(read, Ok(length) if length > 0) {
            return (stream, 0, format!("{read:?} after {:?}", String::from_utf8_lossy(&seen)));
        }
    }
}

/// A connection; while the daemon has more of them to accept than the kernel keeps for it, one has to try again.
async fn connect(api: &Api) -> UnixStream {
    loop {
        match api.connect().await {
            Ok(stream) => return stream,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => panic!("cannot connect: {error}"),
        }
    }
}
