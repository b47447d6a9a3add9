//! Around a run: makes its hosts, starts the runner inside them, and removes them, however the run ended.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use clap::Args;
use support::{Release, server_binary};
use tokio::signal::unix::{SignalKind, signal};

use crate::cluster::hosts::remove_stale;
use crate::cluster::{Hosts, check_machine, inside};
use crate::failure::Failure;
use crate::runner::host_names;
use crate::scenario::{ALL, Scenario, named};
use crate::verdict::Verdict;

/// What `run` is told.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// The scenario: see `list`
    pub scenario: String,
    /// What all chance comes from
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The servers' release, such as 2.12.8; by default the machine's own, if it is new enough, else 2.15.1
    #[arg(long)]
    pub release: Option<String>,
    /// For how long something is broken; by default what the scenario says
    #[arg(long)]
    pub seconds: Option<u64>,
    /// The folder for the history, the logs and the report; by default target/chaos/SCENARIO-SEED
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// Runs one scenario and judges it; gives the folder, too.
///
/// # Errors
/// If the run could not be made.
pub fn run_alone(settings: &Settings) -> Result<(Verdict, PathBuf), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(settings))
}

async fn run(settings: &Settings) -> Result<(Verdict, PathBuf), Failure> {
    let scenario = named(&settings.scenario).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|it| it.name).collect();
        Failure::usage(format!("no scenario {:?}; there are: {}", settings.scenario, names.join(", ")))
    })?;
    check_machine()?;
    let release = match &settings.release {
        // For the rest of the process, once.
        Some(release) => Release::Exactly(Box::leak(release.clone().into_boxed_str())),
        None => Release::Pinned,
    };
    let binary = server_binary(release).map_err(Failure::unavailable)?;
    let out = settings.out.clone().unwrap_or_else(|| {
        support::programs::target_folder().join("chaos").join(format!("{}-{}", scenario.name, settings.seed))
    });
    let out = prepare(&out)?;
    remove_stale();
    let owner = std::process::id();
    let hosts = Hosts::named(owner, &host_names(scenario));
    hosts.make()?;
    let _removed = Removed(&hosts);
    let status = inner(settings, scenario, &hosts, &binary, &out, owner).await?;
    if !status.success() {
        let text = format!("the run broke off ({status}); what there is is in {}", out.display());
        return Err(Failure::internal(text));
    }
    let verdict = crate::judge::judge(&out)?;
    Ok((verdict, out))
}

/// Removes the hosts when it is dropped.
struct Removed<'a>(&'a Hosts);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        self.0.remove();
    }
}

/// An empty folder. One that holds anything but an earlier run is left alone.
fn prepare(out: &Path) -> Result<PathBuf, Failure> {
    if out.join("history.jsonl").is_file() {
        std::fs::remove_dir_all(out)?;
    } else if out.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        let text = format!("{} is not empty and holds no earlier run: name another", out.display());
        return Err(Failure::usage(text));
    }
    std::fs::create_dir_all(out)?;
    // So that a run that breaks off before its first line can be repeated.
    std::fs::write(out.join("history.jsonl"), "")?;
    Ok(out.canonicalize()?)
}

async fn inner(
    settings: &Settings,
    scenario: &Scenario,
    hosts: &Hosts,
    binary: &Path,
    out: &Path,
    owner: u32,
) -> Result<ExitStatus, Failure> {
    let seconds = settings.seconds.unwrap_or(scenario.seconds);
    let here = hosts.get("r").ok_or_else(|| Failure::internal("no host for the runner"))?;
    let release = settings.release.as_ref().map(|it| format!(" --release {it}")).unwrap_or_default();
    let repeat = format!(
        "cargo run --release -p chaos -- run {} --seed {} --seconds {seconds}{release}",
        scenario.name, settings.seed
    );
    let mut command = tokio::process::Command::from(inside(&here.namespace, std::env::current_exe()?));
    command.args(["inner", scenario.name, "--seed", &settings.seed.to_string()]);
    command.args(["--seconds", &seconds.to_string(), "--owner", &owner.to_string(), "--repeat", &repeat]);
    command.arg("--out").arg(out).arg("--binary").arg(binary);
    // Its end tells the runner inside that this process has gone.
    command.stdin(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let stdin = child.stdin.take();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        status = child.wait() => return Ok(status?),
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    drop(stdin);
    match tokio::time::timeout(Duration::from_secs(10), child.wait()).await {
        Ok(status) => Ok(status?),
        Err(_) => {
            child.kill().await?;
            Err(Failure::internal("interrupted"))
        }
    }
}
