//! Examining a deployment: what is as it should be, what is not, and what to do about it.
//!
//! ```text
//!   store's facts ─┐
//!   probe: writes ─┼─► verdicts (pure) ─► findings
//!   notes in it ───┘
//! ```

mod probe;
mod verdicts;

use std::time::Duration;

use crate::ambient::{Ambient, SharedAmbient};
use crate::error::Error;
use crate::guard;
use crate::space::{Space, SpaceOptions};
use crate::store::{NatsOptions, NatsStore, Store};
use verdicts::Seen;

/// How much a [`Finding`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing; or it cannot be known from here.
    Note,
    /// Locks hold, and something will go wrong sooner or later.
    Warning,
    /// Locks are not safe, or cannot be had.
    Critical,
}

impl Severity {
    /// `ok`, `note`, `warning` or `critical`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Ok => "ok",
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What was looked at, for programs: `release`, `bucket`, `replicas`, `placement`, `fsync`, `settings`, `history`,
    /// `latency`, `ttl`, `clock`, `server-clocks`, `storage`, `regression`, `quiet` or `embedded`.
    pub code: &'static str,
    /// What was found.
    pub found: String,
    /// What to do about it, if there is anything to do.
    pub advice: Option<String>,
}

/// Examines the bucket at these URLs, as [`Space::examine`], without opening it: what is not there is not made, and what is
/// not fit is said and not refused.
///
/// # Errors
/// As for [`Space::connect`], but for what a finding says.
pub async fn examine(urls: &str, options: SpaceOptions, ttl: Duration) -> Result<Vec<Finding>, Error> {
    let nats = NatsOptions { slack: options.slack, ..options.nats.clone() };
    match NatsStore::reach(urls, &nats, options.ambient.clone()).await {
        Ok(store) => look(&store, &options.ambient, options.slack, ttl).await,
        Err(Error::ServerTooOld { version }) => Ok(vec![verdicts::too_old(&version)]),
        Err(error) => Err(error),
    }
}

impl Space {
    /// Examines how the store is deployed, as far as it can be known from here: its servers, the bucket's replicas and
    /// settings, clocks, and what `ttl` is worth at the latency that was measured. The findings come topic by topic, the
    /// good ones too.
    ///
    /// It writes a key of its own a few times (`doctor.<id>`), which expires by itself, and otherwise only asks.
    /// Takes some seconds. Cancel-safe.
    ///
    /// ```
    /// # async fn run() -> Result<(), lease::Error> {
    /// let findings = lease::Space::embedded().examine(lease::DEFAULT_TTL).await?;
    /// let worst = findings.iter().map(|finding| finding.severity).max();
    /// assert_eq!(worst, Some(lease::Severity::Warning), "it holds in this process only");
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::Unreachable`] and [`Error::Denied`] if the store cannot be asked.
    pub async fn examine(&self, ttl: Duration) -> Result<Vec<Finding>, Error> {
        let core = self.core();
        let mut findings = look(core.store.as_ref(), &core.ambient, core.slack, ttl).await?;
        // What this process noticed need not stand in the bucket.
        if let Err(error @ Error::Regressed { .. }) = core.may_grant().await
            && !findings.iter().any(|finding| finding.code == "regression" && finding.severity > Severity::Ok)
        {
            findings.retain(|finding| finding.code != "regression");
            findings.push(verdicts::regressed(&error.to_string()));
        }
        Ok(findings)
    }
}

async fn look(
    store: &dyn Store,
    ambient: &SharedAmbient,
    slack: Duration,
    ttl: Duration,
) -> Result<Vec<Finding>, Error> {
    let facts = store.examine().await?;
    let is_there = facts.nats.as_ref().is_none_or(|nats| nats.stream.is_some());
    let (probed, regression) = if is_there {
        let ambient: &dyn Ambient = ambient.as_ref();
        (Some(probe::probe(store, ambient).await), guard::note(store).await.ok().flatten())
    } else {
        (None, None)
    };
    Ok(verdicts::findings(&Seen { facts, probed, regression, slack, ttl }))
}
