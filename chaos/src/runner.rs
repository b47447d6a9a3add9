//! One run, inside its enclosure: cluster, workers, faults by plan, healing, settling, end.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::auditor::Auditor;
use crate::clock::{now_ns, wall_ns};
use crate::cluster::server::MONITOR;
use crate::cluster::{self, Cluster, enclosure};
use crate::crew::{Camp, Member, fake_clock};
use crate::history::{ACCEPT, ACCEPTANCE, Line, Phase, What};
use crate::interrupt::Interrupt;
use crate::nemesis::{self, BEYOND, Begun, Nemesis, Undo, World};
use crate::pulse::Pulse;
use crate::recorder::Recorder;
use crate::register;
use crate::scenario::{Doors, Planned, Scenario};
use crate::traffic::Traffic;
use crate::tries::Tries;
use crate::weakness;
use support::chance::Chance;

/// What to run, and with what.
#[derive(Clone, Debug)]
pub struct Order {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// The seed.
    pub seed: u64,
    /// The servers' release, in words.
    pub release: String,
    /// For how long faults strike.
    pub seconds: u64,
    /// The servers' `sync_interval`.
    pub sync_interval: String,
    /// The ttl of every lock.
    pub ttl_ms: u64,
    /// Where everything goes; it is there.
    pub folder: PathBuf,
    /// The nats-server program.
    pub server: PathBuf,
    /// The lease-daemon program.
    pub daemon: PathBuf,
    /// The command that repeats it.
    pub command: String,
}

/// How long a worker may take to give back what it holds, once told to stop: as long as a release is tried.
const FAREWELL: Duration = Duration::from_secs(20);
/// When it is tried again to undo a fault that could not be undone.
const AGAIN: Duration = Duration::from_secs(1);
/// For how long at least that is tried.
const INSIST: Duration = Duration::from_secs(120);
/// How long after an interruption it is waited for what workers that were killed had said before.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long a fourth server may take to be current.
const JOINS_WITHIN: Duration = Duration::from_secs(60);
/// What settling takes besides a ttl.
const SETTLE: Duration = Duration::from_secs(15);

/// How long an operator may take in the midst of faults, which wait meanwhile.
const ACCEPT_WITHIN: Duration = Duration::from_secs(5);

/// For how long a bucket that was made anew grants nothing: the longest ttl it may have known (that of a lock without
/// settings, 20 s, and the slack) and the slack again. Until then no progress is owed.
const QUIET: Duration = Duration::from_secs(25);

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As planned.
    Complete,
    /// By a signal.
    Interrupted,
}

/// A fault in force.
struct Active {
    fault: u64,
    nemesis: Nemesis,
    target: String,
    /// When it was to be over.
    due: Instant,
    /// When it is undone: when it is due, or a little later if others kept it from that.
    until: Instant,
    undo: Undo,
}

struct Run {
    order: Order,
    recorder: Recorder,
    world: World,
    active: Vec<Active>,
    next_fault: u64,
    begun: Instant,
    /// Until when the bucket grants nothing.
    quiet_until: Instant,
    untried: Vec<Nemesis>,
}

/// Runs.
///
/// # Errors
/// If the machine, not what is tried, does not do its part.
pub async fn run(order: Order) -> Result<Ending, String> {
    let (recorder, writer) = Recorder::begin(&order.folder.join("history.jsonl"))?;
    let began = What::Began {
        scenario: order.scenario.name.into(),
        seed: order.seed,
        release: order.release.clone(),
        command: order.command.clone(),
        slack_ms: 2_000,
        wall_ns: Some(wall_ns()),
    };
    recorder.say(began).await;
    let mut interrupt = Interrupt::listen()?;
    let pulse = Pulse::start(recorder.clone());
    // Whatever is under way is dropped, and what it started is killed with it: nothing of that can take long, and
    // nothing is healed for nobody.
    let ran = tokio::select! {
        biased;
        () = interrupt.told() => Ok(Ending::Interrupted),
        ran = enclosed(order, &recorder) => ran,
    };
    // It ends within a beat, and holds the history open until then.
    drop(pulse);
    // Without its last line a history is not whole: it may show a violation, and nothing else.
    match ran {
        Ok(Ending::Complete) => recorder.say(What::Ended).await,
        Ok(Ending::Interrupted) => {
            recorder.alone(LAST_WORDS).await;
            recorder.say(What::Interrupted).await;
        }
        Err(_) => {}
    }
    let died = recorder.counts().died;
    drop(recorder);
    // The auditor and the readers of workers have let go of it by now, unless something hangs.
    match tokio::time::timeout(Duration::from_secs(10), writer).await {
        // Where the run itself failed, that is why workers died.
        Ok(Ok(Ok(()))) if died.is_empty() || ran.is_err() => ran,
        Ok(Ok(Ok(()))) => Err(format!("died by themselves: {}", died.join(", "))),
        Ok(Ok(Err(error))) => Err(format!("the history cannot be written: {error}")),
        Ok(Err(error)) => Err(format!("the history cannot be written: {error}")),
        Err(_) => Err("the history does not come to an end".into()),
    }
}

