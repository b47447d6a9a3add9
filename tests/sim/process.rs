//! A process: a space of its own on the shared store, with a clock of its own, and contenders.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use lease::{Observation, Observer, Space, SpaceOptions};
use tokio::time::sleep;

use crate::clock::ProcessAmbient;
use crate::contender::Contender;
use crate::net::FaultyStore;
use crate::observer;
use crate::profile::Kind;
use crate::sim::{Pid, Sim};
use support::chance::Chance;

/// Shows in the trace what the library tells its observer.
struct Shown {
    sim: Weak<Sim>,
    by: Pid,
}

impl Observer for Shown {
    fn observe(&self, observation: &Observation) {
        let Some(sim) = self.sim.upgrade() else { return };
        match observation {
            Observation::Regressed => {
                let at = sim.at();
                let mut state = sim.lock();
                state.note(at, self.by, format_args!("notices that revisions went backwards"));
                state.checks.regression_noticed(at, self.by);
            }
            Observation::UnknownResolved { how } => {
                sim.note(self.by, format_args!("resolved an unknown write: {how}"));
            }
            Observation::Resynced => sim.note(self.by, format_args!("joins the line anew")),
            _ => {}
        }
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

/// Starts a process on a seat.
pub fn start(sim: &Arc<Sim>, index: usize, life: u32) -> Pid {
    let group = sim.exec.group();
    let by = Pid { index, life, group };
    let (mut chance, contenders) = {
        let mut state = sim.lock();
        (state.chance.fork(), state.profile.contenders)
    };
    let ambient = Arc::new(ProcessAmbient::new(sim.start, &sim.exec, group, &mut chance));
    sim.note(by, format_args!("starts, its clock {} ppm fast", ambient.fast_ppm()));
    sim.lock().seats[index] = Some((by, None));
    let shared = Arc::clone(sim);
    sim.exec.spawn(group, async move {
        let space = loop {
            // A new connection each time, as a program would that starts again.
            match Space::on(FaultyStore::new(&shared, by), options(&shared, by, &ambient)).await {
                Ok(space) => break space,
                Err(_) => sleep(Duration::from_millis(200)).await,
            }
        };
        shared.lock().seats[index] = Some((by, Some(space.clone())));
        let (kind, names) = {
            let state = shared.lock();
            (state.profile.kind, state.profile.names)
        };
        if kind == Kind::Election {
            for name in (0..names).map(|n| format!("n{n}")) {
                let watching = observer::observe(Arc::clone(&shared), by, space.clone(), name);
                shared.exec.spawn(group, watching);
            }
        }
        for number in 0..contenders {
            spawn_contender(&shared, by, number, &space, &ambient, &mut chance);
        }
    });
    by
}

fn options(sim: &Arc<Sim>, by: Pid, ambient: &Arc<ProcessAmbient>) -> SpaceOptions {
    SpaceOptions {
        owner: Some(by.to_string()),
        observer: Arc::new(Shown { sim: Arc::downgrade(sim), by }),
        ambient: ambient.clone(),
        ..SpaceOptions::default()
    }
}

fn spawn_contender(
    sim: &Arc<Sim>,
    by: Pid,
    number: u64,
    space: &Space,
    ambient: &Arc<ProcessAmbient>,
    chance: &mut Chance,
) {
    let contender = Contender {
        sim: Arc::clone(sim),
        by,
        number,
        space: space.clone(),
        ambient: Arc::clone(ambient),
        chance: chance.fork(),
    };
    sim.exec.spawn(by.group, contender.run());
}

/// What is gone with a process: its users, who wait no more.
pub fn bury(sim: &Arc<Sim>, by: Pid) {
    let space = {
        let mut state = sim.lock();
        state.checks.waiting.retain(|_, waiting| waiting.by != by);
        state.seats[by.index].take()
    };
    // Dropped outside the lock.
    drop(space);
}

/// An operator who accepts that the store lost writes: a process of its own, for as long as it takes.
pub async fn accept_regression(sim: &Arc<Sim>) {
    let index = sim.lock().seats.len();
    let group = sim.exec.group();
    let by = Pid { index, life: 0, group };
    let mut chance = sim.lock().chance.fork();
    let ambient = Arc::new(ProcessAmbient::new(sim.start, &sim.exec, group, &mut chance));
    let store = FaultyStore::new(sim, by);
    if let Ok(space) = Space::on(store, options(sim, by, &ambient)).await {
        // A store that cannot be reached now is asked again at the next round.
        let _ = space.accept_regression("operator").await;
    }
    sim.exec.kill(group);
}

/// Closes a process's space as a stopping daemon would.
pub async fn drain(sim: &Arc<Sim>, by: Pid) {
    let space = sim.lock().seats[by.index].as_ref().and_then(|(_, space)| space.clone());
    let Some(space) = space else { return };
    let (done, over) = tokio::sync::oneshot::channel();
    sim.exec.spawn(by.group, async move {
        space.close(Duration::from_secs(2)).await;
        let _ = done.send(());
    });
    let _ = over.await;
}
