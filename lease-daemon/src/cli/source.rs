//! Where locks come from: the daemon's socket, or the library in this process. Who uses them need not care.

use std::collections::BTreeMap;
use std::time::Duration;

use lease::{Moment, Name};

use super::args::Place;
use super::exit::Exit;
use super::local::{Library, LibraryHold, LibraryLine};
use super::remote::{Daemon, DaemonHold, DaemonLine};
use super::say::plain;
use crate::socket_path::default_socket;
use crate::wire::{Holder, Lock};

/// A lock that is wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Its name.
    pub name: Name,
    /// How long it outlives a holder that vanished.
    pub ttl: Duration,
    /// How long to wait: zero not at all, `None` without limit.
    pub wait: Option<Duration>,
    /// What others may see of the holder.
    pub metadata: BTreeMap<String, String>,
}

/// Why there is no lock, or no answer: what to tell, and the code to end with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The exit code.
    pub exit: Exit,
    /// The message.
    pub text: String,
}

impl Refusal {
    /// A refusal.
    pub(super) fn new(exit: Exit, text: impl Into<String>) -> Refusal {
        Refusal { exit, text: text.into() }
    }

    /// The daemon or the store does not answer.
    pub(super) fn unavailable(text: impl Into<String>) -> Refusal {
        Refusal::new(Exit::UNAVAILABLE, text)
    }

    /// Somebody else has it, and it was not waited for any longer.
    pub(super) fn busy(wanted: &Wanted, holder: Option<&Holder>) -> Refusal {
        let name = &wanted.name;
        let by = holder
            .map_or_else(|| "held by somebody else".to_owned(), |holder| format!("held by {}", who(holder)));
        Refusal::new(
            Exit::BUSY,
            match wanted.wait {
                None | Some(Duration::ZERO) => format!("{name} is {by}"),
                Some(limit) => {
                    format!("waited {} for {name} in vain: it is {by}", humantime::format_duration(limit))
                }
            },
        )
    }
}

/// A holder in one line, for people.
pub(super) fn who(holder: &Holder) -> String {
    format!(
        "{} on {} since {} (token {})",
        plain(&holder.owner),
        plain(&holder.host),
        plain(&holder.since),
        holder.token
    )
}

/// Where locks come from.
#[derive(Debug)]
pub(super) enum Source {
    /// A daemon, behind its socket.
    Daemon(Daemon),
    /// The library in this process.
    Library(Library),
}

impl Source {
    /// The place that the options name; of a daemon only the address, which is tried when it is used.
    ///
    /// # Errors
    /// If the library cannot open its store.
    pub(super) async fn open(place: &Place) -> Result<Source, Refusal> {
        Ok(match &place.nats {
            Some(url) => Source::Library(Library::connect(url, &place.bucket).await?),
            None if place.embedded => Source::Library(Library::embedded().await?),
            None => Source::Daemon(Daemon::at(place.socket.clone().unwrap_or_else(default_socket))),
        })
    }

    /// Gets in line for a lock. Dropping the line leaves it.
    ///
    /// # Errors
    /// If the request makes no sense.
    pub(super) fn queue(&self, wanted: Wanted) -> Result<Line, Refusal> {
        Ok(match self {
            Source::Daemon(daemon) => Line::Daemon(daemon.queue(wanted)),
            Source::Library(library) => Line::Library(library.queue(wanted)?),
        })
    }

    /// Looks at one lock.
    ///
    /// # Errors
    /// If there is no answer in time, or a refusal.
    pub(super) async fn look(&self, name: &Name) -> Result<Lock, Refusal> {
        match self {
            Source::Daemon(daemon) => daemon.look(name).await,
            Source::Library(library) => library.look(name).await,
        }
    }

    /// The locks that are held, by name.
    ///
    /// # Errors
    /// If there is no answer in time, or a refusal.
    pub(super) async fn list(&self, filter: &str) -> Result<Vec<Lock>, Refusal> {
        let mut locks = match self {
            Source::Daemon(daemon) => daemon.list(filter).await,
            Source::Library(library) => library.list(filter).await,
        }?;
        // One that is renewed while the list is read may come twice; the later line is the newer one.
        let mut by_name = BTreeMap::new();
        by_name.extend(locks.drain(..).map(|lock| (lock.name.clone(), lock)));
        Ok(by_name.into_values().collect())
    }

    /// Ends what the library does in the background.
    pub(super) async fn close(&self, within: Duration) {
        if let Source::Library(library) = self {
            library.close(within).await;
        }
    }
}

/// What happens in line.
#[derive(Debug)]
pub(super) enum Step {
    /// So many are ahead.
    Ahead(usize),
    /// Granted.
    Held(Hold),
    /// Not granted, and the line is over.
    Refused(Refusal),
}

/// A place in line.
#[derive(Debug)]
pub(super) enum Line {
    /// Through a daemon.
    Daemon(DaemonLine),
    /// In this process.
    Library(LibraryLine),
}

impl Line {
    /// Waits for the next thing to happen. Cancel-safe.
    pub(super) async fn next(&mut self) -> Step {
        match self {
            Line::Daemon(line) => line.next().await,
            Line::Library(line) => line.next().await,
        }
    }
}

/// What becomes known of a lease while it is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A renewal was confirmed: it holds until then.
    Alive(Moment),
    /// It is lost.
    Lost {
        /// For people.
        why: String,
        /// It is not given to anybody else for so long, or until the deadline, if that comes first.
        kept: Option<Duration>,
    },
    /// There will be no more news, for this reason: it holds until the last deadline that was told.
    Silence(String),
}

/// A lease that is held, and renewed by somebody else than its user.
#[derive(Debug)]
pub(super) enum Hold {
    /// Through a daemon.
    Daemon(DaemonHold),
    /// In this process.
    Library(LibraryHold),
}

impl Hold {
    /// The fencing token.
    pub(super) fn token(&self) -> u64 {
        match self {
            Hold::Daemon(hold) => hold.token(),
            Hold::Library(hold) => hold.token(),
        }
    }

    /// Until when the grant itself holds.
    pub(super) fn deadline(&self) -> Moment {
        match self {
            Hold::Daemon(hold) => hold.deadline(),
            Hold::Library(hold) => hold.deadline(),
        }
    }

    /// The socket of the daemon that holds it.
    pub(super) fn socket(&self) -> Option<&std::path::Path> {
        match self {
            Hold::Daemon(hold) => Some(hold.socket()),
            Hold::Library(_) => None,
        }
    }

    /// Waits for news; for ever after a loss and after silence. Cancel-safe.
    pub(super) async fn news(&mut self) -> News {
        match self {
            Hold::Daemon(hold) => hold.news().await,
            Hold::Library(hold) => hold.news().await,
        }
    }

    /// Gives the lease back, now that nothing works under it any more.
    ///
    /// # Errors
    /// With a message, if it is not known to be free: then its TTL frees it.
    pub(super) async fn release(self, within: Duration) -> Result<(), String> {
        match self {
            Hold::Daemon(hold) => hold.release(within).await,
            Hold::Library(hold) => hold.release(within).await,
        }
    }
}
