//! Serving connections: HTTP/1.1, bounded in number, ended as soon as the client is gone.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::net::SendFlags;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::config::limits::Limits;
use crate::failure::Failure;
use crate::hangup;
use crate::limits;
use crate::listen::Socket;
use crate::peer::{Connection, Peer};
use crate::unread::Reading;
use crate::wire::{PROBLEM, Problem};

/// The most connections at a time whose request is read before they are told that there are too many; more are told
/// at once.
const MAX_REFUSALS: usize = 64;
/// How long a client that is refused may take to send its request.
const REFUSE_WITHIN: Duration = Duration::from_secs(1);

/// How long requests that are under way may take once the daemon has released everything.
pub const GOODBYE: Duration = Duration::from_millis(500);

/// Serves `router` at `socket` until `stop`; then lets requests end that are under way.
pub async fn unix(socket: &Socket, router: Router, app: Arc<App>, stop: CancellationToken) {
    let room = limits::connections(&app.limits);
    let refusals = Arc::new(Semaphore::new(MAX_REFUSALS));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = socket.listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        // Without a user it is not served: that is found, and said, further on.
        let uid = stream.peer_cred().map(|cred| cred.uid()).unwrap_or(u32::MAX);
        match room.take(uid, Vec::new()) {
            Ok(seat) => {
                let (router, app, stop) = (router.clone(), Arc::clone(&app), stop.clone());
                connections.spawn(async move {
                    if let Err(error) = connection(stream, router, &app, stop).await {
                        tracing::warn!(%error, "a connection could not be served");
                    }
                    drop(seat);
                });
            }
            Err(full) => {
                if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
                    let limits = app.limits.clone();
                    tokio::spawn(async move {
                        refuse(stream, &limits, &full).await;
                        drop(permit);
                    });
                } else {
                    say(&stream, &refusal(&full));
                }
            }
        }
    }
    connections.close();
    connections.wait().await;
}

/// Makes the port for metrics.
///
/// # Errors
/// If the address cannot be had.
pub async fn bind_tcp(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).await;
    let listener = listener
        .map_err(|error| Failure::listen(format!("cannot listen at {address} for metrics: {error}")))?;
    match listener.local_addr() {
        Ok(address) if !address.ip().is_loopback() => {
            tracing::warn!(%address, "metrics are served beyond this host")
        }
        Ok(address) => tracing::info!(%address, "metrics"),
        Err(_) => {}
    }
    Ok(listener)
}

/// Serves `router` (which knows nothing but metrics) over TCP.
pub async fn tcp(listener: TcpListener, router: Router, limits: Limits) {
    let room = Arc::new(Semaphore::new(MAX_REFUSALS));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
        let service = TowerToHyperService::new(router.clone());
        let http = http(&limits);
        tokio::spawn(async move {
            // A scraper that goes away is no concern of ours.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
            drop(permit);
        });
    }
}

fn http(limits: &Limits) -> http1::Builder {
    let longest = usize::try_from(limits.head_bytes).unwrap_or(usize::MAX);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head_within.0).max_buf_size(longest);
    http
}

/// Serves one connection. When the client closes it, or one half of it, whatever it asked for is dropped at once:
/// a waiting request leaves the line, a stream releases its lock.
///
/// # Errors
/// If the kernel does not tell who is at the other end.
pub async fn connection(
    stream: UnixStream,
    router: Router,
    app: &App,
    stop: CancellationToken,
) -> io::Result<()> {
    let peer = Peer::of(&stream)?;
    let (stream, hangup) = hangup::watch(stream)?;
    let connection = Arc::new(Connection::new(peer).with(hangup.beats()));
    let stream = Reading::new(stream, app.limits.unread_within.0, connection.patience.clone());
    let inner = TowerToHyperService::new(router);
    let service = {
        let connection = Arc::clone(&connection);
        service_fn(move |mut request: Request<Incoming>| {
            connection.has_read();
            request.extensions_mut().insert(Arc::clone(&connection));
            let (answering, connection) = (inner.call(request), Arc::clone(&connection));
            async move {
                let mut answer = answering.await?;
                if connection.is_spent() {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer)
            }
        })
    };
    let mut serving = pin!(http(&app.limits).serve_connection(TokioIo::new(stream), service));
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            // How it ended is the client's business, but for what it did not read.
            _ = serving.as_mut() => break,
            () = hangup.seen() => break,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
    if connection.patience.is_lost() {
        let (uid, pid, within) = (connection.peer.uid, connection.peer.pid, app.limits.unread_within);
        tracing::warn!(uid, pid, %within, "a client that does not read what it asked for was cut off");
    }
    if (connection.patience.is_lost() || hangup.left_something_unread())
        && let Some(lease) = connection.unread()
    {
        app.holders.undelivered(&lease);
    }
    Ok(())
}

/// The news that there are too many connections, as bytes: nothing is parsed for those who are refused.
fn refusal(full: &Problem) -> Vec<u8> {
    let reason = StatusCode::from_u16(full.status).ok().and_then(|status| status.canonical_reason());
    // It is made of strings and numbers, which always encode.
    let body = serde_json::to_string(full).unwrap_or_default();
    format!(
        "HTTP/1.1 {} {}\r\ncontent-type: {PROBLEM}\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        full.status,
        reason.unwrap_or_default(),
        body.len()
    )
    .into_bytes()
}

/// Tells one client that there are too many connections, once it has sent its request: some cannot read an answer
/// that comes before that. One that is silent is told too.
async fn refuse(stream: UnixStream, limits: &Limits, full: &Problem) {
    let mut request = vec![0; usize::try_from(limits.head_bytes).unwrap_or_default()];
    let asked = async {
        if stream.readable().await.is_ok() {
            let _ = stream.try_read(&mut request);
        }
    };
    let _ = tokio::time::timeout(REFUSE_WITHIN, asked).await;
    say(&stream, &refusal(full));
}

/// Writes what fits into the empty buffer of a socket, without waiting for anything: tokio would have to learn first
/// that there is room.
fn say(stream: &UnixStream, bytes: &[u8]) {
    // Whoever has gone need not be told.
    let _ = rustix::net::send(stream, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
}

/// Most likely there are no descriptors left: some connection must end before it makes sense to go on.
async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(Duration::from_millis(50)).await;
}
