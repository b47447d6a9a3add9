//! What the command takes, and what it does with it.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chaos::cluster::enclosure::{self, End, Rights};
use chaos::interrupt::Interrupt;
use chaos::runner::{self, Ending, Order};
use chaos::scenario::{SCENARIOS, Scenario, named};
use chaos::worker;
use clap::{Args, Parser, Subcommand};
use futures_util::{StreamExt, stream};
use support::binary::{OLDEST, PINNED};
use support::programs::program_beside;
use support::{Release, server_binary};

/// Breaks a real cluster under real clients, and checks what they saw.
#[derive(Debug, Parser)]
#[command(name = "chaos", version, after_help = AFTER_HELP)]
pub struct Chaos {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Every run is enclosed in network, mount and process namespaces of its own, and leaves nothing behind but its folder.
Disks that fail take root; without namespaces there is a proxy on each link, and what that cannot break is said to be
untried. Exit codes: 0 done, 1 violated, 2 no whole
history, 64 usage, 69 it cannot be done here, 70 the machine failed, 130 interrupted.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the scenarios
    List,
    /// Runs one scenario and judges it, as `judge` does
    Run(RunArgs),
    /// Runs the scenarios for CI, four at a time: at most ten minutes on two cores
    Ci(CiArgs),
    /// Runs what takes hours: every fault on the oldest and the newest release, with writes that are synced always and
    /// every two minutes
    Nights(NightsArgs),
    /// Checks DIR/history.jsonl and writes DIR/verdict.json and DIR/report.html. Exit code 0: all that was tested held;
    /// 1: violated; 2: the history is not whole, or nothing was tested
    Judge {
        /// The folder of a run
        dir: PathBuf,
    },
    /// What a run starts: one worker
    #[command(hide = true)]
    Worker(worker::Settings),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Its name: see `chaos list`
    scenario: String,
    /// Which faults strike, when [default: drawn, and shown]
    #[arg(long)]
    seed: Option<u64>,
    /// The release of nats-server [default: the machine's own, else the newest that is supported]
    #[arg(long)]
    release: Option<String>,
    /// For how many seconds faults strike [default: the scenario's]
    #[arg(long)]
    seconds: Option<u64>,
    /// The servers' sync_interval: `always`, or a duration such as `2m` [default: the scenario's]
    #[arg(long)]
    sync: Option<String>,
    /// The ttl of every lock in milliseconds [default: the scenario's]
    #[arg(long)]
    ttl_ms: Option<u64>,
    /// Without namespaces, also where they could be had: a TCP proxy on each link, on loopback
    #[arg(long)]
    links: bool,
    /// Where the history and the logs go: a folder that is empty or not there
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct CiArgs {
    /// Without namespaces, also where they could be had
    #[arg(long)]
    links: bool,
    /// The seed of every scenario [default: drawn, and shown]
    #[arg(long)]
    seed: Option<u64>,
    /// The release of nats-server
    #[arg(long)]
    release: Option<String>,
    /// Where the folders of the runs go
    #[arg(long, default_value = "target/chaos/ci")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct NightsArgs {
    /// The seed of the first run; each further one has the next
    #[arg(long)]
    seed: Option<u64>,
    /// For how many seconds faults strike in each of the five long runs of a release; eleven short ones take an eighth
    #[arg(long, default_value_t = 1_800)]
    seconds: u64,
    /// How many runs share the machine: each wants a core of its own
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    at_once: u8,
    /// Where the folders of the runs go
    #[arg(long, default_value = "target/chaos/nights")]
    out: PathBuf,
}

/// Handed to the inner process.
const SERVER: &str = "LEASE_CHAOS_SERVER";
const DAEMON: &str = "LEASE_CHAOS_DAEMON";

/// The exit code where the machine failed.
const FAILED: u8 = 70;

/// Does what was asked for; gives the exit code.
pub async fn run(chaos: Chaos) -> u8 {
    match chaos.command {
        Command::List => list(),
        Command::Run(args) => judged(args).await.0,
        Command::Ci(args) => ci(args).await,
        Command::Nights(args) => nights(args).await,
        Command::Judge { dir } => judge(&dir).0,
        Command::Worker(settings) => match worker::run(settings).await {
            Ok(()) => 0,
            Err(why) => fail(64, &why),
        },
    }
}

fn fail(code: u8, why: &str) -> u8 {
    eprintln!("chaos: {why}");
    code
}

/// Judges, and shows it; gives the exit code, and what was violated.
fn judge(dir: &Path) -> (u8, String) {
    match chaos::judge::judge(dir) {
        Ok(verdict) => {
            print!("{}", verdict.table());
            println!("report: {}", dir.join("report.html").display());
            (verdict.exit_code(), verdict.violated())
        }
        Err(error) => (fail(2, &error.to_string()), format!("    {error}\n")),
    }
}

fn list() -> u8 {
    for Scenario { name, about, seconds, is_for_ci, .. } in SCENARIOS {
        println!("{name:12} {seconds:4} s {}  {about}", if *is_for_ci { "ci" } else { "  " });
    }
    0
}

/// Runs a scenario and judges what came of it; gives the exit code, and what was violated. Of a run that failed, the report is
/// written as well, and the failure counts.
async fn judged(args: RunArgs) -> (u8, String) {
    let seed = drawn(args.seed);
    let named = format!("target/chaos/{}-{seed}", args.scenario);
    let folder = args.out.clone().unwrap_or_else(|| PathBuf::from(named));
    if enclosure::is_inside() {
        return (scenario(args, seed, &folder).await, String::new());
    }
    let code = scenario(args, seed, &folder).await;
    match code {
        0 => judge(&folder),
        FAILED if folder.join("history.jsonl").exists() => (code, judge(&folder).1),
        _ => (code, String::new()),
    }
}

async fn scenario(args: RunArgs, seed: u64, out: &Path) -> u8 {
    let Some(scenario) = named(&args.scenario) else {
        return fail(64, &format!("there is no scenario {:?}: see `chaos list`", args.scenario));
    };
    if enclosure::is_inside() {
        return inside(scenario, args).await;
    }
    let rights = match rights(args.links) {
        Ok(rights) => rights,
        Err(why) => return fail(69, &why),
    };
    if std::fs::read_dir(out).is_ok_and(|mut files| files.next().is_some()) {
        return fail(64, &format!("{} is not empty", out.display()));
    }
    if let Err(error) = std::fs::create_dir_all(out) {
        return fail(FAILED, &format!("{}: {error}", out.display()));
    }
    // Servers and sockets are started from elsewhere.
    let out = match out.canonicalize() {
        Ok(out) => out,
        Err(error) => return fail(FAILED, &error.to_string()),
    };
    let release = match args.release.clone() {
        // As long as the process lives: once.
        Some(release) => Release::Exactly(release.leak()),
        None => Release::Pinned,
    };
    let server = match server_binary(release) {
        Ok(server) => server,
        Err(why) => return fail(69, &why),
    };
    let mut words = vec!["run".into(), scenario.name.to_owned(), "--seed".into(), seed.to_string()];
    words.extend(["--out".into(), out.display().to_string()]);
    if args.links {
        words.push("--links".into());
    }
    let optional = [
        ("--release", args.release),
        ("--sync", args.sync),
        ("--seconds", args.seconds.map(|s| s.to_string())),
        ("--ttl-ms", args.ttl_ms.map(|ms| ms.to_string())),
    ];
    words.extend(optional.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?])).flatten());
    let disks: Vec<PathBuf> = match scenario.needs_disks() && rights == Rights::Root {
        true => (0..chaos::cluster::SIZE).map(|server| out.join(format!("n{server}"))).collect(),
        false => Vec::new(),
    };
    let programs = [(SERVER, server), (DAEMON, program_beside("chaos", "lease-daemon"))];
    let ended = enclosure::enter(rights, &words, &programs, &disks).await;
    for disk in &disks {
        // A run that came to its end has done so itself.
        let _ = std::fs::remove_file(chaos::cluster::disk::image(disk));
    }
    match ended {
        Ok(End::Exit(code)) => code,
        Ok(End::Interrupted) => {
            let folder = out.display();
            fail(enclosure::INTERRUPTED, &format!("interrupted; what it saw: `chaos judge {folder}`"))
        }
        Err(why) => fail(69, &format!("no namespaces to be had here: {why}")),
    }
}

