//! What is written on the command line.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use lease::store::NatsOptions;
use lease::{DEFAULT_TTL, Filter, Name};

use super::bench::Bench;
use super::completions::Completions;
use super::doctor::Doctor;
use super::durations;
use super::ping::Ping;
use super::wanted::What;
use crate::config::login::{Environment, LoginArgs};
use crate::config::nats::Nats;
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
    ///
    /// With several names the command is run under all of them, which are taken together or not at all.
    Run(Run),
    /// Stand for office, run a command while leading, and resign when its whole process group has gone.
    ///
    /// As `lease run` in everything else; the candidates wait in line, by priority.
    Elect(Elect),
    /// Tell who leads, and go on telling.
    Observe(Observe),
    /// List the locks that are held.
    Ls(Ls),
    /// Show one name: who holds it, how long it is good for, and who waits.
    Show(Look),
    /// Tell what happens to locks, and go on telling.
    Watch(Watch),
    /// Tell who held a name, the last 64 times, and how that ended.
    History(Look),
    /// Break a grant by force: its holder is told to stop, and gives it back, or it expires.
    Break(Break),
    /// Hand what a command is run under to somebody who waits for it: to be called by that command.
    HandOver(HandOver),
    /// Ask the daemon whether it can grant locks now, or with --live whether it lives at all: exit code 0, or 69 with the
    /// reason. For probes and scripts.
    Ping(Ping),
    /// Measure how fast locks are here, beside what any request costs.
    ///
    /// Five parts, one after the other: `request` (a round trip to the daemon), `store` (one that asks the store), `cycle`
    /// (a lock taken and given back) by one client and by all of them, each with a name of its own, and `hand-over`
    /// (all of them want the same lock: how often a second it changes hands). Compare figures of one run only.
    Bench(Bench),
    /// Examine the deployment: servers, replicas, settings, clocks, latency; each finding with what to do about it.
    ///
    /// The exit code is that of the gravest finding: 0 if all is ok or worth a note, 1 with a warning, 2 with something
    /// critical; 64 usage, 69 store or daemon out of reach, 77 denied. With --nats nothing is made that is not there.
    Doctor(Doctor),
    /// Write a shell's completion script to standard output.
    Completions(Completions),
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
    /// How NATS lets in.
    #[command(flatten)]
    pub login: LoginArgs,
}

impl Place {
    /// The library's settings for `--nats`.
    pub(super) fn nats_options(&self) -> NatsOptions {
        let mut nats = Nats { bucket: self.bucket.clone(), ..Nats::default() };
        nats.log_in_with(&self.login, &Environment::read());
        nats.options()
    }
}

