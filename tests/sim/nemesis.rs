//! The faults that last, one after another and on top of each other, until the time of faults is over.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::clock::START_MICROS;
use crate::exec::{Strike, WORLD};
use crate::process;
use crate::profile::Plague;
use crate::sim::{Pid, Sim};
use crate::weather::Reach;
use support::chance::Chance;

/// Longest outage: "unreachable for up to 20 s".
const OUTAGE_MS: u64 = 20_000;

pub struct Nemesis {
    pub sim: Arc<Sim>,
    pub chance: Chance,
    pub processes: usize,
    /// Once each is enough for a run: a bucket that is made again while it is quiet is quiet anew.
    regressed: bool,
    recreated: bool,
}

impl Nemesis {
    pub fn new(sim: &Arc<Sim>, chance: Chance, processes: usize) -> Nemesis {
        Nemesis { sim: Arc::clone(sim), chance, processes, regressed: false, recreated: false }
    }

    pub async fn run(mut self) {
        let (plagues, gap, phase) = {
            let state = self.sim.lock();
            (state.profile.plagues.clone(), state.profile.gap_ms, state.profile.phase)
        };
        loop {
            sleep(self.chance.millis(10, gap * 2)).await;
            if self.sim.at() >= phase {
                return;
            }
            if let Some(plague) = self.chance.weighted(&plagues) {
                self.plague(plague);
            }
        }
    }

    /// A spell no longer than the time of faults.
    fn lasts(&mut self, low_ms: u64, high_ms: u64) -> Duration {
        let lasts = self.chance.spread(low_ms, high_ms);
        self.sim.lock().clip(self.sim.at(), lasts)
    }

    fn anybody(&mut self) -> Option<Pid> {
        let index = self.chance.below(self.processes as u64) as usize;
        self.sim.lock().seats[index].as_ref().map(|(pid, _)| *pid)
    }

    fn plague(&mut self, plague: Plague) {
        let at = self.sim.at();
        match plague {
            Plague::Outage | Plague::Failover => {
                let who =
                    (plague == Plague::Outage).then(|| self.chance.below(self.processes as u64) as usize);
                let reach = Reach::draw(&mut self.chance);
                let lasts = self.lasts(50, OUTAGE_MS);
                let name = match (plague, reach) {
                    (Plague::Outage, Reach::Silent) => "cut-off",
                    (Plague::Outage, Reach::Refusing) => "cut-off-refused",
                    (Plague::Outage, Reach::Deaf) => "cut-off-deaf",
                    (_, Reach::Silent) => "failover",
                    (_, Reach::Refusing) => "failover-refused",
                    (_, Reach::Deaf) => "failover-deaf",
                };
                let mut state = self.sim.lock();
                state.fault(at, name, who, lasts);
                state.weather.outage(who, at + lasts, reach);
            }
            Plague::Stale => {
                let who = self.chance.below(self.processes as u64) as usize;
                let lasts = self.lasts(100, 16_000);
                let mut state = self.sim.lock();
                state.fault(at, "left-behind", Some(who), lasts);
                state.weather.left_behind(who, at + lasts, at);
            }
            Plague::Hush => {
                let who = self.chance.below(self.processes as u64) as usize;
                let lasts = self.lasts(500, 15_000);
                let mut state = self.sim.lock();
                state.fault(at, "hush", Some(who), lasts + Duration::from_secs(5));
                state.weather.hush(who, at + lasts);
            }
            Plague::Cut => {
                let who = self.chance.below(self.processes as u64) as usize;
                let mut state = self.sim.lock();
                state.fault(at, "watches-broken", Some(who), Duration::from_secs(3));
                state.weather.cut(who);
            }
            Plague::Step => self.step(at),
            Plague::Pause => {
                let lasts = self.lasts(20, 30_000);
                if let Some(pid) = self.anybody() {
                    let (sim, polls) = (Arc::clone(&self.sim), self.chance.below(400) as u32);
                    self.sim.exec.spawn(WORLD, pause(sim, pid, polls, lasts));
                }
            }
            Plague::Crash | Plague::Drain => {
                let again = (!self.chance.odds(100)).then(|| self.chance.spread(1, 8_000));
                if let Some(pid) = self.anybody() {
                    let (sim, polls) = (Arc::clone(&self.sim), self.chance.below(400) as u32);
                    let drains = plague == Plague::Drain;
                    self.sim.exec.spawn(WORLD, crash(sim, pid, polls, drains, again));
                }
            }
            Plague::Recreate => self.recreate(at),
            Plague::Regress => self.regress(at),
        }
    }