/// With whose rights a run is made; says what they do not reach.
fn rights(links: bool) -> Result<Rights, String> {
    if !links {
        enclosure::programs(Rights::Root)?;
        match enclosure::check() {
            Ok(Rights::User) => {
                eprintln!("chaos: not root, so in a user namespace: faults of disks and power are untried");
                return Ok(Rights::User);
            }
            Ok(rights) => return Ok(rights),
            Err(why) => eprintln!("chaos: {why}"),
        }
    }
    enclosure::programs(Rights::Links)?;
    eprintln!(
        "chaos: a proxy on each link in place of namespaces: packets that are lost, disks and power are untried"
    );
    Ok(Rights::Links)
}

async fn inside(scenario: &'static Scenario, args: RunArgs) -> u8 {
    let (Some(server), Some(daemon)) = (std::env::var_os(SERVER), std::env::var_os(DAEMON)) else {
        return fail(64, "the inner process is started by the outer one only");
    };
    let (Some(seed), Some(folder)) = (args.seed, args.out) else {
        return fail(64, "the inner process is started by the outer one only");
    };
    let (server, seconds) = (PathBuf::from(server), args.seconds.unwrap_or(scenario.seconds));
    let sync_interval = args.sync.unwrap_or_else(|| scenario.sync_interval.into());
    let ttl_ms = args.ttl_ms.unwrap_or(scenario.ttl_ms);
    // What the server says of itself, not what was asked for.
    let said = chaos::shell::run(&format!("{} --version", server.display())).await.unwrap_or_default();
    let release = said.trim().rsplit('v').next().unwrap_or("unknown").to_owned();
    let command = format!(
        "cargo run --release -p chaos -- run {} --seed {seed} --release {release} --seconds {seconds} \
         --sync {sync_interval} --ttl-ms {ttl_ms}{}",
        scenario.name,
        if args.links { " --links" } else { "" }
    );
    eprintln!("chaos: {command}");
    let daemon = PathBuf::from(daemon);
    let order =
        Order { scenario, seed, release, seconds, sync_interval, ttl_ms, folder, server, daemon, command };
    match runner::run(order).await {
        Ok(Ending::Complete) => 0,
        Ok(Ending::Interrupted) => enclosure::INTERRUPTED,
        Err(why) => fail(FAILED, &why),
    }
}

