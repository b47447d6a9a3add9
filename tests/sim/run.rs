//! One run, from its seed to what was found.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::sleep;

use crate::checks::ending;
use crate::exec::{Exec, WORLD};
use crate::nemesis::Nemesis;
use crate::process;
use crate::profile::{Kind, Profile};
use crate::sim::{Counts, Pid, Sim};
use support::chance::Chance;

/// How long after the last fault everybody must have been served, beyond the longest TTL.
const SERVED: Duration = Duration::from_secs(15);
/// How much longer for each place whose waiter died. Passing it over takes two looks 0.7 s apart; and before, the lock
/// may have been kept free for it, for 3 s.
const PASSING_OVER: Duration = Duration::from_millis(2_500);
/// How long presence, reservations and markers of places may linger after the last wait.
const LINGER: Duration = Duration::from_secs(26);

/// What a run found.
pub struct Report {
    pub violations: Vec<String>,
    pub counts: Counts,
    /// How long it lasted, in virtual time.
    pub lasted: Duration,
    pub trace: Option<String>,
}

/// Runs a seed. `traced` costs time and changes nothing.
pub fn run(kind: Kind, seed: u64, traced: bool) -> Report {
    let mut chance = Chance::new(seed);
    // From draws of its own: seeds that found something go on to mean what they meant.
    let profile = Profile::draw(&mut chance).of(kind).perhaps_haunted(&mut Chance::new(!seed));
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => panic!("no runtime: {error}"),
    };
    let exec = Exec::new(chance.fork());
    let sim = {
        let _inside = runtime.enter();
        Sim::new(profile, chance.fork(), exec.clone(), traced)
    };
    let nemesis = chance.fork();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let looked = Arc::clone(&sim);
        // Tokio's budget is for tasks of its own; in here it would make one task's work another's delay.
        let run = tokio::task::unconstrained(exec.run(direct(&sim, nemesis), |group| {
            if group != WORLD {
                looked.looked();
            }
        }));
        runtime.block_on(run);
    }));
    let lasted = {
        let _inside = runtime.enter();
        let lasted = sim.at();
        let mut state = sim.lock();
        if let Err(panic) = panicked {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            state.checks.violation(lasted, "panic", text.unwrap_or_default());
        }
        let seats = std::mem::take(&mut state.seats);
        drop(state);
        drop(seats);
        exec.clear();
        lasted
    };
    let mut state = sim.lock();
    Report {
        violations: std::mem::take(&mut state.checks.violations),
        counts: std::mem::take(&mut state.counts),
        lasted,
        trace: state.trace.take(),
    }
}

/// The script: faults for a while, then none; everybody must be served, and nothing must be left.
async fn direct(sim: &Arc<Sim>, chance: Chance) {
    let (processes, phase, eager, longest) = {
        let mut state = sim.lock();
        let profile = state.profile.clone();
        let shown = format!("{profile:?}");
        state.note(Duration::ZERO, "run", format_args!("{shown}"));
        state.seats = vec![None; profile.processes];
        (profile.processes, profile.phase, profile.eager, profile.longest_ttl())
    };
    for index in 0..processes {
        process::start(sim, index, 0);
    }
    sim.exec.spawn(WORLD, Nemesis::new(sim, chance, processes).run());
    let mut end = phase + longest + SERVED;
    let mut calm = false;
    loop {
        sleep(Duration::from_millis(if eager { 20 } else { 500 })).await;
        sim.expire_early();
        let at = sim.at();
        if !calm && at >= phase {
            calm = true;
            sim.note("run", format_args!("no more faults, no more attempts"));
            let mut state = sim.lock();
            state.winding_down = true;
            end += PASSING_OVER * ending::places_of_the_dead(&state);
            // A bucket that was made anew is quiet for the longest TTL, from when that was noticed.
            if state.checks.causes.ever("recreate") {
                end += longest + SERVED;
            }
        }
        let waiting = !sim.lock().checks.waiting.is_empty();
        if calm && at >= phase + Duration::from_secs(1) && (!waiting || at >= end) {
            break;
        }
    }
    let at = sim.at();
    let unserved = ending::unserved(&sim.lock(), end - phase);
    if !unserved.is_empty() {
        for what in unserved {
            sim.lock().checks.violation(at, "progress after the last fault", what);
        }
        return;
    }
    nothing_is_left(sim).await;
}

async fn nothing_is_left(sim: &Arc<Sim>) {
    let linger = LINGER;
    for _ in 0..linger.as_millis() / 200 {
        sleep(Duration::from_millis(200)).await;
        sim.expire_early();
    }
    let at = sim.at();
    let (seats, mut found) = {
        let mut state = sim.lock();
        sim.expire(&mut state, at);
        let found = ending::left_behind(&state);
        (std::mem::take(&mut state.seats), found)
    };
    let mut pids: Vec<Pid> = Vec::new();
    for (pid, space) in seats.into_iter().flatten() {
        pids.push(pid);
        // The one task of a space that is not used sorts its post.
        let tasks = sim.exec.tasks(pid.group);
        if tasks > 1 {
            found.push(format!("{pid} has {} tasks too many", tasks - 1));
        }
        if let Some(space) = &space {
            found.extend(ending::registers(&format!("{space:?}")));
        }
        drop(space);
    }
    // Timers of requests that were given up go on for a moment.
    sleep(Duration::from_secs(3)).await;
    for pid in pids {
        let tasks = sim.exec.tasks(pid.group);
        if tasks > 0 {
            found.push(format!("{pid} has {tasks} tasks though its space was dropped"));
        }
    }
    let at = sim.at();
    for what in found {
        sim.lock().checks.violation(at, "nothing is left", what);
    }
}
