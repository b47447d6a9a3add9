//! Notices at once that a client closed its connection, or one half of it, or died.
//!
//! hyper notices too, but not while bytes wait that it has not read: a client that sent a line break too many after
//! its body, or the next request early, and then dies, would keep its lock until a write to it fails.

use std::io;
use std::os::fd::AsFd;

use tokio::io::Interest;
use tokio::net::UnixStream;

/// Watches a connection without reading from it.
#[derive(Debug)]
pub struct Hangup {
    /// The same socket by a second descriptor, with a readiness of its own.
    socket: UnixStream,
}

impl Hangup {
    /// Begins to watch `stream`.
    ///
    /// # Errors
    /// If there are no descriptors left.
    pub fn watch(stream: &UnixStream) -> io::Result<Hangup> {
        let socket = std::os::unix::net::UnixStream::from(stream.as_fd().try_clone_to_owned()?);
        Ok(Hangup { socket: UnixStream::from_std(socket)? })
    }

    /// Waits until the client has closed its side. Cancel-safe. Returns whether it left something unread.
    pub async fn seen(&self) -> bool {
        loop {
            let Ok(ready) = self.socket.ready(Interest::READABLE).await else { return true };
            if ready.is_read_closed() {
                // Closing a Unix socket with unread bytes in it resets the connection.
                return !matches!(rustix::net::sockopt::socket_error(&self.socket), Ok(Ok(())));
            }
            // Something to read, which is not for us: forget it, and wait for the next change. It always fails.
            let _ = self.socket.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        }
    }
}
