//! A worker: a process that asks for locks, uses what they protect, gives them back, and says what it asked and heard.
//!
//! It runs on one thread: between its look at the lease and the line that says so nothing else of it can happen, so the
//! order of its lines is the order in which it knew.

pub mod held;
pub mod library;
pub mod plan;
pub mod socket;
pub mod usage;
pub mod voice;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::watch;

use crate::failure::Failure;
pub use plan::Workload;

/// How a worker comes to its locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// With the library, in its own process.
    Library,
    /// Through a daemon's socket.
    Socket,
}

impl Via {
    /// As the history says it.
    pub fn name(self) -> &'static str {
        match self {
            Via::Library => "library",
            Via::Socket => "socket",
        }
    }
}

/// What a worker is told.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// What it is called, a letter and its number: w3
    #[arg(long)]
    pub name: String,
    /// What it does
    #[arg(long)]
    pub workload: Workload,
    /// How it comes to its locks
    #[arg(long)]
    pub via: Via,
    /// The servers, with commas between
    #[arg(long, default_value = "")]
    pub url: String,
    /// The daemon's socket
    #[arg(long, default_value = "")]
    pub socket: PathBuf,
    /// Where the registers are
    #[arg(long)]
    pub register: String,
    /// What its times and choices come from
    #[arg(long)]
    pub seed: u64,
    /// Of how many names it chooses
    #[arg(long, default_value_t = 3)]
    pub names: u64,
    /// The ttl in milliseconds
    #[arg(long, default_value_t = 5_000)]
    pub ttl_ms: u64,
    /// The number of its first operation: a process that is started again does not repeat those of the one before
    #[arg(long, default_value_t = 1)]
    pub first_op: u64,
}

/// Whether it is to stop: a line on standard input, or its end.
pub type Stop = watch::Receiver<bool>;

/// Works until a line comes on standard input.
///
/// # Errors
/// If there is no runtime to be had.
pub fn work(settings: Settings) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (tell, stop) = watch::channel(false);
        tokio::spawn(async move {
            let mut line = String::new();
            let _ = BufReader::new(tokio::io::stdin()).read_line(&mut line).await;
            tell.send_replace(true);
            // The sender stays: whoever waits for the news must not see it closed.
            std::future::pending::<()>().await;
        });
        match settings.via {
            Via::Library => library::work(&settings, stop).await,
            Via::Socket => socket::work(&settings, stop).await,
        }
    });
    // The reader of standard input cannot be stopped, and the runtime would wait for it.
    std::process::exit(0)
}

/// Returns when it is time to stop.
pub async fn stopped(stop: &mut Stop) {
    // A sender that is gone says the same.
    let _ = stop.wait_for(|is_over| *is_over).await;
}
