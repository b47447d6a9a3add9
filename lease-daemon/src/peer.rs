//! Who is at the other end of a connection.

use std::sync::{Mutex, PoisonError};

use tokio::net::UnixStream;

/// What the kernel says of a client (`SO_PEERCRED`): as of when it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its process, unless that is in another pid namespace.
    pub pid: Option<u32>,
}

impl Peer {
    /// Asks the kernel.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub fn of(stream: &UnixStream) -> std::io::Result<Peer> {
        let cred = stream.peer_cred()?;
        let pid = cred.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0);
        Ok(Peer { uid: cred.uid(), gid: cred.gid(), pid })
    }

    /// What others see of a client that does not say who it is.
    pub fn owner(&self) -> String {
        let user = if self.uid == 0 { "root".to_owned() } else { format!("uid{}", self.uid) };
        match self.pid {
            Some(pid) => format!("{user}[{pid}]"),
            None => user,
        }
    }
}

/// One connection, as its requests see it.
#[derive(Debug)]
pub struct Connection {
    /// Who is at the other end.
    pub peer: Peer,
    /// The lease that the latest answer granted, as long as it is not known that the client has read it.
    unread: Mutex<Option<String>>,
}

impl Connection {
    /// A connection of `peer`.
    pub fn new(peer: Peer) -> Connection {
        Connection { peer, unread: Mutex::default() }
    }

    /// The answer that is about to be sent grants this lease.
    pub fn grants(&self, lease: &str) {
        *self.unread.lock().unwrap_or_else(PoisonError::into_inner) = Some(lease.to_owned());
    }

    /// The client has read the latest answer: it sent another request.
    pub fn has_read(&self) {
        self.unread();
    }

    /// The lease whose grant the client may not have read.
    pub fn unread(&self) -> Option<String> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
