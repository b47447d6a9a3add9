//! The socket file: made once, with the right mode, by one daemon at a time.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
use std::os::unix::net::UnixStream as Probe;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use crate::config;

/// Whoever could open the lock file could lock it, and keep daemons from starting.
const LOCK_MODE: u32 = 0o600;

/// The longest path: the kernel takes 107 bytes, and the socket is made under a name that is 4 longer.
const MAX_PATH: usize = 103;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another daemon serves it.
    #[error("{} is served by another process; stop that one, or choose another path with --socket", .0.display())]
    InUse(PathBuf),
    /// Something that is no socket is in its place.
    #[error("{} exists and is no socket; move it away, or choose another path with --socket", .0.display())]
    NoSocket(PathBuf),
    /// The path does not fit into a socket's address.
    #[error("{} is too long for a socket: at most {MAX_PATH} bytes; choose another with --socket", .0.display())]
    TooLong(PathBuf),
    /// What a supervisor passed is not what can be served.
    #[error(
        "the socket that was passed ($LISTEN_FDS) cannot be served: {0}; pass one Unix stream socket that listens (in a \
             systemd unit one ListenStream= with a path, and Accept=no)"
    )]
    Passed(String),
    /// Its group is not there.
    #[error(transparent)]
    Group(#[from] config::Wrong),
    /// The operating system refuses.
    #[error("cannot {what} {}: {error}; choose another path with --socket, $LEASE_SOCKET or $XDG_RUNTIME_DIR", path.display())]
    Refused {
        /// What was attempted.
        what: &'static str,
        /// With which path.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
}

/// A socket that is served. If it was made here, it is removed when dropped.
#[derive(Debug)]
pub struct Socket {
    /// Where clients connect.
    pub listener: UnixListener,
    path: PathBuf,
    /// The inode of the file that was made here: another's file at the same path is not ours to remove.
    inode: Option<(u64, u64)>,
    /// Locked as long as we live; the kernel frees it if we are killed. The file stays: removing it would let two
    /// daemons lock two different files of the same name.
    _lock: Option<File>,
}

impl Socket {
    /// Makes the socket. What a killed daemon left in its place is replaced; a living one's is not. The last folder of
    /// the path is made if it is missing. Who may connect, the mode and the group say: without a group that of the
    /// folder if it is set-gid, else the daemon's own.
    ///
    /// # Errors
    /// [`ListenError`]
    pub fn bind(wanted: &config::socket::Socket) -> Result<Socket, ListenError> {
        let path = wanted.path.as_path();
        if path.as_os_str().len() > MAX_PATH {
            return Err(ListenError::TooLong(path.to_owned()));
        }
        if let Some(folder) =
            path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        {
            fs::create_dir(folder).map_err(refused("make the folder", folder))?;
        }
        let lock = lock(path)?;
        make_way(path)?;
        // Under its final name the socket appears with its mode set and its queue open.
        let new = with_suffix(path, ".new");
        make_way(&new)?;
        let listener = UnixListener::bind(&new).map_err(refused("bind", path))?;
        if let Some(gid) = wanted.gid()? {
            lchown(&new, None, Some(gid)).map_err(refused("set the group of", path))?;
        }
        fs::set_permissions(&new, fs::Permissions::from_mode(wanted.mode.0))
            .map_err(refused("set the mode of", path))?;
        let inode = fs::metadata(&new).map(|m| (m.dev(), m.ino())).map_err(refused("look at", path))?;
        fs::rename(&new, path).map_err(refused("make", path))?;
        Ok(Socket { listener, path: path.to_owned(), inode: Some(inode), _lock: Some(lock) })
    }

    /// Takes the socket that a supervisor passed. It stays the supervisor's: its file, mode and group are as they are.
    ///
    /// # Errors
    /// [`ListenError::InUse`] if another daemon serves a socket at the same path.
    pub fn passed(listener: std::os::unix::net::UnixListener) -> Result<Socket, ListenError> {
        let unfit = |error: io::Error| ListenError::Passed(error.to_string());
        listener.set_nonblocking(true).map_err(unfit)?;
        let address = listener.local_addr().map_err(unfit)?;
        let listener = UnixListener::from_std(listener).map_err(unfit)?;
        let Some(path) = address.as_pathname() else {
            let name = address.as_abstract_name().unwrap_or_default();
            let path = PathBuf::from(format!("@{}", name.escape_ascii()));
            return Ok(Socket { listener, path, inode: None, _lock: None });
        };
        let lock = match lock(path) {
            Ok(lock) => Some(lock),
            Err(in_use @ ListenError::InUse(_)) => return Err(in_use),
            // The folder may be the supervisor's alone, and then it keeps others out.
            Err(error) => {
                tracing::debug!(%error, "no lock file beside the socket that was passed");
                None
            }
        };
        Ok(Socket { listener, path: path.to_owned(), inode: None, _lock: lock })
    }

    /// Where clients find it; of one in the abstract name space the name, with an `@` in front.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file if it was made here, so that clients see at once that nobody serves it.
    pub fn remove(&self) {
        let found = fs::symlink_metadata(&self.path).ok().map(|m| (m.dev(), m.ino()));
        if found.is_some() && found == self.inode {
            // At the worst a stale file stays, which the next daemon replaces.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Keeps other daemons from the socket at `path`.
fn lock(path: &Path) -> Result<File, ListenError> {
    let lock_path = with_suffix(path, ".lock");
    let lock = File::options().create(true).truncate(false).write(true).mode(LOCK_MODE).open(&lock_path);
    let lock = lock.map_err(refused("open", &lock_path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(ListenError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(refused("lock", &lock_path)(error)),
    }
}

/// Removes a socket at `path` that nobody listens at any more.
fn make_way(path: &Path) -> Result<(), ListenError> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(ListenError::NoSocket(path.to_owned()));
    }
    match Probe::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // Somebody listens, or there is no telling.
        Ok(_) | Err(_) => return Err(ListenError::InUse(path.to_owned())),
    }
    fs::remove_file(path).map_err(refused("replace the stale socket", path))
}

fn refused(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ListenError + use<> {
    let path = path.to_owned();
    move |error| ListenError::Refused { what, path, error }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::socket::Mode;

    fn bind(path: &Path) -> Result<Socket, ListenError> {
        Socket::bind(&config::socket::Socket { path: path.to_owned(), mode: Mode(0o660), group: None })
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("lease-listen-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[tokio::test]
    async fn one_daemon_at_a_time_and_nothing_left_behind() {
        let folder = folder("one");
        let path = folder.join("lease.sock");
        let first = bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert!(matches!(bind(&path), Err(ListenError::InUse(_))));
        drop(first);
        assert!(!path.exists());
        drop(bind(&path).unwrap());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[tokio::test]
    async fn what_a_killed_daemon_left_is_replaced_and_other_things_are_not() {
        let folder = folder("stale");
        let path = folder.join("lease.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(bind(&path).unwrap());
        let stranger = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(matches!(bind(&path), Err(ListenError::InUse(_))));
        drop(stranger);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&path), Err(ListenError::NoSocket(_))));
        let long = folder.join("n".repeat(MAX_PATH));
        assert!(matches!(bind(&long), Err(ListenError::TooLong(_))));
        fs::remove_dir_all(&folder).unwrap();
    }
}
