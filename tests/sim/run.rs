//! One run: processes that want the same locks, faults, and what must hold all along.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use lease::store::MemoryStore;
use lease::{Ambient, Attempt, Lease, Loss, Space, SpaceOptions, Status};
use tokio::time::{Instant, sleep};

use crate::dice::Dice;
use crate::faults::{Faulty, Shared, token};
use crate::process::Process;

/// How long faults come, and how long everything may take to settle after the last.
const TROUBLE: Duration = Duration::from_secs(60);
const SETTLE: Duration = Duration::from_secs(24 + 15);
const NAMES: [&str; 2] = ["a", "b"];

/// What a run came to.
#[derive(Debug, Default)]
pub struct Report {
    /// What went wrong; empty if nothing did.
    pub violations: Vec<String>,
    /// Who did what when.
    pub trace: String,
    pub grants: u64,
    pub losses: u64,
    pub faults: u64,
}

/// A grant: of which name, to which process, and its lease while somebody has it.
type Believer = (String, Arc<Process>, Weak<Lease>);

struct World {
    start: Instant,
    report: RefCell<Report>,
    /// Every grant whose holder may believe in it, by name.
    believers: RefCell<Vec<Believer>>,
    /// The highest token granted so far, by name.
    tokens: RefCell<BTreeMap<String, u64>>,
    calm: bool,
}

impl World {
    fn say(&self, who: &str, what: &str) {
        let at = self.start.elapsed().as_secs_f64();
        let _ = writeln!(self.report.borrow_mut().trace, "{at:9.3} {who:6} {what}");
    }

    fn wrong(&self, what: String) {
        self.say("CHECK", &what);
        self.report.borrow_mut().violations.push(what);
    }

    /// At no moment may two believe to hold one name. Each is asked by its own clock.
    fn check_belief(&self) {
        let mut believers = self.believers.borrow_mut();
        believers.retain(|(_, process, lease)| lease.strong_count() > 0 && !process.crashed());
        for name in NAMES {
            let holding: Vec<String> = believers
                .iter()
                .filter(|(of, ..)| of == name)
                .filter_map(|(_, process, lease)| Some((process, lease.upgrade()?)))
                .filter(|(_, lease)| matches!(lease.status(), Status::Held | Status::Jeopardy))
                .map(|(process, lease)| format!("{} (token {})", process.name, lease.token()))
                .collect();
            if holding.len() > 1 {
                self.wrong(format!("overlap: {name} is held by {}", holding.join(" and ")));
            }
        }
    }

    fn granted(&self, name: &str, process: &Arc<Process>, lease: &Arc<Lease>) {
        let token = lease.token().get();
        self.say(&process.name, &format!("granted {name}, token {token}"));
        self.report.borrow_mut().grants += 1;
        let before = self.tokens.borrow_mut().insert(name.to_owned(), token).unwrap_or_default();
        if token <= before {
            self.wrong(format!("tokens: {name} was granted with {token} after {before}"));
        }
        self.believers.borrow_mut().push((name.to_owned(), Arc::clone(process), Arc::downgrade(lease)));
        self.check_belief();
    }
}

/// Runs one seed, on this thread, in virtual time.
pub fn run(seed: u64) -> Report {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, story(seed))
}

async fn story(seed: u64) -> Report {
    let dice = Dice::new(seed);
    let start = Instant::now();
    // One in eight runs has no faults at all: then nothing may be lost, and the line is kept exactly.
    let calm = dice.per_mille(125);
    let level = if calm { 0 } else { dice.range(5, 200) };
    let keeper = process("store", &dice, start, 1_000_000);
    let store = MemoryStore::new(Arc::clone(&keeper) as Arc<dyn Ambient>);
    store.revisions_first(dice.per_mille(500));
    // Processes open their spaces before the trouble begins.
    let shared = Shared::new(store, dice.next(), 0);
    let world = Rc::new(World {
        start,
        report: RefCell::default(),
        believers: RefCell::default(),
        tokens: RefCell::default(),
        calm,
    });
    let mut workers = Vec::new();
    let mut processes = Vec::new();
    for p in 0..dice.range(2, 5) {
        let rate = if calm { 1_000_000 } else { dice.range(995_000, 1_005_001) };
        let process = process(&format!("p{p}"), &dice, start, rate);
        let options =
            SpaceOptions { ambient: Arc::clone(&process) as Arc<dyn Ambient>, ..SpaceOptions::default() };
        let space = Space::on(Arc::new(Faulty(Arc::clone(&shared))), options.clone());
        let space = process.run(space).await.expect("no faults yet");
        for c in 0..dice.range(1, 4) {
            let worker = work(Rc::clone(&world), Arc::clone(&process), space.clone(), c, dice.next());
            workers.push(tokio::task::spawn_local(process.run(worker)));
        }
        processes.push((process, space));
    }
    *shared.level.lock().unwrap() = level;
    let checker = tokio::task::spawn_local({
        let world = Rc::clone(&world);
        async move {
            loop {
                sleep(Duration::from_millis(20)).await;
                world.check_belief();
            }
        }
    });
    if !calm {
        trouble(&world, &shared, &dice, &processes).await;
        *shared.level.lock().unwrap() = 0;
        *shared.outage_until.lock().unwrap() = None;
    } else {
        sleep(TROUBLE).await;
    }
    world.say("world", "no more faults");
    let deadline = Instant::now() + SETTLE;
    for worker in workers {
        // Crashed ones never end.
        let _ = tokio::time::timeout_at(deadline + TROUBLE, worker).await;
    }
    settle(&world, &shared, &dice, start).await;
    checker.abort();
    check_log(&world, &shared);
    world.report.borrow_mut().faults = *shared.faults.lock().unwrap();
    world.report.take()
}

