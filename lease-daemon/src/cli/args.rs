//! What is written on the command line.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use lease::{DEFAULT_TTL, Filter, Name};

use super::durations;
use crate::wire::Span;

/// Distributed locks on NATS JetStream, for shells and scripts.
#[derive(Debug, Parser)]
#[command(name = "lease", version, subcommand_required = true, arg_required_else_help = false)]
pub(super) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Take a lock, run a command, and give the lock back when the command's whole process group has gone.
    ///
    /// The command is run without a shell; its standard input and arguments are untouched. It sees LEASE_NAME,
    /// LEASE_TOKEN (the fencing token) and, through a daemon, LEASE_SOCKET. Signals are passed on to its process
    /// group. A process that leaves that group (setsid) is not waited for and not stopped.
    ///
    /// The exit code is the command's own, or 128 + signal; 64 usage, 69 store or daemon out of reach, 75 busy or
    /// waited too long (-E sets another), 77 denied, 79 lease lost while the command ran, 126 not executable,
    /// 127 not found.
    Run(Run),
    /// List the locks that are held.
    Ls(Ls),
    /// Show one lock: its holder, how long it is good for, and who waits.
    Show(Show),
}

/// Where the locks are.
#[derive(Clone, Debug, Args)]
pub(super) struct Place {
    /// The daemon's socket [default: $LEASE_SOCKET, else $XDG_RUNTIME_DIR/lease.sock, else /run/lease/lease.sock]
    #[arg(long, value_name = "PATH", conflicts_with_all = ["nats", "embedded"])]
    pub socket: Option<PathBuf>,
    /// Without a daemon: servers of NATS, separated by commas
    #[arg(long, value_name = "URL", conflicts_with = "embedded")]
    pub nats: Option<String>,
    /// The bucket that holds the locks
    #[arg(long, value_name = "NAME", default_value = "leases", requires = "nats")]
    pub bucket: String,
    /// Without a daemon and without NATS: locks that hold in this process only, to try things out
    #[arg(long)]
    pub embedded: bool,
}

/// `lease run`.
#[derive(Clone, Debug, Args)]
pub(super) struct Run {
    /// Do not wait: if somebody else holds the lock, exit with 75
    #[arg(short = 'n', long, conflicts_with = "wait")]
    pub nonblock: bool,
    /// Wait at most this long for the lock; a bare number is seconds [default: without limit]
    #[arg(short = 'w', long, value_name = "DUR", value_parser = durations::wait, allow_hyphen_values = true)]
    pub wait: Option<Duration>,
    /// How long the lock outlives a holder that vanished
    #[arg(long, value_name = "DUR", value_parser = durations::ttl, default_value = "20s", allow_hyphen_values = true)]
    pub ttl: Duration,
    /// Exit code instead of 75 if the lock is busy
    #[arg(short = 'E', long, value_name = "CODE", default_value_t = 75)]
    pub conflict_exit_code: u8,
    /// How long after SIGTERM to send SIGKILL, if the lease is about to be lost; at most 4/5 of the ttl, less 2 s
    #[arg(long, value_name = "DUR", value_parser = durations::kill_after, allow_hyphen_values = true)]
    pub kill_after: Option<Duration>,
    /// What happens to the command if the lease is lost: SIGTERM and then SIGKILL, both before the lease ends; SIGKILL
    /// only; or nothing but a message, and the exit code stays the command's own
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = OnLost::Term)]
    pub on_lost: OnLost,
    /// What others may see of the holder; can be repeated
    #[arg(long = "meta", value_name = "KEY=VALUE", value_parser = pair)]
    pub metadata: Vec<(String, String)>,
    /// Tell about waiting even if standard error is no terminal
    #[arg(short = 'v', long)]
    pub verbose: bool,
    /// Where the locks are.
    #[command(flatten)]
    pub place: Place,
    /// The lock's name
    #[arg(value_parser = name)]
    pub name: Name,
    /// The command and its arguments, behind `--`
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// `lease ls`.
#[derive(Clone, Debug, Args)]
pub(super) struct Ls {
    /// Which names: `*` stands for one token between dots, a final `>` for one or more
    #[arg(value_parser = filter, default_value = ">")]
    pub filter: Filter,
    /// One JSON object a line instead of a table
    #[arg(long)]
    pub json: bool,
    /// Where the locks are.
    #[command(flatten)]
    pub place: Place,
}

