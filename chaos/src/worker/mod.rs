//! A worker: a process that acquires, holds, uses and gives back, and says each step on its standard output.
//!
//! ```text
//!   runner ── "go", "stop" ──► stdin    worker    stdout ── one `Line` each step ──► runner
//! ```
//!
//! What it says is stamped by itself: *before* it asks, and *after* it was told, so that what it believes lies within
//! what it says. The end of its standard input stops it too.

mod breaker;
mod grant;
mod hold;
mod library;
mod observer;
mod say;
mod socket;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use futures_util::future::try_join_all;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio_util::sync::CancellationToken;

pub use say::Said;
use support::chance::Chance;

/// The bucket that all workers use.
pub const BUCKET: &str = "leases";

/// How a worker gets its locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// Through the library, in its own process.
    Library,
    /// Through the daemon on its host.
    Socket,
}

impl Via {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Via::Library => "library",
            Via::Socket => "socket",
        }
    }
}

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// A lock, and a register fenced by it.
    Lock,
    /// One of two locks, held for moments only.
    Brief,
    /// A lock that is always waited for, and never only tried.
    Patient,
    /// A lock that everybody wants, taken again as soon as it was given back; one operation at a time.
    Greedy,
    /// A lock of the worker's own, which nobody else wants, held for moments; one operation at a time.
    Own,
    /// A lock that nobody has had before, which is not renewed and ends by its TTL.
    Fresh,
    /// A lock for readers and writers.
    Rwlock,
    /// The same, held for moments only, so that it is often free for either.
    BriefRwlock,
    /// A permit of a semaphore.
    Semaphore,
    /// Several locks at once.
    Multi,
    /// A term in an office.
    Election,
    /// A lock, and values written under it into the bucket itself.
    Guarded,
    /// A membership of a group.
    Group,
    /// None: it breaks the locks of others by force.
    Breaker,
    /// The same with workers' own locks, always with the mark that a holder is to heed.
    Marker,
    /// None: it asks who leads.
    Observer,
}

/// How often, of 1,000, a breaker does not wait for the holder to heed a mark.
const AT_ONCE: u32 = 600;

impl Workload {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Workload::Lock => "lock",
            Workload::Brief => "brief",
            Workload::Patient => "patient",
            Workload::Greedy => "greedy",
            Workload::Own => "own",
            Workload::Fresh => "fresh",
            Workload::Rwlock => "rwlock",
            Workload::BriefRwlock => "brief-rwlock",
            Workload::Semaphore => "semaphore",
            Workload::Multi => "multi",
            Workload::Election => "election",
            Workload::Guarded => "guarded",
            Workload::Group => "group",
            Workload::Breaker => "breaker",
            Workload::Marker => "marker",
            Workload::Observer => "observer",
        }
    }

    /// Whether it writes into the bucket itself.
    fn is_guarded(self) -> bool {
        self == Workload::Guarded
    }

    /// Whether it holds for moments only.
    fn is_brief(self) -> bool {
        matches!(self, Workload::Brief | Workload::BriefRwlock | Workload::Greedy | Workload::Own)
    }
}

/// What a worker is told on its command line.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// What it is called in the history
    #[arg(long)]
    pub name: String,
    /// How it gets its locks
    #[arg(long)]
    pub via: Via,
    /// What it does
    #[arg(long)]
    pub workload: Workload,
    /// The servers, with commas between them
    #[arg(long)]
    pub url: String,
    /// The daemon's socket
    #[arg(long)]
    pub socket: PathBuf,
    /// The registers' socket
    #[arg(long)]
    pub registers: PathBuf,
    /// Where its chance comes from
    #[arg(long)]
    pub seed: u64,
    /// The ttl of its locks in milliseconds
    #[arg(long, default_value_t = 4_000)]
    pub ttl_ms: u64,
    /// How many operations it has under way at a time
    #[arg(long, default_value_t = 4)]
    pub lanes: u64,
}

impl Settings {
    /// The ttl.
    pub fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl_ms)
    }
}

/// Runs a worker until it is told to stop.
///
/// # Errors
/// With what is wrong with its settings; the network's troubles are none.
pub async fn run(settings: Settings) -> Result<(), String> {
    let mut commands = BufReader::new(tokio::io::stdin()).lines();
    loop {
        match commands.next_line().await {
            Ok(Some(line)) if line == "go" => break,
            Ok(Some(line)) if line != "stop" => eprintln!("not a command: {line:?}"),
            _ => return Ok(()),
        }
    }
    let stop = CancellationToken::new();
    let stopper = stop.clone();
    tokio::spawn(async move {
        while !matches!(commands.next_line().await, Ok(None) | Err(_)) {
            stopper.cancel();
        }
        stopper.cancel();
    });
    let said = Said::new(&settings.name);
    let mut chance = Chance::new(settings.seed);
    let settings = Arc::new(settings);
    let source = match settings.via {
        Via::Socket => hold::Source::Socket(settings.socket.clone()),
        Via::Library => match library::connect(&settings, &stop).await {
            Some(space) => hold::Source::Library(space),
            None => return Ok(()),
        },
    };
    if let hold::Source::Library(space) = &source {
        match settings.workload {
            Workload::Breaker => {
                breaker::run(space, &said, &mut chance, &stop, &breaker::SHARED, AT_ONCE).await
            }
            Workload::Marker => breaker::run(space, &said, &mut chance, &stop, &breaker::OWN, 0).await,
            Workload::Observer => observer::run(space, &said, &mut chance, &stop).await,
            _ => {}
        }
    }
    // One operation at a time: of several, the others would wait in line, and the process would know that somebody does.
    // And many, where each mostly waits for the end of what it holds.
    let lanes = match settings.workload {
        Workload::Greedy | Workload::Own => 1,
        Workload::Fresh => 10 * settings.lanes,
        _ => settings.lanes,
    };
    let lanes = (0..lanes).map(|lane| {
        let lane =
            hold::Lane::new(lane, &settings, source.clone(), said.clone(), chance.fork(), stop.clone());
        tokio::spawn(lane.run())
    });
    // One that panics ends the process: what it held would seem to be held on.
    try_join_all(lanes).await.map_err(|error| format!("a lane ended: {error}"))?;
    if let hold::Source::Library(space) = &source {
        // What is still under way in the background, such as a release that was dropped.
        space.close(Duration::from_secs(5)).await;
    }
    Ok(())
}