    /// Another leader, whose clock is another: what has expired by the one stays so by the other.
    fn step(&mut self, at: Duration) {
        let skew = self.chance.pick(&[0, 500, 1_000, 1_999, 1_999]);
        let mut state = self.sim.lock();
        self.sim.expire(&mut state, at);
        self.sim.touch();
        self.sim.clock.skew(skew);
        self.sim.expire(&mut state, at);
        self.sim.touch();
        state.fault(at, "clock-step", None, Duration::ZERO);
        state.note(at, "store", format_args!("its clock is {skew} ms ahead"));
    }

    fn recreate(&mut self, at: Duration) {
        // A bucket that lived for less than half a second cannot be told from the next by its revisions.
        if at < Duration::from_secs(2) || std::mem::replace(&mut self.recreated, true) {
            return;
        }
        let mut state = self.sim.lock();
        // Everything it knew of anybody goes with it, and it is quiet for as long as the longest lease may last.
        state.fault(at, "recreate", None, Duration::from_secs(60));
        self.sim.expire(&mut state, at);
        state.history.forget_from(0, at);
        let first = START_MICROS + self.sim.clock.shows().as_micros() as u64;
        state.checks.recreated(first);
        drop(state);
        self.sim.store.recreate(first);
    }

    fn regress(&mut self, at: Duration) {
        if std::mem::replace(&mut self.regressed, true) {
            return;
        }
        let by = self.chance.range(1, 40);
        let sim = Arc::clone(&self.sim);
        let mut state = sim.lock();
        sim.expire(&mut state, at);
        let (newest, given) = state.history.newest();
        let by = by.min(given);
        if by == 0 {
            return;
        }
        let from = newest + 1 - by;
        state.fault(at, "regress", None, Duration::from_secs(70));
        state.note(at, "store", format_args!("loses its writes from #{} on", crate::sim::tail(from)));
        state.history.forget_from(from, at);
        state.checks.regressed(at, from);
        sim.store.regress(by);
        drop(state);
        let operator = Arc::clone(&sim);
        sim.exec.spawn(WORLD, async move {
            for _ in 0..20 {
                sleep(Duration::from_secs(4)).await;
                process::accept_regression(&operator).await;
            }
        });
    }
}

async fn pause(sim: Arc<Sim>, pid: Pid, polls: u32, lasts: Duration) {
    struck(&sim, pid, polls, Strike::Pause).await;
    let at = sim.at();
    if !sim.exec.lives(pid.group) {
        return;
    }
    let lasts = {
        let mut state = sim.lock();
        let lasts = state.clip(at, lasts);
        state.fault(at, "pause", Some(pid.index), lasts + Duration::from_millis(1_500));
        lasts
    };
    sleep(lasts).await;
    sim.note(pid, format_args!("is resumed"));
    sim.exec.resume(pid.group);
}

async fn crash(sim: Arc<Sim>, pid: Pid, polls: u32, drains: bool, again: Option<Duration>) {
    if drains {
        let at = sim.at();
        sim.lock().fault(at, "drain", Some(pid.index), Duration::from_secs(4));
        // A paused process drains late, or never; then it is killed all the same.
        let _ = timeout(Duration::from_secs(3), process::drain(&sim, pid)).await;
        sim.exec.kill(pid.group);
    } else {
        struck(&sim, pid, polls, Strike::Kill).await;
        let at = sim.at();
        sim.lock().fault(at, "crash", Some(pid.index), Duration::from_secs(1));
    }
    let seated = {
        sim.lock().seats.get(pid.index).is_some_and(|seat| seat.as_ref().is_some_and(|(now, _)| *now == pid))
    };
    if !seated {
        return;
    }
    process::bury(&sim, pid);
    if let Some(after) = again {
        let after = { sim.lock().clip(sim.at(), after) };
        sleep(after).await;
        process::start(&sim, pid.index, pid.life + 1);
    }
}

/// Between any two polls of the process's tasks, or soon, if it sleeps.
async fn struck(sim: &Sim, pid: Pid, polls: u32, strike: Strike) {
    let happens = sim.exec.strike(pid.group, polls, strike);
    let patience = Duration::from_millis(700);
    let patience = { sim.lock().clip(sim.at(), patience) };
    if !matches!(timeout(patience, happens).await, Ok(Ok(()))) {
        sim.exec.spare(pid.group);
        match strike {
            Strike::Pause => sim.exec.pause(pid.group),
            Strike::Kill => sim.exec.kill(pid.group),
        }
    }
}
