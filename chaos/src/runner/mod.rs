//! Runs a scenario inside the hosts that were made for it: starts everything, lets the nemeses at it, heals, waits, stops,
//! and writes the history.

pub mod crew;
pub mod field;
mod tracks;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use crate::auditor::Auditor;
use crate::cluster::{Cluster, Hosts, SIZE, run};
use crate::failure::Failure;
use crate::history::What;
use crate::scenario::{Scenario, named};
use crate::sink::Sink;
use crew::{Common, await_sockets, members};
use field::Field;

/// Short, so that runs are, and that failovers cost leases: what it is like to lose one is to be seen.
pub const TTL_MS: u64 = 4_000;
const SLACK_MS: u64 = 2_000;

/// What the runner inside is told.
#[derive(Clone, Debug, Args)]
pub struct Inner {
    /// The scenario
    pub scenario: String,
    /// The seed
    #[arg(long)]
    pub seed: u64,
    /// For how long something is broken
    #[arg(long)]
    pub seconds: u64,
    /// The folder of the run
    #[arg(long)]
    pub out: PathBuf,
    /// The servers' program
    #[arg(long)]
    pub binary: PathBuf,
    /// The process that made the hosts
    #[arg(long)]
    pub owner: u32,
    /// The command that repeats the run
    #[arg(long)]
    pub repeat: String,
}

/// The hosts of a scenario: the servers', the runner's, and one for each worker.
pub fn host_names(scenario: &Scenario) -> Vec<String> {
    let workers: usize = scenario.crews.iter().map(|crew| crew.size).sum();
    let servers = (0..SIZE).map(|index| format!("n{index}"));
    servers.chain(["r".to_owned()]).chain((0..workers).map(|index| format!("w{index}"))).collect()
}

/// Runs it; the history is in the folder then.
///
/// # Errors
/// If the run could not be made as it was meant.
pub async fn inner(settings: Inner) -> Result<(), Failure> {
    let scenario = named(&settings.scenario)
        .ok_or_else(|| Failure::usage(format!("no scenario {:?}", settings.scenario)))?;
    let hosts = Hosts::named(settings.owner, &host_names(scenario));
    let here = hosts.get("r").ok_or_else(|| Failure::internal("no host for the runner"))?.address;
    let sink = Arc::new(Sink::create(&settings.out.join("history.jsonl"))?);
    let said = run(&settings.binary.display().to_string(), &["--version"])?;
    sink.runner(What::Began {
        scenario: scenario.name.into(),
        seed: settings.seed,
        release: said.rsplit('v').next().unwrap_or_default().to_owned(),
        command: settings.repeat.clone(),
        slack_ms: SLACK_MS,
    });
    let cluster = Cluster::start(&hosts, &settings.binary, &settings.out, "").await?;
    let urls: Vec<String> = cluster.servers().iter().map(|server| server.url()).collect();
    // It makes the bucket, so that the auditor is there before anybody works.
    let space = lease::Space::connect(&cluster.urls(), lease::SpaceOptions::default()).await;
    let space = space.map_err(|error| Failure::internal(format!("cannot make the bucket: {error}")))?;
    space.close(Duration::from_secs(1)).await;
    let auditor = Auditor::start(&urls, Arc::clone(&sink)).await?;

    let sockets = support::Folder::new("chaos");
    let common = Common {
        urls: cluster.urls(),
        register: crate::register::serve(here).await?,
        seed: settings.seed,
        names: scenario.names,
        ttl_ms: TTL_MS,
        logs: settings.out.join("logs"),
        sockets: sockets.path().to_path_buf(),
    };
    let members = members(scenario, &hosts, &common)?;
    for member in &members {
        member.start_daemon()?;
    }
    await_sockets(&members).await?;
    for member in &members {
        member.start_worker(&sink)?;
    }
    let field = Arc::new(Field::new(cluster, hosts, members, Arc::clone(&sink)));
    let progress = tokio::spawn(progress(Arc::clone(&field)));

    // Work unbroken for a moment first.
    tokio::time::sleep(Duration::from_secs(3)).await;
    tracks::run(&field, scenario, settings.seed, Duration::from_secs(settings.seconds)).await?;
    sink.runner(What::Healed);
    tokio::time::sleep(Duration::from_millis(TTL_MS) + Duration::from_secs(17)).await;
    let ended: Vec<&str> =
        field.members.iter().filter(|it| it.has_ended()).map(|it| it.name.as_str()).collect();
    if !ended.is_empty() {
        return Err(Failure::internal(format!("{} ended early; see logs/", ended.join(", "))));
    }
    for member in &field.members {
        member.tell_to_stop();
    }
    for member in &field.members {
        member.end(Duration::from_secs(20)).await;
    }
    progress.abort();
    // What they left behind is to be gone by then: records live for the ttl rounded up and the slack.
    tokio::time::sleep(Duration::from_millis(TTL_MS + 2 * SLACK_MS)).await;
    let missed = auditor.finish().await?;
    sink.runner(What::Ended);
    sink.flush()?;
    eprintln!("chaos: {} grants; the auditor missed {missed} revisions", sink.grants());
    for server in field.cluster.servers() {
        server.kill9();
        // Logs and configuration stay.
        let _ = std::fs::remove_dir_all(settings.out.join(format!("{}.data", server.name())));
    }
    Ok(())
}

/// A line each second.
async fn progress(field: Arc<Field>) {
    let begun = Instant::now();
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let grants = field.sink.grants();
        // So that of a run that breaks off there is something to be read. A full disk is told at the end.
        let _ = field.sink.flush();
        let faults: Vec<String> = field.sink.in_force().iter().cloned().collect();
        let faults = if faults.is_empty() { "nothing broken".to_owned() } else { faults.join(", ") };
        eprintln!("{:4} s  {grants:6} grants (+{})  {faults}", begun.elapsed().as_secs(), grants - before);
        before = grants;
    }
}