fn process(name: &str, dice: &Dice, start: Instant, rate: u64) -> Arc<Process> {
    let process = Process::new(name.to_owned(), dice.next(), start, rate);
    process.register();
    process
}

/// A contender: takes a lock in one of the ways there are, holds it for a while, gives it back in one of the ways.
async fn work(world: Rc<World>, process: Arc<Process>, space: Space, number: u64, seed: u64) {
    let dice = Dice::new(seed);
    let who = format!("{}.{number}", process.name);
    while world.start.elapsed() < TROUBLE {
        sleep(dice.millis(0, 3_000)).await;
        let name = NAMES[usize::try_from(dice.range(0, 2)).unwrap()];
        let lock = space.lock(name).ttl(dice.millis(2_000, 20_001)).owner(who.clone());
        let attempt = match dice.range(0, 4) {
            0 => lock.try_acquire().await,
            1 => lock.acquire_within(dice.millis(100, 20_000)).await,
            2 => match tokio::time::timeout(dice.millis(100, 20_000), lock.acquire()).await {
                Ok(granted) => granted.map(Attempt::Granted),
                Err(_) => continue,
            },
            _ => lock.acquire_within(Duration::from_secs(100)).await,
        };
        let lease = match attempt {
            Ok(Attempt::Granted(lease)) => Arc::new(lease),
            Ok(Attempt::Held(_)) => continue,
            Err(error) => {
                world.say(&who, &format!("{name}: {error}"));
                if world.calm {
                    world.wrong(format!("an error without a fault: {error}"));
                }
                continue;
            }
        };
        world.granted(name, &process, &lease);
        let hold = if dice.per_mille(300) { dice.millis(0, 5) } else { dice.millis(5, 15_000) };
        tokio::select! {
            biased;
            loss = lease.lost() => {
                world.report.borrow_mut().losses += 1;
                world.say(&who, &format!("lost {name}: {loss}"));
                if world.calm || loss == Loss::Taken {
                    world.wrong(format!("lost {name} without a cause: {loss}"));
                }
            }
            () = sleep(hold) => {}
        }
        world.say(&who, &format!("done with {name}"));
        match Arc::into_inner(lease) {
            Some(lease) if dice.per_mille(700) => {
                let released = lease.release().await;
                if released.is_err() {
                    world.say(&who, &format!("release of {name}: {released:?}"));
                }
            }
            other => drop(other),
        }
    }
}

/// Faults that last: outages, pauses and crashes, each now and then.
async fn trouble(world: &World, shared: &Shared, dice: &Dice, processes: &[(Arc<Process>, Space)]) {
    while world.start.elapsed() < TROUBLE {
        sleep(dice.millis(500, 12_000)).await;
        let (victim, _) = &processes[usize::try_from(dice.range(0, processes.len() as u64)).unwrap()];
        *shared.faults.lock().unwrap() += 1;
        match dice.range(0, 10) {
            0..3 => {
                let long = dice.millis(100, 20_000);
                world.say("world", &format!("outage for {long:?}"));
                *shared.outage_until.lock().unwrap() = Some(Instant::now() + long);
            }
            3..7 => {
                let long = dice.millis(10, 30_000);
                world.say("world", &format!("{} is paused for {long:?}", victim.name));
                victim.pause(long);
            }
            7 => {
                world.say("world", &format!("{} crashes", victim.name));
                victim.crash();
            }
            _ => {}
        }
    }
}

/// After the last fault, a newcomer gets each lock within the time that the longest TTL takes.
async fn settle(world: &World, shared: &Arc<Shared>, dice: &Dice, start: Instant) {
    let newcomer = process("new", dice, start, 1_000_000);
    let options =
        SpaceOptions { ambient: Arc::clone(&newcomer) as Arc<dyn Ambient>, ..SpaceOptions::default() };
    let space = Space::on(Arc::new(Faulty(Arc::clone(shared))), options).await.expect("no faults any more");
    for name in NAMES {
        match space.lock(name).acquire_within(SETTLE).await {
            Ok(Attempt::Granted(lease)) => {
                let lease = Arc::new(lease);
                world.granted(name, &newcomer, &lease);
                let lease = Arc::into_inner(lease).expect("the only one");
                lease.release().await.expect("no faults any more");
            }
            other => world.wrong(format!("no progress: {name} within {SETTLE:?}: {other:?}")),
        }
    }
    space.close(Duration::from_secs(10)).await;
}

/// A grant that was followed by another is never written again: the tokens under a key never sink.
fn check_log(world: &World, shared: &Shared) {
    let mut highest: BTreeMap<String, u64> = BTreeMap::new();
    for (at, entry) in shared.log.lock().unwrap().iter().filter(|(_, entry)| entry.key.starts_with("lock.")) {
        let Some(token) = token(entry) else { continue };
        let highest = highest.entry(entry.key.clone()).or_default();
        if token < *highest {
            let at = at.duration_since(world.start);
            world.wrong(format!(
                "resurrection: {} is written for token {token} at {at:?}, after {highest}",
                entry.key
            ));
        }
        *highest = token.max(*highest);
    }
}
