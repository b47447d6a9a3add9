//! The executor: every task of every simulated process, polled in an order that the seed decides.
//!
//! Tokio's own scheduler would do for speed, but not here: some of tokio's primitives (`watch`) wake their waiters in
//! an order drawn from the operating system's randomness, and a process must be stopped *between* two polls of its
//! tasks. So all tasks live in one future that tokio blocks on. It polls whatever is ready, in random order, and
//! returns only when nothing is; then tokio's paused clock jumps to the next timer.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};

use lease::Task;
use tokio::sync::oneshot;

use support::chance::Chance;

/// Tasks that run and stop together: a process, or [`WORLD`].
pub type Group = usize;

/// What is no process: the network, the faults, the script of the run.
pub const WORLD: Group = 0;

/// More polls than this without time moving on means that two tasks wake each other for ever.
const SPIN: u64 = 300_000;

/// More polls than this in a run mean that somebody never sleeps for long. An ordinary run has some ten thousand.
const ENDLESS: u64 = 5_000_000;

/// What befalls a process between two polls.
#[derive(Clone, Copy, Debug)]
pub enum Strike {
    /// None of its tasks is polled until it is resumed.
    Pause,
    /// All of its tasks are dropped.
    Kill,
}

/// A handle to the executor; clones share it.
#[derive(Clone)]
pub struct Exec(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Wakes the future that tokio blocks on.
    root: Mutex<Option<Waker>>,
}

struct State {
    groups: Vec<GroupState>,
    tasks: BTreeMap<u64, Slot>,
    next: u64,
    chance: Chance,
    running: bool,
}

struct GroupState {
    alive: bool,
    paused: bool,
    ready: BTreeSet<u64>,
    tasks: usize,
    strike: Option<(u32, Strike, oneshot::Sender<()>)>,
}

struct Slot {
    group: Group,
    /// Taken out while it is polled.
    task: Option<Task>,
    waker: Waker,
}

struct TaskWaker {
    shared: std::sync::Weak<Shared>,
    id: u64,
    group: Group,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(shared) = self.shared.upgrade() else { return };
        let outside = {
            let mut state = shared.lock();
            let running = state.running;
            if !state.tasks.contains_key(&self.id) {
                return;
            }
            let group = &mut state.groups[self.group];
            group.ready.insert(self.id);
            !running && !group.paused
        };
        if outside {
            shared.wake_root();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn wake_root(&self) {
        let root = self.root.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        if let Some(root) = root {
            root.wake();
        }
    }
}

impl Exec {
    /// An executor with the group [`WORLD`].
    pub fn new(chance: Chance) -> Exec {
        let state = State { groups: Vec::new(), tasks: BTreeMap::new(), next: 0, chance, running: false };
        let exec = Exec(Arc::new(Shared { state: Mutex::new(state), root: Mutex::new(None) }));
        exec.group();
        exec
    }

    /// A new group.
    pub fn group(&self) -> Group {
        let mut state = self.0.lock();
        let ready = BTreeSet::new();
        state.groups.push(GroupState { alive: true, paused: false, ready, tasks: 0, strike: None });
        state.groups.len() - 1
    }

    /// Adds a task; the dead start none.
    pub fn spawn(&self, group: Group, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_boxed(group, Box::pin(task));
    }

    /// As [`Exec::spawn`].
    pub fn spawn_boxed(&self, group: Group, task: Task) {
        let outside = {
            let mut state = self.0.lock();
            if !state.groups[group].alive {
                drop(state);
                return;
            }
            let id = state.next;
            state.next += 1;
            let waker = Waker::from(Arc::new(TaskWaker { shared: Arc::downgrade(&self.0), id, group }));
            state.tasks.insert(id, Slot { group, task: Some(task), waker });
            let there = &mut state.groups[group];
            there.ready.insert(id);
            there.tasks += 1;
            !state.running
        };
        if outside {
            self.0.wake_root();
        }
    }

    /// Stops polling a group's tasks.
    pub fn pause(&self, group: Group) {
        self.0.lock().groups[group].paused = true;
    }

    /// Polls them again: first of all what was woken meanwhile.
    pub fn resume(&self, group: Group) {
        self.0.lock().groups[group].paused = false;
        self.0.wake_root();
    }

    /// Whether the group was not killed.
    pub fn lives(&self, group: Group) -> bool {
        self.0.lock().groups[group].alive
    }

