//! Who answers the requests: a daemon behind its socket, or, without one, the same daemon within this process.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lease::store::NatsOptions;
use lease::{Error, Space, SpaceOptions};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::args::Place;
use super::exit::Exit;
use super::http::{no_daemon, silent};
use super::say::say;
use super::source::Refusal;
use crate::access::Access;
use crate::api;
use crate::app::App;
use crate::config::limits::Limits;
use crate::metrics::{Metrics, Named};
use crate::policy::Policy;
use crate::serve;
use crate::socket_path::default_socket;

/// How long a living daemon may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long opening a store may take; longer than the library's own patience.
const OPEN: Duration = Duration::from_secs(20);

/// Whom to ask.
#[derive(Clone, Debug)]
pub(super) enum Server {
    /// A daemon, at this socket.
    Daemon(PathBuf),
    /// The library in this process, behind the daemon's own API: there is one way to do everything.
    Within(Arc<App>),
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Server::Daemon(socket) => write!(f, "the daemon at {}", socket.display()),
            Server::Within(_) => f.write_str("the store"),
        }
    }
}

impl Server {
    /// The daemon behind `socket`; nothing is sent yet.
    pub(super) fn at(socket: &Path) -> Server {
        // Absolute, because the command that is told of it may change its directory.
        Server::Daemon(std::path::absolute(socket).unwrap_or_else(|_| socket.to_owned()))
    }

    /// The place that the options name; of a daemon only the address, which is tried when it is used.
    ///
    /// # Errors
    /// If the library cannot open its store.
    pub(super) async fn open(place: &Place) -> Result<Server, Refusal> {
        let (store, space) = match &place.nats {
            Some(url) => ("nats", connect(url, place.nats_options()).await?),
            None if place.embedded => {
                say("--embedded: this lock holds in this process only and keeps nobody else out");
                ("embedded", Space::embedded())
            }
            None => return Ok(Server::at(&place.socket.clone().unwrap_or_else(default_socket))),
        };
        let metrics =
            Metrics::new(Named::default()).map_err(|error| Refusal::unavailable(error.to_string()))?;
        let app = App::new(store, Access::new(Policy::default()), Limits::usual(), Arc::new(metrics));
        app.open(space);
        Ok(Server::Within(Arc::new(app)))
    }

    /// The daemon's socket.
    pub(super) fn socket(&self) -> Option<&Path> {
        match self {
            Server::Daemon(socket) => Some(socket),
            Server::Within(_) => None,
        }
    }

    /// A new connection. Closing it is what tells that the client has gone.
    pub(super) async fn connection(&self) -> Result<UnixStream, Refusal> {
        match self {
            Server::Daemon(socket) => {
                match tokio::time::timeout(CONNECT, UnixStream::connect(socket)).await {
                    Ok(Ok(stream)) => Ok(stream),
                    Ok(Err(error)) => Err(no_daemon(socket, &error)),
                    Err(_) => Err(silent(self, CONNECT)),
                }
            }
            Server::Within(app) => {
                let pair = UnixStream::pair();
                let (ours, theirs) =
                    pair.map_err(|error| Refusal::unavailable(format!("no pair of sockets: {error}")))?;
                let app = Arc::clone(app);
                tokio::spawn(async move {
                    let router = api::router(Arc::clone(&app));
                    // How it ended shows at the other end.
                    let _ = serve::connection(theirs, router, &app, CancellationToken::new()).await;
                });
                Ok(ours)
            }
        }
    }

    /// Ends what the library does in the background: places in line that are left, leases that are given back.
    pub(super) async fn close(&self, within: Duration) {
        if let Server::Within(app) = self
            && let Ok(space) = app.space()
        {
            space.close(within).await;
        }
    }
}

async fn connect(url: &str, nats: NatsOptions) -> Result<Space, Refusal> {
    let options = SpaceOptions { nats, ..SpaceOptions::default() };
    reached(Space::connect(url, options)).await
}

/// What the library gives, or why it does not, within [`OPEN`].
pub(super) async fn reached<T>(asking: impl Future<Output = Result<T, Error>>) -> Result<T, Refusal> {
    match tokio::time::timeout(OPEN, asking).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            let exit = match &error {
                Error::InvalidName { .. } | Error::InvalidSetting { .. } => Exit::USAGE,
                Error::Denied(_) => Exit::DENIED,
                _ => Exit::UNAVAILABLE,
            };
            Err(Refusal::new(exit, error.to_string()))
        }
        Err(_) => Err(Refusal::unavailable(format!("NATS does not answer within {OPEN:?}"))),
    }
}