fn drawn(seed: Option<u64>) -> u64 {
    seed.unwrap_or_else(|| chaos::clock::now_ns() % 1_000_000)
}

/// How many scenarios run at a time in CI. Each has a cluster of its own, and takes less than half a core: most of a run is
/// waiting for faults and for healing.
const CI_AT_ONCE: usize = 4;

async fn ci(args: CiArgs) -> u8 {
    let seed = drawn(args.seed);
    let one = |scenario: &Scenario| RunArgs {
        scenario: scenario.name.into(),
        seed: Some(seed),
        release: args.release.clone(),
        seconds: None,
        sync: None,
        ttl_ms: None,
        links: args.links,
        out: Some(args.out.join(format!("{}-{seed}", scenario.name))),
    };
    let mut all: Vec<_> = SCENARIOS.iter().filter(|scenario| scenario.is_for_ci).collect();
    // The longest first, so that none is left alone at the end.
    all.sort_by_key(|scenario| Reverse(scenario.seconds));
    series(all.into_iter().map(one).collect(), CI_AT_ONCE).await
}

/// The scenarios of nights, when servers sync, and for which part of a night: those that bring about one situation need less of
/// it. Power that fails is beyond the promise where writes are not synced, so disks are for those that are; `lax-power` shows
/// what it does to those that are not.
const NIGHTS: [(&str, &str, u64); 16] = [
    ("night", "2m", 1),
    ("night-disk", "always", 1),
    ("night", "always", 1),
    ("night-operator", "2m", 1),
    ("night-machines", "2m", 1),
    ("unheard", "2m", 8),
    ("late", "always", 8),
    ("readers-behind", "2m", 8),
    ("nearby", "2m", 8),
    ("haunted", "2m", 8),
    ("amnesia", "2m", 8),
    ("cut-off", "2m", 8),
    ("lax-power", "2m", 8),
    ("lax-power", "always", 8),
    ("guards", "2m", 8),
    ("markers", "2m", 8),
];

