//! Two hundred waiters of twenty processes on one name, and what it costs them when five of the processes die.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lease::{Holder, Space};
use serde_json::Value;
use support::chance::Chance;
use support::{Cluster, Launch, Process, eventually};

use super::Spread;
use super::witness::Witness;

const PROCESSES: usize = 20;
const WAITERS: usize = 10;
const DEAD: usize = 5;
/// Nobody is overtaken more often than this in a row.
const K: usize = 4;
/// What a holder that dies costs is seen best where it is little.
const TTL: Duration = Duration::from_secs(3);
/// T rounded up, the slack, and half a second: what a holder's death takes.
const DEATH: Duration = Duration::from_millis(5_500);
const LIMIT: Duration = Duration::from_secs(90);
/// What five deaths may cost all others together.
const SECONDS: Duration = Duration::from_secs(15);

struct Crowd {
    space: Space,
    witness: Witness,
    name: String,
    processes: Vec<Process>,
}

#[derive(Debug)]
struct Grant {
    owner: String,
    token: u64,
    granted: u64,
    /// When the holder said that it gives it back; `None` if it died before.
    released: Option<u64>,
}

/// What became of a crowd.
struct Outcome {
    grants: Vec<Grant>,
    took: Duration,
    gaps: Vec<Duration>,
}

impl Crowd {
    /// All of them in line, each for so many rounds, behind a holder. Returns when the first of them may go.
    async fn gather(cluster: &Cluster, name: &str, rounds: usize, hold: Duration) -> (Crowd, lease::Lease) {
        let space = super::space(&cluster.urls()).await;
        let witness = Witness::of(cluster, name).await;
        let first = space.lock(name).acquire().await.expect("granted");
        let processes = (0..PROCESSES).map(|index| {
            let launch = Launch::program(env!("CARGO_BIN_EXE_lease-tests-crowd"));
            let numbers = [WAITERS, rounds, TTL.as_millis() as usize, hold.as_millis() as usize];
            let launch = launch.args(["wait", &cluster.url_of(index % 3), name, &format!("p{index}")]);
            launch.args(numbers.map(|number| number.to_string())).start()
        });
        let crowd = Crowd { processes: processes.collect(), space, witness, name: name.to_owned() };
        eventually("everybody in line", LIMIT, async || {
            (crowd.witness.count() == PROCESSES * WAITERS).then_some(())
        })
        .await;
        (crowd, first)
    }

    fn grants(&self) -> Vec<Grant> {
        let mut grants = BTreeMap::new();
        for process in &self.processes {
            let text = process.stdout();
            // A line that is being written is none yet.
            let complete = text.rfind('\n').map_or("", |end| &text[..end]);
            for line in complete.lines() {
                let line: Value = serde_json::from_str(line).expect("a line of JSON");
                let number = |field: &str| line[field].as_u64().expect("a number");
                let (token, at) = (number("token"), number("at"));
                let owner = line["owner"].as_str().expect("a name").to_owned();
                if line["event"] == "granted" {
                    grants.insert(token, Grant { owner, token, granted: at, released: None });
                } else {
                    grants.get_mut(&token).expect("granted before").released = Some(at);
                    assert_eq!(line["held"], true, "lost: {line}");
                }
            }
        }
        grants.into_values().collect()
    }

    async fn granted(&self, count: usize) {
        eventually(format!("{count} grants"), LIMIT, async || (self.grants().len() >= count).then_some(()))
            .await;
    }

    async fn holder(&self) -> Option<Holder> {
        self.space.look(&self.name).await.ok()?.holder
    }