/// `lease show`.
#[derive(Clone, Debug, Args)]
pub(super) struct Show {
    /// The lock's name
    #[arg(value_parser = name)]
    pub name: Name,
    /// A JSON object instead of text
    #[arg(long)]
    pub json: bool,
    /// Where the locks are.
    #[command(flatten)]
    pub place: Place,
}

/// What happens to a command whose lease is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum OnLost {
    /// SIGTERM, and SIGKILL before the lease ends.
    Term,
    /// SIGKILL before the lease ends.
    Kill,
    /// A message.
    Ignore,
}

impl Run {
    /// The time between SIGTERM and SIGKILL.
    const KILL_AFTER: Duration = Duration::from_secs(3);

    /// How long after SIGTERM comes SIGKILL.
    pub(super) fn kill_after(&self) -> Duration {
        self.kill_after.unwrap_or(Run::KILL_AFTER)
    }

    /// Checks what depends on more than one option.
    ///
    /// # Errors
    /// With what is wrong and what is allowed.
    pub(super) fn check(&self) -> Result<(), String> {
        let mut seen = BTreeMap::new();
        for (key, value) in &self.metadata {
            if seen.insert(key, value).is_some() {
                return Err(format!("--meta {key}=… is given twice"));
            }
        }
        let used = self.kill_after.is_some() || self.on_lost == OnLost::Term;
        let (ttl, kill_after) = (self.ttl, self.kill_after());
        // An outage that no holder shall feel: whatever the command needs to stop is missing from it.
        let outage = ttl / 5 + Duration::from_secs(2);
        if !used || ttl.checked_sub(kill_after).is_some_and(|left| left >= outage) {
            return Ok(());
        }
        let longest = match ttl.checked_sub(outage) {
            Some(longest) => format!("at most {} is possible with this ttl", Span(longest)),
            None => "this ttl is too short for any; `--on-lost kill` needs none".to_owned(),
        };
        // The whole milliseconds at or above the exact bound.
        let shortest = kill_after.saturating_add(Duration::from_secs(2)).saturating_mul(5) / 4
            + Duration::from_micros(999);
        Err(format!(
            "--kill-after {} leaves {} of the ttl of {}, and a fifth of the ttl + 2s = {} must be left to sit out an \
             outage of the store: {longest}, or use --ttl {} or longer{}",
            Span(kill_after),
            Span(ttl.saturating_sub(kill_after)),
            Span(ttl),
            Span(outage),
            Span(shortest),
            if self.kill_after.is_none() { " (3s is the default of --kill-after)" } else { "" },
        ))
    }

    /// The metadata as a map.
    pub(super) fn metadata(&self) -> BTreeMap<String, String> {
        self.metadata.iter().cloned().collect()
    }

    /// How long to wait; `None` without limit.
    pub(super) fn limit(&self) -> Option<Duration> {
        if self.nonblock { Some(Duration::ZERO) } else { self.wait }
    }
}

fn name(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(why)
}

fn filter(text: &str) -> Result<Filter, String> {
    Filter::new(text).map_err(why)
}

/// Clap names the offending value itself.
fn why(error: lease::Error) -> String {
    match error {
        lease::Error::InvalidName { why, .. } => why.to_owned(),
        other => other.to_string(),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, with a key that is not empty".to_owned()),
    }
}

/// The ttl that clap shows as the default is the library's.
const _: () = assert!(DEFAULT_TTL.as_secs() == 20);
