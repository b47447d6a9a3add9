//! One operation after the other: ask, hold, use, give back.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lease::Space;
use tokio_util::sync::CancellationToken;

use super::grant::{Ask, Grant, Refusal};
use super::say::Said;
use super::{Settings, Workload, library, socket};
use crate::clock::now_ns;
use crate::history::{GIVEN_UP, Kind, Op, Outcome, STOPPED, What};
use crate::register::{Registers, Write};
use support::chance::Chance;

/// The locks that most want.
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Where locks come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Library(Space),
    Socket(PathBuf),
}

/// One lane of a worker. A worker has several, so that operations of one process meet.
pub(super) struct Lane {
    number: u64,
    settings: Arc<Settings>,
    source: Source,
    said: Said,
    chance: Chance,
    stop: CancellationToken,
    registers: Registers,
}

/// How an operation looks that is held.
struct Holding {
    op: Op,
    kind: Kind,
    grant: Grant,
    /// Until when it was said to be good.
    told_ns: AtomicU64,
    /// Whether it was said to be lost.
    is_lost: AtomicBool,
}

impl Holding {
    fn told_ns(&self) -> u64 {
        self.told_ns.load(Ordering::Relaxed)
    }

    /// Says that it was renewed, if it was since that was said last.
    fn renewed(&self, said: &Said) {
        let deadline_ns = self.grant.deadline_ns();
        if deadline_ns != self.told_ns() {
            self.told_ns.store(deadline_ns, Ordering::Relaxed);
            said.now(What::Renewed { op: self.op, deadline_ns });
        }
    }

    /// Waits for a step that may outlast the grant, and says what becomes of that at the moment when it does: lost or
    /// renewed.
    async fn during<T>(&self, said: &Said, step: impl Future<Output = T>) -> T {
        let mut step = std::pin::pin!(step);
        loop {
            let is_lost = self.is_lost.load(Ordering::Relaxed);
            tokio::select! {
                biased;
                done = &mut step => return done,
                reason = self.grant.lost(), if !is_lost => {
                    self.is_lost.store(true, Ordering::Relaxed);
                    said.now(What::Lost { op: self.op, reason });
                }
                () = self.grant.renewed(self.told_ns()), if !is_lost => self.renewed(said),
            }
        }
    }
}

impl Lane {
    pub(super) fn new(
        number: u64,
        settings: &Arc<Settings>,
        source: Source,
        said: Said,
        chance: Chance,
        stop: CancellationToken,
    ) -> Lane {
        let registers = Registers::at(&settings.registers);
        Lane { number, settings: Arc::clone(settings), source, said, chance, stop, registers }
    }

    /// Works until told to stop; then gives back what it holds.
    pub(super) async fn run(mut self) {
        while !self.stop.is_cancelled() {
            let ask = self.draw();
            let op = self.said.number();
            if let Some(holding) = self.acquire(op, ask).await {
                self.hold(holding).await;
            }
            let longest = if self.settings.workload == Workload::Greedy { 5 } else { 300 };
            let pause = self.chance.millis(1, longest);
            self.rest(pause).await;
        }
    }

