//! The daemon's settings: a file, then the environment, then the command line; the later wins.
//!
//! ```text
//!   file ─────────► Config ─► check ─► the daemon, or `--check` prints it
//!   environment ┐     ▲
//!   args ───────┴─► Args: what was said outside the file
//! ```
//!
//! One file a subject, with its table in the file, its flags and its rules: `nats`, `socket`, `metrics`, `limits`,
//! `life`, `policy`.

pub mod accounts;
pub mod args;
pub mod environment;
mod file;
pub mod life;
pub mod limits;
pub mod login;
pub mod metrics;
pub mod nats;
pub mod policy;
pub mod secret;
pub mod socket;
mod wrong;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::policy::Policy;
use args::Args;
use file::File;
use life::Drain;
use limits::Limits;
use metrics::Metrics;
use nats::Nats;
use policy::Rule;
use socket::Socket;
pub use wrong::Wrong;

/// What to log if nothing is said.
const LOG: &str = "info,async_nats=off";

/// All settings, as they count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// What to log to stderr.
    pub log: String,
    /// The store.
    pub nats: Nats,
    /// Where clients connect.
    pub socket: Socket,
    /// Where metrics are served.
    pub metrics: Metrics,
    /// What can be used up.
    pub limits: Limits,
    /// How the daemon stops.
    pub drain: Drain,
    /// Who may do what; without it, everybody who can connect may do everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Vec<Rule>>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            log: LOG.to_owned(),
            nats: Nats::default(),
            socket: Socket::default(),
            metrics: Metrics::default(),
            limits: Limits::default(),
            drain: Drain::default(),
            policy: None,
        }
    }
}

impl Config {
    /// Reads the file that `args` name, if any, and lets them have the last word.
    ///
    /// # Errors
    /// What is wrong: of the file with its line (exit code 78), of environment and flags by their names (64).
    pub fn load(args: &Args) -> Result<Config, Failure> {
        let file = args.config.as_deref().map(File::read).transpose()?;
        let mut config = file.as_ref().map(File::config).transpose()?.unwrap_or_default();
        config.limits.settle();
        let alone = config.check();
        config.override_with(args);
        match (config.check(), file) {
            (Ok(()), _) => Ok(config),
            (Err(wrong), Some(file)) if alone.as_ref() == Err(&wrong) => Err(file.wrong(&wrong)),
            (Err(wrong), _) => Err(Failure::usage(wrong)),
        }
    }

    /// The settings as a file that gives the same ones, but for secrets, which are masked.
    ///
    /// # Errors
    /// If they cannot be written, which is a mistake in the daemon.
    pub fn to_toml(&self) -> Result<String, Failure> {
        toml::to_string(self).map_err(Failure::internal)
    }

    fn override_with(&mut self, args: &Args) {
        if let Some(log) = &args.log {
            self.log.clone_from(log);
        }
        self.nats.override_with(&args.nats);
        self.socket.override_with(&args.socket);
        self.metrics.override_with(&args.metrics);
        self.drain.override_with(&args.drain);
    }

    /// Whether the settings make sense, each by itself and together.
    fn check(&self) -> Result<(), Wrong> {
        if let Err(error) = self.log.parse::<tracing_subscriber::EnvFilter>() {
            let allowed = "error, warn, info, debug, trace, or a filter such as info,lease=debug";
            return Err(Wrong::new("log", &self.log, format!("{error}; allowed is {allowed}")));
        }
        self.nats.check()?;
        self.socket.check()?;
        self.metrics.check()?;
        self.limits.check()?;
        self.drain.check()?;
        Policy::new(self.policy.as_deref()).map(|_| ())
    }
}

#[cfg(test)]
mod props;
#[cfg(test)]
mod tests;
