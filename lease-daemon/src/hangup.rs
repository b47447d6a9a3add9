//! Notices at once that a client closed its connection, or one half of it, or died; and whether it had read what was
//! sent to it.
//!
//! hyper notices too, but not while bytes wait that it has not read: a client that sent a line break too many after
//! its body, or the next request early, and then dies, would keep its lock until a write to it fails.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::UnixStream;

use crate::beats::Beats;

/// Watches a connection without reading from it, but for heartbeats.
#[derive(Debug)]
pub struct Hangup {
    /// The same socket by a second descriptor, with a readiness of its own.
    socket: Arc<UnixStream>,
    beats: Arc<Beats>,
    reset: Arc<AtomicBool>,
}

/// The connection that is watched, for whoever reads and writes.
#[derive(Debug)]
pub struct Watched {
    stream: UnixStream,
    beats: Arc<Beats>,
    reset: Arc<AtomicBool>,
}

/// Begins to watch `stream`.
///
/// # Errors
/// If there are no descriptors left.
pub fn watch(stream: UnixStream) -> io::Result<(Watched, Hangup)> {
    let socket = std::os::unix::net::UnixStream::from(stream.as_fd().try_clone_to_owned()?);
    let socket = Arc::new(UnixStream::from_std(socket)?);
    let beats = Arc::new(Beats::new(Arc::clone(&socket)));
    let reset = Arc::<AtomicBool>::default();
    let watched = Watched { stream, beats: Arc::clone(&beats), reset: Arc::clone(&reset) };
    Ok((watched, Hangup { socket, beats, reset }))
}

impl Hangup {
    /// Waits until the client has closed its side. Cancel-safe.
    pub async fn seen(&self) {
        loop {
            tokio::select! {
                ready = self.socket.ready(Interest::READABLE) => match ready {
                    Ok(ready) if !ready.is_read_closed() => {}
                    Ok(_) | Err(_) => return,
                },
                () = self.beats.begun() => {}
            }
            // Something to read: forget it, and wait for the next change. It always fails.
            let _ = self.socket.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
            // If it is not for whoever reads requests, it is for us.
            while self.beats.are_expected() && self.beats.take() {
                tokio::task::yield_now().await;
            }
        }
    }

    /// What comes over the connection beside requests.
    pub fn beats(&self) -> Arc<Beats> {
        Arc::clone(&self.beats)
    }

    /// Whether the client closed the connection before it had read everything: closing a Unix socket with unread bytes
    /// in it resets the connection. The kernel says so once, to whoever asks or reads first.
    pub fn left_something_unread(&self) -> bool {
        let pending = !matches!(rustix::net::sockopt::socket_error(&self.socket), Ok(Ok(())));
        pending || self.reset.load(Ordering::Acquire)
    }
}

impl Watched {
    fn note<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &outcome
            && matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
        {
            self.reset.store(true, Ordering::Release);
        }
        outcome
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.beats.are_expected() {
            // Never woken: what comes is no request any more, and the end shows elsewhere.
            return Poll::Pending;
        }
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.note(outcome)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.note(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