async fn enclosed(order: Order, recorder: &Recorder) -> Result<Ending, String> {
    let scenario = order.scenario;
    eprintln!("chaos: {} with seed {}: starting three servers", scenario.name, order.seed);
    let with_disks = scenario.needs_disks() && enclosure::has_disks();
    let servers = cluster::Order {
        binary: order.server.clone(),
        folder: order.folder.clone(),
        sync_interval: order.sync_interval.clone(),
        has_spare: scenario.needs_spare(),
    };
    let mut cluster = Cluster::start(servers, with_disks).await?;
    if let Some(weakness) = scenario.weakness {
        let urls: Vec<String> = cluster.servers.iter().map(|server| server.url()).collect();
        weakness::show(weakness, &urls, recorder).await?;
        cluster.finish().await;
        return Ok(Ending::Complete);
    }
    register::serve(&order.folder.join("registers.sock"), &order.folder.join("register.jsonl"))?;
    // Of each place for a server, also the one that is empty now.
    let urls: Vec<String> = cluster.network.servers().collect();
    let auditor = Auditor::start(&urls, recorder.clone()).await;
    nemesis::bucket::open(&cluster.urls()).await?;
    // It comes when the bucket has its replicas.
    if scenario.doors.are_four() {
        cluster.join().await?;
        cluster.ready(JOINS_WITHIN).await?;
    }
    // The bucket itself is old and safe, also where writes are synced every two minutes only.
    for disk in cluster.servers.iter().filter_map(|server| server.disk.as_ref()) {
        disk.sync().await?;
    }
    if cluster.network.is_by_links() {
        let reason = "a proxy on each link stands for them, on loopback: packets cannot be lost, and disks are not tried";
        let what = What::Untried { nemesis: "namespaces".into(), reason: reason.into() };
        recorder.say(what).await;
    }
    let fake_clock = if scenario.needs_clocks() { fake_clock() } else { None };
    if fake_clock.is_some() {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        enclosure::own_shared_memory(&[&order.folder, &order.daemon, &order.server, &own]).await;
    }
    let camp = Camp {
        folder: order.folder.clone(),
        daemon: order.daemon.clone(),
        ttl_ms: order.ttl_ms,
        fake_clock: fake_clock.clone(),
        recorder: recorder.clone(),
    };
    let mut chance = Chance::new(order.seed ^ 0x_c4a0_5c4a_05c4_a05c);
    let mut crew = Vec::new();
    let doors = match scenario.doors {
        Doors::Fourth => cluster::SIZE..cluster::SIZE + 1,
        Doors::Any | Doors::AnyOfFour => cluster.network.places(),
    };
    for (number, what) in (0..).zip(scenario.crew) {
        let seed = chance.bits();
        crew.push(Member::new(number, *what, seed, (&mut cluster.network, doors.clone()), &camp).await?);
    }
    drop(camp);
    for member in &mut crew {
        member.launch_daemon()?;
    }
    for member in &mut crew {
        member.launch().await?;
    }
    let traffic = traffic(&cluster, &crew, recorder);
    let tries = Tries::start(&cluster.urls(), recorder.clone());
    let busy = vec![false; cluster.servers.len()];
    let world = World { cluster, crew, busy, is_a_clock_wrong: false, can_fake_clocks: fake_clock.is_some() };
    let mut run = Run {
        order,
        recorder: recorder.clone(),
        world,
        active: Vec::new(),
        next_fault: 1,
        begun: Instant::now(),
        quiet_until: Instant::now(),
        untried: Vec::new(),
    };
    let done = run.through().await;
    drop((traffic, tries));
    let heard = auditor.finish().await;
    run.world.cluster.finish().await;
    done.and(heard).map(|()| Ending::Complete)
}

