//! SIGHUP: the policy is read again, and nothing else.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::access::Access;
use crate::config::Config;
use crate::config::args::Args;
use crate::failure::Failure;
use crate::policy::Policy;
use crate::supervisor::Supervisor;

/// Begins to listen: until then the signal would end the daemon.
///
/// # Errors
/// If the operating system refuses.
pub fn listen() -> Result<Signal, Failure> {
    signal(SignalKind::hangup()).map_err(Failure::internal)
}

/// Reads the policy again at each signal. A file that is broken, or that would open to everybody what a rule closed,
/// changes nothing.
pub async fn serve(
    mut hangups: Signal,
    args: Args,
    running: Config,
    access: Arc<Access>,
    supervisor: Arc<Supervisor>,
) {
    while hangups.recv().await.is_some() {
        supervisor.reloading();
        again(&args, &running, &access);
        supervisor.reloaded();
    }
}

fn again(args: &Args, running: &Config, access: &Access) {
    if args.config.is_none() {
        tracing::warn!("SIGHUP: there is no --config, so there is no policy to read again");
        return;
    }
    match read(args, &access.policy()) {
        Ok((config, policy)) => {
            let rules = policy.rules().unwrap_or_default();
            access.replace(policy);
            tracing::info!(rules, "SIGHUP: the policy was read again and counts from now on");
            if (Config { policy: running.policy.clone(), ..config }) != *running {
                tracing::warn!("SIGHUP: settings beside the policy were changed too; those take a restart");
            }
        }
        Err(failure) => tracing::error!("SIGHUP: the policy stays as it was: {failure}"),
    }
}

fn read(args: &Args, now: &Policy) -> Result<(Config, Policy), Failure> {
    let config = Config::load(args)?;
    let policy = Policy::new(config.policy.as_deref()).map_err(Failure::config)?;
    if now.rules().is_some() && policy.rules().is_none() {
        return Err(Failure::config(
            "the file has no [[policy]] any more, which would let everybody who can connect do everything; restart the \
             daemon if that is meant",
        ));
    }
    Ok((config, policy))
}