async fn nights(args: NightsArgs) -> u8 {
    let mut runs = Vec::new();
    let all = [OLDEST, PINNED].into_iter().flat_map(|release| NIGHTS.map(|night| (release, night)));
    for (number, (release, (scenario, sync, part))) in (drawn(args.seed)..).zip(all) {
        let shortest = named(scenario).map_or(0, |scenario| scenario.seconds);
        let seconds = if part == 1 { args.seconds } else { shortest.max(args.seconds / part) };
        runs.push(RunArgs {
            scenario: scenario.into(),
            seed: Some(number),
            release: Some(release.into()),
            seconds: Some(seconds),
            sync: Some(sync.into()),
            ttl_ms: None,
            links: false,
            out: Some(args.out.join(format!("{scenario}-{release}-{sync}-{number}"))),
        });
    }
    series(runs, args.at_once.into()).await
}

/// Runs, some at once, and judges; also after one that failed. The first failure's code is the result.
async fn series(runs: Vec<RunArgs>, at_once: usize) -> u8 {
    let begun = std::time::Instant::now();
    let mut interrupt = match Interrupt::listen() {
        Ok(interrupt) => interrupt,
        Err(why) => return fail(FAILED, &why),
    };
    let is_interrupted = Arc::new(AtomicBool::new(false));
    let told = is_interrupted.clone();
    // Not only while a run listens: between two, and while one is judged, a signal would be lost.
    tokio::spawn(async move {
        interrupt.told().await;
        told.store(true, Ordering::Relaxed);
    });
    let one = async |run: RunArgs| {
        if is_interrupted.load(Ordering::Relaxed) {
            return (enclosure::INTERRUPTED, String::new());
        }
        let folder = run.out.clone().unwrap_or_default();
        let (code, violated) = judged(run).await;
        let seconds = begun.elapsed().as_secs();
        (code, format!("{seconds:4} s  exit code {code}  {}\n{violated}", folder.display()))
    };
    let ends: Vec<(u8, String)> = stream::iter(runs).map(one).buffered(at_once).collect().await;
    println!();
    for (_, end) in &ends {
        print!("{end}");
    }
    ends.iter().map(|(code, _)| *code).find(|code| *code != 0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use chaos::nemesis::Nemesis;

    use super::{NIGHTS, named};

    /// Clocks that are wrong by more than the slack are beyond what is promised, and have a scenario of their own.
    #[test]
    fn every_nemesis_strikes_at_night() {
        for nemesis in Nemesis::ALL.iter().filter(|it| **it != Nemesis::ServerClockFar) {
            let strikes = |night: &&(&str, &str, u64)| {
                let scenario = named(night.0).unwrap_or_else(|| panic!("no scenario {}", night.0));
                scenario.nemeses.iter().any(|(_, one)| one == nemesis)
            };
            assert!(NIGHTS.iter().find(strikes).is_some(), "{nemesis:?}");
        }
    }
}