    /// Whether others than `pid` are granted the lock while that process is paused: then it does not hold, and what it
    /// sent last comes too late.
    async fn goes_on_without(&self, pids: &[u32]) -> bool {
        let before = self.holder().await.map(|holder| holder.token);
        let others = async {
            loop {
                if let Some(holder) = self.holder().await
                    && Some(holder.token) > before
                    && !pids.contains(&holder.pid)
                {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_millis(500), others).await.is_ok()
    }

    /// Kills processes, all at once, at a moment at which none of them holds.
    async fn kill_waiting(&mut self, indices: &[usize]) {
        for _ in 0..50 {
            for index in indices {
                self.processes[*index].pause();
            }
            let holder = self.holder().await;
            let pids: Vec<u32> = indices.iter().map(|index| self.processes[*index].pid()).collect();
            if holder.is_some_and(|holder| !pids.contains(&holder.pid)) && self.goes_on_without(&pids).await {
                for index in indices {
                    self.processes[*index].kill9();
                }
                return;
            }
            for index in indices {
                self.processes[*index].resume();
            }
            // Who was in the way has its turn first.
            let before = self.holder().await.map(|holder| holder.token);
            eventually("the next holder", LIMIT, async || {
                (self.holder().await.map(|holder| holder.token) != before).then_some(())
            })
            .await;
        }
        panic!("one of {indices:?} holds whenever they are paused");
    }

    /// Kills a process at a moment at which it holds; says which.
    async fn kill_holding(&mut self) -> usize {
        for _ in 0..200 {
            let Some(holder) = self.holder().await else { continue };
            let Some(index) = self.processes.iter().position(|process| process.pid() == holder.pid) else {
                continue;
            };
            self.processes[index].pause();
            // Seen holding by its own word: it has said that it was granted, and not that it gives it back.
            let holds = |grant: &Grant| grant.token == holder.token.get() && grant.released.is_none();
            if self.grants().iter().any(holds) {
                self.processes[index].kill9();
                return index;
            }
            self.processes[index].resume();
        }
        panic!("nobody was caught holding");
    }

    /// Waits until everybody who lives has been served.
    async fn served(&mut self, begun: u64, dead: &[usize]) -> Outcome {
        for (index, process) in self.processes.iter_mut().enumerate() {
            if !dead.contains(&index) {
                let exit = process.exit(LIMIT).await;
                assert_eq!(exit.code, Some(0), "{}", process.stderr());
            }
        }
        let grants = self.grants();
        let mut free_since = begun;
        let mut gaps = Vec::new();
        for grant in &grants {
            assert!(
                grant.granted >= free_since,
                "{} believes before the one before it has stopped",
                grant.owner
            );
            gaps.push(Duration::from_nanos(grant.granted - free_since));
            // Who died was pinned down by its death; what that took is part of the gap after it.
            free_since = grant.released.unwrap_or(grant.granted);
        }
        let took = Duration::from_nanos(free_since - begun);
        Outcome { grants, took, gaps }
    }
}

impl Outcome {
    /// How often in a row anybody was overtaken, at most; and how many were overtaken at all.
    ///
    /// Tokens and places are revisions of one stream, so they tell who stood in line when somebody was granted.
    fn overtaken(&self, places: &BTreeMap<String, BTreeSet<u64>>) -> (usize, usize) {
        let stood = |grant: &Grant| places.get(&grant.owner).and_then(|places| places.first()).copied();
        let (mut most, mut anybody) = (0, 0);
        for waiter in &self.grants {
            // Who never stood in line was never overtaken in it.
            let Some(since) = stood(waiter) else { continue };
            let (mut in_a_row, mut worst) = (0, 0);
            for other in &self.grants {
                if other.token <= since || other.token >= waiter.token {
                    continue;
                }
                let overtakes = stood(other).is_none_or(|place| place > since);
                in_a_row = if overtakes { in_a_row + 1 } else { 0 };
                worst = worst.max(in_a_row);
            }
            most = most.max(worst);
            anybody += usize::from(worst > 0);
        }
        (most, anybody)
    }

    fn print(&self, what: &str, overtaken: (usize, usize)) {
        let (gaps, long) = (Spread::of(self.gaps.clone()), Duration::from_millis(500));
        let stalls: Vec<_> = self.gaps.iter().filter(|gap| **gap > long).collect();
        println!(
            "{what}: {} grants in {:.1?}; free between two holders: {gaps}; above {long:?}: {stalls:.1?}; most \
             overtaken in a row {}, overtaken at all {}",
            self.grants.len(),
            self.took,
            overtaken.0,
            overtaken.1
        );
    }
}

/// From `LEASE_TESTS_SEED`, or new; printed either way.
fn chance() -> Chance {
    let given = std::env::var("LEASE_TESTS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0));
    println!("LEASE_TESTS_SEED={seed}");
    Chance::new(seed)
}

/// Adds other processes to these, up to `DEAD` of them.
fn draw(chance: &mut Chance, mut drawn: Vec<usize>) -> Vec<usize> {
    while drawn.len() < DEAD {
        let index = chance.below(PROCESSES as u64) as usize;
        if !drawn.contains(&index) {
            drawn.push(index);
        }
    }
    drawn
}

/// Everybody comes back for more: who has just given the lock back competes with those who stand in line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_is_served_in_the_order_of_places() {
    let _alone = super::alone().await;
    let cluster = Cluster::three().await;
    let rounds = 3;
    let (mut crowd, first) = Crowd::gather(&cluster, "a", rounds, Duration::ZERO).await;
    let begun = super::now();
    first.release().await.expect("released");
    let outcome = crowd.served(begun, &[]).await;
    let places = crowd.witness.places();
    let overtaken = outcome.overtaken(&places);
    outcome.print("in order", overtaken);
    assert_eq!(outcome.grants.len(), PROCESSES * WAITERS * rounds);
    let stood = outcome.grants.iter().filter(|grant| places.contains_key(&grant.owner)).count();
    println!("{stood} of them stood in line; places of all: {}", places.values().flatten().count());
    assert!(overtaken.0 <= K, "overtaken {} times in a row", overtaken.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_dead_processes_delay_the_others_by_seconds() {
    let _alone = super::alone().await;
    let cluster = Cluster::three().await;
    let mut chance = chance();
    let hold = Duration::from_millis(20);

    let (mut crowd, first) = Crowd::gather(&cluster, "none", 1, hold).await;
    let begun = super::now();
    first.release().await.expect("released");
    let usual = crowd.served(begun, &[]).await;
    usual.print("nobody dies", usual.overtaken(&crowd.witness.places()));
    drop(crowd);

    for (name, holder_dies) in [("waiting", false), ("holding", true)] {
        let (mut crowd, first) = Crowd::gather(&cluster, name, 1, hold).await;
        let begun = super::now();
        first.release().await.expect("released");
        crowd.granted(PROCESSES * WAITERS / 4).await;
        let holding = if holder_dies { vec![crowd.kill_holding().await] } else { Vec::new() };
        let dead = draw(&mut chance, holding.clone());
        if holder_dies {
            for index in dead.iter().filter(|index| !holding.contains(index)) {
                crowd.processes[*index].kill9();
            }
        } else {
            crowd.kill_waiting(&dead).await;
        }
        let killed = Duration::from_nanos(super::now() - begun);
        let outcome = crowd.served(begun, &dead).await;
        let places = crowd.witness.places();
        let overtaken = outcome.overtaken(&places);
        outcome.print(&format!("{DEAD} die {name} ({dead:?}, by {killed:.1?})"), overtaken);
        let died_holding = outcome.grants.iter().filter(|grant| grant.released.is_none()).count();
        assert_eq!(died_holding, holding.len(), "who died while it held");
        let longer = outcome.took.saturating_sub(usual.took);
        let may_be = SECONDS + DEATH * u32::try_from(holding.len()).expect("few");
        println!("  {longer:.1?} longer than without, of {may_be:.1?}");
        assert!(longer <= may_be, "{longer:.1?} longer");
        // Everybody who lives was served, and in order.
        let alive = PROCESSES - DEAD;
        let served = |index: usize| {
            outcome.grants.iter().filter(|g| g.owner.starts_with(&format!("p{index}-"))).count()
        };
        assert_eq!(
            (0..PROCESSES).filter(|index| !dead.contains(index)).map(served).sum::<usize>(),
            alive * WAITERS
        );
        assert!(overtaken.0 <= K, "overtaken {} times in a row", overtaken.0);
    }
}