/// How a command is run under something.
#[derive(Clone, Debug, Args)]
pub(super) struct How {
    /// Do not wait: if somebody else holds it, exit with 75
    #[arg(short = 'n', long, conflicts_with = "wait")]
    pub nonblock: bool,
    /// Wait at most this long; a bare number is seconds [default: without limit]
    #[arg(short = 'w', long, value_name = "DUR", value_parser = durations::wait, allow_hyphen_values = true)]
    pub wait: Option<Duration>,
    /// How long it outlives a holder that vanished
    #[arg(long, value_name = "DUR", value_parser = durations::ttl, default_value = "20s", allow_hyphen_values = true)]
    pub ttl: Duration,
    /// Exit code instead of 75 if somebody else holds it
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
    /// The command and its arguments, behind `--`
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// `lease run`.
#[derive(Clone, Debug, Args)]
pub(super) struct Run {
    /// Hold the lock beside others who share it
    #[arg(short = 's', long, conflicts_with = "limit")]
    pub shared: bool,
    /// Hold one of so many permits of a semaphore (1 to 500), all of whose users must say the same
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: Option<u32>,
    /// The lock's name, or several that are taken together
    #[arg(value_parser = name, required = true, value_name = "NAME")]
    pub names: Vec<Name>,
    /// How.
    #[command(flatten)]
    pub how: How,
}

/// `lease elect`.
#[derive(Clone, Debug, Args)]
pub(super) struct Elect {
    /// What to say as a candidate and as the leader: JSON, or else text
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub value: Option<String>,
    /// Who is preferred at the next vacancy: higher is better
    #[arg(long, value_name = "N", default_value_t = 0, allow_hyphen_values = true)]
    pub priority: i32,
    /// The election's name
    #[arg(value_parser = name)]
    pub name: Name,
    /// How.
    #[command(flatten)]
    pub how: How,
}

/// `lease observe`.
#[derive(Clone, Debug, Args)]
pub(super) struct Observe {
    /// The election's name
    #[arg(value_parser = name)]
    pub name: Name,
    /// One JSON object a line instead of text
    #[arg(long)]
    pub json: bool,
    /// Where the locks are.
    #[command(flatten)]
    pub place: Place,
}

/// `lease watch`.
#[derive(Clone, Debug, Args)]
pub(super) struct Watch {
    /// Which names: `*` stands for one token between dots, a final `>` for one or more
    #[arg(value_parser = filter, default_value = ">")]
    pub filter: Filter,
    /// Go on after this revision, the highest that was told; or `now` [default: begin with what is held]
    #[arg(long, value_name = "REV", value_parser = revision)]
    pub from: Option<String>,
    /// Tell renewals, too
    #[arg(long)]
    pub renewals: bool,
    /// One JSON object a line instead of text
    #[arg(long)]
    pub json: bool,
    /// Where the locks are.
    #[command(flatten)]
    pub place: Place,
}

/// `lease break`.
#[derive(Clone, Debug, Args)]
pub(super) struct Break {
    /// The name
    #[arg(value_parser = name)]
    pub name: Name,
    /// The token of the grant to break, as `lease show` tells it: another one is left alone
    #[arg(long, value_name = "TOKEN")]
    pub token: u64,
    /// Why, for its holder and for the history
    #[arg(long, value_name = "TEXT", default_value = "broken by an operator")]
    pub reason: String,
    /// Free it at once. Its holder hears of that up to a fifth of its ttl later, and another may hold it by then: only the
    /// token still keeps them apart
    #[arg(long)]
    pub now: bool,
    /// Of which kind it is
    #[arg(long, value_enum, value_name = "KIND", default_value_t = Kind::Lock)]
    pub kind: Kind,
    /// Where the locks are.
    #[command(flatten)]
    pub place: Place,
}

/// `lease hand-over`.
#[derive(Clone, Debug, Args)]
pub(super) struct HandOver {
    /// Who is to have it: the owner that somebody in line goes by
    #[arg(value_name = "OWNER")]
    pub to: String,
    /// The lease
    #[arg(long, value_name = "ID", env = "LEASE_ID")]
    pub lease: String,
    /// The daemon's socket [default: $LEASE_SOCKET, else $XDG_RUNTIME_DIR/lease.sock, else /run/lease/lease.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// A lock.
    Lock,
    /// A semaphore.
    Semaphore,
    /// An election.
    Election,
}

impl Kind {
    /// As it is in paths.
    pub(super) fn path(self) -> &'static str {
        match self {
            Kind::Lock => "locks",
            Kind::Semaphore => "semaphores",
            Kind::Election => "elections",
        }
    }
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

/// `lease show` and `lease history`.
#[derive(Clone, Debug, Args)]
pub(super) struct Look {
    /// The name
    #[arg(value_parser = name)]
    pub name: Name,
    /// Of which kind it is
    #[arg(long, value_enum, value_name = "KIND", default_value_t = Kind::Lock)]
    pub kind: Kind,
    /// A JSON object instead of text or a table
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

impl How {
    /// The time between SIGTERM and SIGKILL.
    const KILL_AFTER: Duration = Duration::from_secs(3);

    /// How long after SIGTERM comes SIGKILL.
    pub(super) fn kill_after(&self) -> Duration {
        self.kill_after.unwrap_or(How::KILL_AFTER)
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

impl Run {
    /// What the command is run under.
    ///
    /// # Errors
    /// If that makes no sense.
    pub(super) fn what(&self) -> Result<What, String> {
        match (self.names.as_slice(), self.limit) {
            ([name], Some(limit)) => Ok(What::Permit { name: name.clone(), limit }),
            ([name], None) => Ok(What::Lock { name: name.clone(), shared: self.shared }),
            (_, Some(_)) => Err("--limit is for one name; several are locks that are taken together".into()),
            (_, None) if self.shared => {
                Err("--shared is for one name; several are locks that are taken together, alone".into())
            }
            (names, None) => Ok(What::All(names.to_vec())),
        }
    }
}

impl Elect {
    /// What the command is run under.
    pub(super) fn what(&self) -> What {
        let value = self.value.as_ref().map(|text| {
            serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::String(text.clone()))
        });
        What::Office { name: self.name.clone(), value, priority: self.priority }
    }
}

fn revision(text: &str) -> Result<String, String> {
    match text.parse::<u64>() {
        Ok(revision) if revision < 1 << 53 => Ok(revision.to_string()),
        _ if text == "now" => Ok(text.to_owned()),
        _ => Err("write a revision, or now".to_owned()),
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