/// Counts what each worker asks. Where all share one address, that cannot be told apart.
fn traffic(cluster: &Cluster, crew: &[Member], recorder: &Recorder) -> Option<Traffic> {
    let hosts = crew.iter().map(|member| (member.address.to_string(), member.host.clone()));
    let monitors = cluster.all().map(|server| format!("{}:{MONITOR}", server.address));
    let is_told = !cluster.network.is_by_links();
    is_told.then(|| Traffic::start(monitors.collect(), hosts.collect(), recorder.clone()))
}

impl Run {
    async fn through(&mut self) -> Result<(), String> {
        let plan = self.order.scenario.plan(self.order.seed, self.order.seconds);
        let end = self.begun + Duration::from_secs(self.order.seconds);
        for planned in plan {
            self.wait_until(self.begun + planned.at).await?;
            self.strike(&planned).await?;
        }
        self.wait_until(end).await?;
        while !self.active.is_empty() {
            let active = self.active.remove(0);
            self.heal(active).await?;
        }
        // What a server did by itself, such as ending on a full disk, is healed too.
        for server in &mut self.world.cluster.servers {
            if !server.is_up() {
                eprintln!("chaos: {} had ended by itself; see its log", server.name);
            }
            server.launch()?;
        }
        for member in &mut self.world.crew {
            member.launch_daemon()?;
            if !member.lives() {
                member.launch().await?;
            }
        }
        if let Err(why) = self.world.cluster.ready(Duration::from_secs(60)).await {
            eprintln!("chaos: after healing, {why}");
            self.recorder.say(What::Unready { missing: why }).await;
        }
        if self.may_lose_writes() {
            self.accept(Duration::from_secs(60)).await;
            // Who refused everything until now may not have seen yet that the bucket was made anew meanwhile.
            if self.order.scenario.replaces_the_bucket() {
                self.quiet_until = Instant::now() + QUIET;
            }
        }
        self.wait_until(self.quiet_until).await?;
        self.recorder.say(What::Healed).await;
        let settled = Instant::now() + Duration::from_millis(self.order.ttl_ms) + SETTLE;
        self.wait_until(settled).await?;
        for member in &mut self.world.crew {
            member.tell_stop().await;
        }
        for member in &mut self.world.crew {
            if !member.wait_end(FAREWELL).await {
                eprintln!("chaos: {} did not end within {FAREWELL:?} and was killed", member.host);
            }
        }
        // Not killed: what they leave behind is looked at next.
        join_all(self.world.crew.iter_mut().map(|member| member.stop_daemon(FAREWELL))).await;
        Ok(())
    }