    async fn rest(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// What to ask for. Locks of every workload share the names `a` to `e`, so that kinds meet that exclude each
    /// other, and each name is wanted at all times.
    fn draw(&mut self) -> Ask {
        let mut names = NAMES.map(str::to_owned);
        self.chance.shuffle(&mut names);
        let one = |name: &str| vec![name.to_owned()];
        let (kind, names, limit) = match self.settings.workload {
            // Two names only: each is nearly always under way to somebody.
            Workload::Brief => (Kind::Lock, one(if self.chance.odds(500) { "a" } else { "b" }), None),
            Workload::Lock | Workload::Patient => (Kind::Lock, vec![names[0].clone()], None),
            Workload::Greedy => (Kind::Lock, one("a"), None),
            Workload::Own => (Kind::Lock, one(&format!("own-{}", self.settings.name)), None),
            Workload::Fresh => (Kind::Lock, one(&format!("f{:x}", self.chance.bits())), None),
            Workload::Rwlock | Workload::BriefRwlock if self.chance.odds(700) => {
                (Kind::Shared, one("r"), None)
            }
            Workload::Rwlock | Workload::BriefRwlock => (Kind::Lock, one("r"), None),
            Workload::Semaphore => (Kind::Semaphore, one("s"), Some(2)),
            Workload::Multi => {
                let many = 2 + self.chance.below(2) as usize;
                (Kind::Multi, names[..many].to_vec(), None)
            }
            Workload::Election => (Kind::Election, one("e"), None),
            Workload::Guarded => (Kind::Lock, one("data"), None),
            Workload::Group => (Kind::Group, one("m"), None),
            // It has no lanes.
            Workload::Breaker | Workload::Marker | Workload::Observer => (Kind::Lock, one("a"), None),
        };
        let is_renewed = self.settings.workload != Workload::Fresh;
        Ask { kind, names, limit, ttl: self.settings.ttl(), is_renewed }
    }

    async fn acquire(&mut self, op: Op, ask: Ask) -> Option<Holding> {
        // A third only tries, unless it always waits; a tenth gives up somewhere on the way, which must leave nothing behind.
        // The longest wait ends well before a run's settling does. Several at once are long in coming, among so many who
        // want one.
        let shortest = if ask.kind == Kind::Multi { 6_000 } else { 500 };
        let always_waits = [Workload::Patient, Workload::Greedy].contains(&self.settings.workload);
        let tries = !always_waits && self.chance.odds(300);
        let wait = if tries { Duration::ZERO } else { self.chance.millis(shortest, 12_000) };
        let patience =
            if self.chance.odds(100) { self.chance.millis(1, 2_000) } else { Duration::from_secs(3_600) };
        let acquire_renews = self.chance.odds(500);
        let ttl_ms = self.settings.ttl_ms;
        let (kind, names, limit, waits) = (ask.kind, ask.names.clone(), ask.limit, !wait.is_zero());
        self.said.now(What::Asks { op, kind, names, limit, ttl_ms, waits });
        let asked = async {
            match &self.source {
                Source::Library(space) => {
                    library::acquire(space, &ask, wait, &self.settings.name).await.map(Grant::Library)
                }
                Source::Socket(path) => {
                    socket::acquire(path, &ask, wait, acquire_renews, &self.settings.name)
                        .await
                        .map(Grant::Socket)
                }
            }
        };
        let given_up = |why: &str| Err(Refusal::new(Outcome::Unknown, why.into()));
        let outcome = tokio::select! {
            biased;
            outcome = asked => outcome,
            () = tokio::time::sleep(patience) => given_up(GIVEN_UP),
            () = self.stop.cancelled() => given_up(STOPPED),
        };
        match outcome {
            Ok(grant) => {
                let (tokens, deadline_ns) = (grant.tokens(), grant.deadline_ns());
                self.said.now(What::Granted { op, tokens, deadline_ns });
                Some(Holding {
                    op,
                    kind: ask.kind,
                    grant,
                    told_ns: AtomicU64::new(deadline_ns),
                    is_lost: AtomicBool::new(false),
                })
            }
            Err(Refusal { outcome, detail }) => {
                self.said.now(What::Refused { op, outcome, detail });
                if outcome == Outcome::Failed {
                    self.rest(Duration::from_millis(500)).await;
                }
                None
            }
        }
    }

    async fn hold(&mut self, holding: Holding) {
        // Mostly short, so that there is much to look at; some last about as long as a lease does without a renewal,
        // and some outlive it by far, so that renewals count, and so that whoever is cut off or paused for long mostly
        // holds something that somebody else will be granted meanwhile.
        let ttl_ms = self.settings.ttl_ms;
        let (low, high) = match self.chance.below(100) {
            _ if self.settings.workload.is_brief() => (1, 40),
            _ if self.settings.workload == Workload::Fresh => (2 * ttl_ms, 3 * ttl_ms),
            0..60 => (5, 500),
            60..80 => (500, ttl_ms),
            _ => (ttl_ms, 5 * ttl_ms),
        };
        let work = self.chance.millis(low, high);
        let until = tokio::time::Instant::now() + work;
        let op = holding.op;
        loop {
            let pause = self.chance.millis(20, 400);
            let step = until.min(tokio::time::Instant::now() + pause);
            tokio::select! {
                biased;
                reason = holding.grant.lost() => {
                    self.said.now(What::Lost { op, reason });
                    return self.let_end().await;
                }
                () = holding.grant.renewed(holding.told_ns()) => holding.renewed(&self.said),
                () = tokio::time::sleep_until(step) => self.work(&holding).await,
                () = self.stop.cancelled() => break,
            }
            if holding.is_lost.load(Ordering::Relaxed) {
                return self.let_end().await;
            }
            if tokio::time::Instant::now() >= until {
                break;
            }
        }
        self.said.now(What::Releases { op });
        if let Some(outcome) = holding.grant.release().await {
            self.said.now(What::Released { op, outcome });
        }
    }

    /// Of what was lost: let go of at once, it would be given back, and what nobody had before is to end by its TTL.
    async fn let_end(&self) {
        if self.settings.workload == Workload::Fresh {
            self.rest(self.settings.ttl()).await;
        }
    }

    /// Uses what is protected, if it still holds.
    async fn work(&mut self, holding: &Holding) {
        let op = holding.op;
        // Everything that is held for itself alone has something to protect.
        if !matches!(holding.kind, Kind::Lock | Kind::Multi | Kind::Election) {
            holding.during(&self.said, holding.grant.proclaim(op)).await;
            return;
        }
        for (name, token) in holding.grant.tokens() {
            let is_guarded = self.settings.workload.is_guarded();
            let resource = match (is_guarded, holding.kind) {
                (true, _) => format!("data.{name}"),
                (false, Kind::Election) => format!("elect.{name}"),
                (false, _) => format!("lock.{name}"),
            };
            // First the news, then the time, then the look: what is held at the look was held at that time.
            holding.renewed(&self.said);
            let at_ns = now_ns();
            if !holding.grant.is_held() {
                return;
            }
            // It may have been renewed since: that it may be used was so by what the grant knew, not by what was said.
            holding.renewed(&self.said);
            let value = self.value();
            self.said.at(at_ns, What::Uses { op, resource: resource.clone(), token, value });
            let (answer, before) = match is_guarded {
                true => {
                    let text = value.to_string();
                    (holding.during(&self.said, holding.grant.put(&name, &text)).await, None)
                }
                false => {
                    let write = Write { resource, token, value };
                    holding.during(&self.said, self.registers.write(&write)).await
                }
            };
            self.said.now(What::Used { op, value, answer, before });
        }
        if holding.kind == Kind::Election && self.chance.odds(200) {
            holding.during(&self.said, holding.grant.proclaim(op)).await;
        }
    }

    /// A value that nobody else in the run writes: the seed differs from process to process.
    fn value(&mut self) -> u64 {
        // Below 2^53, so that no reader of the JSON rounds it.
        self.chance.bits() >> 11 ^ self.number
    }
}
