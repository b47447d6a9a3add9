//! Who is at the other end of a connection.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UnixStream;

use crate::beats::{Beats, Heart};
use crate::unread::Patience;

/// What the kernel says of a client (`SO_PEERCRED`): as of when it connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its process, unless that is in another pid namespace.
    pub pid: Option<u32>,
    /// The other groups of that process, if it can be seen.
    pub groups: Box<[u32]>,
}

impl Peer {
    /// Asks the kernel.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub fn of(stream: &UnixStream) -> std::io::Result<Peer> {
        let cred = stream.peer_cred()?;
        let pid = cred.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0);
        let (uid, gid) = (cred.uid(), cred.gid());
        let groups = pid.and_then(|pid| groups_of(pid, uid, gid)).unwrap_or_default();
        Ok(Peer { uid, gid, pid, groups })
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

/// The supplementary groups of a process. The kernel tells those of the one that has this number now, so it counts only if
/// that has no other user and group than the one that connected, be it real, effective, saved or for files: then it is
/// the same process, or one that could be made to act for it anyway.
fn groups_of(pid: u32, uid: u32, gid: u32) -> Option<Box<[u32]>> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    groups_in(&status, uid, gid)
}

fn groups_in(status: &str, uid: u32, gid: u32) -> Option<Box<[u32]>> {
    let numbers = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.split_whitespace().map(|number| number.parse::<u32>().ok()).collect::<Option<Vec<_>>>()
    };
    let all_are =
        |key: &str, id: u32| numbers(key).is_some_and(|ids| ids.len() == 4 && ids.iter().all(|it| *it == id));
    if all_are("Uid", uid) && all_are("Gid", gid) {
        numbers("Groups").map(Vec::into_boxed_slice)
    } else {
        None
    }
}

/// One connection, as its requests see it.
#[derive(Debug)]
pub struct Connection {
    /// Who is at the other end.
    pub peer: Peer,
    /// Whether it has to read in time.
    pub patience: Patience,
    /// The lease that the latest answer granted, as long as it is not known that the client has read it.
    unread: Mutex<Option<String>>,
    /// What comes over it beside requests.
    beats: Option<Arc<Beats>>,
}

impl Connection {
    /// A connection of `peer`.
    pub fn new(peer: Peer) -> Connection {
        Connection { peer, patience: Patience::default(), unread: Mutex::default(), beats: None }
    }

    /// A connection whose client may promise to be heard of.
    pub fn with(self, beats: Arc<Beats>) -> Connection {
        Connection { beats: Some(beats), ..self }
    }

    /// The client promises to be heard of at least every `every`, from now on.
    pub fn promises(&self, every: Option<Duration>) -> Option<Heart> {
        Some(self.beats.as_ref()?.begin(every?))
    }

    /// Whether nothing more that comes is to be read as a request.
    pub fn is_spent(&self) -> bool {
        self.beats.as_ref().is_some_and(|beats| beats.are_expected())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_count_only_for_the_process_that_connected() {
        let status = "Name:\tx\nUid:\t7\t7\t7\t7\nGid:\t8\t8\t8\t8\nGroups:\t8 50 51 \n";
        assert_eq!(groups_in(status, 7, 8).as_deref(), Some(&[8, 50, 51][..]));
        assert_eq!(groups_in(status, 0, 8), None);
        assert_eq!(groups_in(status, 7, 9), None);
        let set_uid = status.replace("7\t7\t7\t7", "7\t0\t0\t0");
        assert_eq!(groups_in(&set_uid, 7, 8), None);
        assert_eq!(groups_in("", 7, 8), None);
    }

    #[tokio::test]
    async fn a_peer_in_this_process_has_its_groups() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut told = Peer::of(&ours).unwrap().groups.into_vec();
        let mut own: Vec<_> = nix::unistd::getgroups().unwrap().iter().map(|group| group.as_raw()).collect();
        told.sort_unstable();
        own.sort_unstable();
        assert_eq!(told, own);
    }
}
