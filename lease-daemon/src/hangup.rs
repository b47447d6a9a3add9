//! Notices at once that a client closed its connection, or one half of it, or died.
//!
//! hyper notices too, but not while bytes wait that it has not read: a client that sent a line break too many after
//! its body, or the next request early, and then dies, would keep its lock until a write to it fails.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;

/// Watches a connection without reading from it.
#[derive(Debug)]
pub struct Hangup {
    /// A second descriptor of the same socket, with a readiness of its own.
    socket: AsyncFd<OwnedFd>,
}

impl Hangup {
    /// Begins to watch `stream`.
    ///
    /// # Errors
    /// If there are no descriptors left.
    pub fn watch(stream: &UnixStream) -> io::Result<Hangup> {
        let socket = stream.as_fd().try_clone_to_owned()?;
        Ok(Hangup { socket: AsyncFd::with_interest(socket, Interest::READABLE)? })
    }

    /// Waits until the client has closed its side. Cancel-safe. Returns whether it left something unread.
    pub async fn seen(&self) -> bool {
        loop {
            let Ok(mut ready) = self.socket.readable().await else { return true };
            if ready.ready().is_read_closed() {
                // Closing a Unix socket with unread bytes in it resets the connection.
                return !matches!(rustix::net::sockopt::socket_error(&self.socket), Ok(Ok(())));
            }
            ready.clear_ready();
        }
    }
}
