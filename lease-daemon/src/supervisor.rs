//! What a supervisor is told of the daemon's life: the protocol of sd_notify(3), of systemd and of others that speak it.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sd_notify::NotifyState;

/// How long a supervisor may keep its queue full before it is told nothing.
const SEND_WITHIN: Duration = Duration::from_secs(1);

/// The supervisor, if there is one.
#[derive(Debug)]
pub struct Supervisor {
    address: Option<SocketAddr>,
    watchdog: Option<Duration>,
    /// Whether it was told that the daemon serves.
    is_ready: AtomicBool,
    /// What it was last told for people.
    status: Mutex<String>,
}

impl Supervisor {
    /// The supervisor that the environment names: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`.
    pub fn from_env() -> Supervisor {
        let name = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let address = name.and_then(|name| match address(&name) {
            Ok(address) => Some(address),
            Err(error) => {
                tracing::warn!(%error, "$NOTIFY_SOCKET {name:?} is no address: the supervisor is told nothing");
                None
            }
        });
        let watchdog = sd_notify::watchdog_enabled().filter(|_| address.is_some());
        Supervisor { address, watchdog, is_ready: AtomicBool::default(), status: Mutex::default() }
    }

    /// How long it waits for the next sign of life before it ends the daemon, if it wants any.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The daemon serves.
    pub fn ready(&self) {
        self.is_ready.store(true, Ordering::Release);
        self.tell(&[NotifyState::Ready]);
    }

    /// What the daemon is at, for people.
    pub fn status(&self, text: &str) {
        let mut said = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if *said != text {
            text.clone_into(&mut said);
            self.tell(&[NotifyState::Status(text)]);
        }
    }

    /// The daemon lives.
    pub fn alive(&self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    /// The daemon reads its settings again. Nobody needs to know before it serves.
    pub fn reloading(&self) {
        if !self.is_ready.load(Ordering::Acquire) {
            return;
        }
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::warn!(%error, "the supervisor is not told of the reload"),
        }
    }

    /// The daemon has read its settings again.
    pub fn reloaded(&self) {
        if self.is_ready.load(Ordering::Acquire) {
            self.ready();
        }
    }

    /// The daemon stops.
    pub fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    fn tell(&self, news: &[NotifyState<'_>]) {
        let Some(address) = &self.address else { return };
        let text: String = news.iter().map(|news| format!("{news}\n")).collect();
        if let Err(error) = send(address, text.as_bytes()) {
            tracing::warn!(%error, news = text.trim_end(), "the supervisor could not be told");
        }
    }
}

fn send(address: &SocketAddr, text: &[u8]) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(SEND_WITHIN))?;
    socket.send_to_addr(text, address).map(drop)
}

/// A path, or with an `@` in front a name in the abstract name space.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}