    /// Drops all tasks of a group. What they drop in turn finds their process dead.
    pub fn kill(&self, group: Group) {
        let dead: (Vec<Slot>, _) = {
            let mut state = self.0.lock();
            let there = &mut state.groups[group];
            there.alive = false;
            there.ready.clear();
            let strike = there.strike.take();
            there.tasks = 0;
            let ids: Vec<u64> =
                state.tasks.iter().filter(|(_, slot)| slot.group == group).map(|(id, _)| *id).collect();
            (ids.into_iter().filter_map(|id| state.tasks.remove(&id)).collect(), strike)
        };
        drop(dead);
    }

    /// How many tasks of a group are alive.
    pub fn tasks(&self, group: Group) -> usize {
        self.0.lock().groups[group].tasks
    }

    /// Strikes a group after so many polls of its tasks; resolves when it has happened.
    pub fn strike(&self, group: Group, polls: u32, strike: Strike) -> oneshot::Receiver<()> {
        let (told, happened) = oneshot::channel();
        let before = self.0.lock().groups[group].strike.replace((polls, strike, told));
        // Dropped outside the lock: it wakes whoever waits for it.
        drop(before);
        happened
    }

    /// Takes back a strike that has not happened yet.
    pub fn spare(&self, group: Group) {
        let strike = self.0.lock().groups[group].strike.take();
        drop(strike);
    }

    /// Drops every task: the end of the run.
    pub fn clear(&self) {
        let groups = self.0.lock().groups.len();
        for group in (0..groups).rev() {
            self.kill(group);
        }
    }

    /// Runs everything until `director` returns. `after` is called after each poll with the group that was polled.
    pub async fn run<T>(&self, director: impl Future<Output = T>, mut after: impl FnMut(Group)) -> T {
        let mut director = pin!(director);
        let mut since = (tokio::time::Instant::now(), 0_u64);
        let mut polls = 0_u64;
        std::future::poll_fn(|cx: &mut Context<'_>| {
            *self.0.root.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(cx.waker().clone());
            self.0.lock().running = true;
            let out = loop {
                // The director is woken through the same waker as the whole; polling it again costs little.
                if let Poll::Ready(out) = director.as_mut().poll(cx) {
                    break Poll::Ready(out);
                }
                let mut any = false;
                while let Some((id, group, mut task, waker)) = self.pick() {
                    any = true;
                    let done = task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
                    self.put_back(id, group, task, done);
                    after(group);
                    let now = tokio::time::Instant::now();
                    since = if now == since.0 { (now, since.1 + 1) } else { (now, 0) };
                    assert!(since.1 < SPIN, "tasks wake each other without time moving on");
                    polls += 1;
                    assert!(polls < ENDLESS, "the run has no end");
                }
                if !any {
                    break Poll::Pending;
                }
            };
            self.0.lock().running = false;
            out
        })
        .await
    }

    /// Any ready task of any group that runs, each as likely as the other.
    fn pick(&self) -> Option<(u64, Group, Task, Waker)> {
        let mut state = self.0.lock();
        let state = &mut *state;
        let ready =
            state.groups.iter().filter(|group| !group.paused).map(|group| group.ready.len()).sum::<usize>();
        if ready == 0 {
            return None;
        }
        let mut at = if ready == 1 { 0 } else { state.chance.below(ready as u64) as usize };
        for (number, group) in state.groups.iter_mut().enumerate().filter(|(_, group)| !group.paused) {
            if at >= group.ready.len() {
                at -= group.ready.len();
                continue;
            }
            let id = *group.ready.iter().nth(at)?;
            group.ready.remove(&id);
            let slot = state.tasks.get_mut(&id)?;
            return Some((id, number, slot.task.take()?, slot.waker.clone()));
        }
        None
    }

    fn put_back(&self, id: u64, group: Group, task: Task, done: bool) {
        let (gone, struck) = {
            let mut state = self.0.lock();
            let state = &mut *state;
            let mut gone = Some(task);
            if done {
                if state.tasks.remove(&id).is_some() {
                    state.groups[group].tasks -= 1;
                }
                state.groups[group].ready.remove(&id);
            } else if let Some(slot) = state.tasks.get_mut(&id) {
                slot.task = gone.take();
            }
            (gone, Self::struck(&mut state.groups[group]))
        };
        // Dropped outside the lock: what it drops in turn may wake others.
        drop(gone);
        if let Some((strike, told)) = struck {
            match strike {
                Strike::Pause => self.pause(group),
                Strike::Kill => self.kill(group),
            }
            let _ = told.send(());
        }
    }

    fn struck(group: &mut GroupState) -> Option<(Strike, oneshot::Sender<()>)> {
        match &mut group.strike {
            Some((0, ..)) => group.strike.take().map(|(_, strike, told)| (strike, told)),
            Some((polls, ..)) => {
                *polls -= 1;
                None
            }
            None => None,
        }
    }
}

impl std::fmt::Debug for Exec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exec")
    }
}