    /// An operator accepts that the store lost what it had acknowledged.
    async fn accept(&mut self, within: Duration) {
        let fault = self.next_fault;
        self.next_fault += 1;
        let (nemesis, target) = (ACCEPT.to_owned(), ACCEPTANCE.to_owned());
        let phase = |phase| What::Fault { fault, nemesis: nemesis.clone(), target: target.clone(), phase };
        self.recorder.say(phase(Phase::Begins)).await;
        match tokio::time::timeout(within, nemesis::bucket::accept_losses(&self.world.cluster.urls())).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => eprintln!("chaos: {why}"),
            Err(_) => eprintln!("chaos: lost writes could not be accepted within {within:?}"),
        }
        self.recorder.say(phase(Phase::Ends)).await;
    }

    /// Lets time pass: faults end when they are due, and progress is shown.
    async fn wait_until(&mut self, at: Instant) -> Result<(), String> {
        loop {
            let now = Instant::now();
            if let Some(due) = self.active.iter().position(|active| active.until <= now) {
                let active = self.active.remove(due);
                self.heal(active).await?;
                continue;
            }
            if now >= at {
                return Ok(());
            }
            let soonest = self.active.iter().map(|active| active.until).min();
            let next = [Some(at), soonest, Some(self.next_show(now))].into_iter().flatten().min();
            tokio::time::sleep_until(next.unwrap_or(at)).await;
            if Instant::now() >= self.next_show(now) {
                self.show();
            }
        }
    }

    /// Each second for who looks; less often in a log, which may be cut to its end.
    fn next_show(&self, now: Instant) -> Instant {
        let every = if std::io::stderr().is_terminal() { 1 } else { 10 };
        self.begun + Duration::from_secs(((now - self.begun).as_secs() / every + 1) * every)
    }

    fn show(&self) {
        let counts = self.recorder.counts();
        let faults: Vec<String> =
            self.active.iter().map(|active| format!("{} {}", active.nemesis.word(), active.target)).collect();
        let faults = if faults.is_empty() { "calm".to_owned() } else { faults.join("; ") };
        eprintln!(
            "{:14} {:4} s  {} grants, {} refused, {} lost, {} revisions, {} gaps  {faults}",
            self.order.scenario.name,
            self.begun.elapsed().as_secs(),
            counts.grants,
            counts.refusals,
            counts.losses,
            counts.revisions,
            counts.gaps,
        );
    }

    async fn strike(&mut self, planned: &Planned) -> Result<(), String> {
        let Planned { nemesis, length, seed, .. } = *planned;
        let fault = self.next_fault;
        let at_ns = now_ns();
        match nemesis::begin(nemesis, fault, &mut self.world, &mut Chance::new(seed)).await {
            Ok(Some(begun)) => {
                self.next_fault += 1;
                let what = self.phase(fault, nemesis, &begun.target, Phase::Begins);
                self.recorder.line(Line { at_ns, who: "runner".into(), what }).await;
                let until = Instant::now() + length;
                let Begun { target, undo } = begun;
                self.active.push(Active { fault, nemesis, target, due: until, until, undo });
            }
            Ok(None) => {}
            // It may be had later, where that was a passing trouble: a verdict counts what never struck.
            Err(reason) => {
                eprintln!("chaos: {} does not strike: {reason}", nemesis.word());
                if !self.untried.contains(&nemesis) {
                    self.untried.push(nemesis);
                    self.recorder.say(What::Untried { nemesis: nemesis.word().into(), reason }).await;
                }
            }
        }
        Ok(())
    }

    /// Undoes a fault. One that cannot be undone amid others, or so soon after them, stays in force and is tried again.
    async fn heal(&mut self, active: Active) -> Result<(), String> {
        let Active { fault, nemesis, target, due, undo, .. } = active;
        match nemesis::end(undo, &mut self.world).await {
            Ok(()) => {}
            Err((Some(undo), _)) if !self.active.is_empty() || due.elapsed() < INSIST => {
                let until = Instant::now() + AGAIN;
                self.active.push(Active { fault, nemesis, target, due, until, undo });
                return Ok(());
            }
            Err((undo, why)) => {
                let missing = format!("{} of {target} cannot be undone: {why}", nemesis.word());
                // It is servers that do not do what they were asked for: what comes of that is to be judged, as is the rest.
                if undo.is_none() {
                    return Err(missing);
                }
                eprintln!("chaos: {missing}");
                self.recorder.say(What::Unready { missing }).await;
            }
        }
        self.recorder.say(self.phase(fault, nemesis, &target, Phase::Ends)).await;
        if nemesis == Nemesis::Bucket {
            self.quiet_until = Instant::now() + QUIET;
        }
        // Or nothing would be granted, and nothing be seen, for the rest of a night.
        if matches!(nemesis, Nemesis::Bucket | Nemesis::Membership) && self.may_lose_writes() {
            self.accept(ACCEPT_WITHIN).await;
        }
        Ok(())
    }

    fn may_lose_writes(&self) -> bool {
        self.order.scenario.may_lose_writes(&self.order.sync_interval)
    }

    /// A fault that breaks what the library asks of its servers is named so.
    fn phase(&self, fault: u64, nemesis: Nemesis, target: &str, phase: Phase) -> What {
        let is_power = matches!(nemesis, Nemesis::Power | Nemesis::PowerAll);
        let is_thinned = nemesis == Nemesis::Membership && self.order.scenario.loses_the_last_replica();
        let is_beyond = is_power && self.order.sync_interval != "always" || is_thinned;
        let word = nemesis.word();
        let nemesis = if is_beyond { format!("{word}{BEYOND}") } else { word.to_owned() };
        What::Fault { fault, nemesis, target: target.into(), phase }
    }
}
