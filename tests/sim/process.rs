//! A simulated process: its own clock, its own chance, and tasks that can be stopped at any await.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use lease::{Ambient, Moment, Task};
use tokio::time::{Instant, Sleep};

use crate::dice::Dice;

/// A process's time, chance and tasks.
#[derive(Debug)]
pub struct Process {
    /// Its name in traces.
    pub name: String,
    dice: Dice,
    start: Instant,
    /// Nanoseconds of its clock for 1,000,000 true ones: 990,000 to 1,010,000 would be 1 % either way.
    rate: u64,
    offset: u64,
    gate: Mutex<Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    paused_until: Option<Instant>,
    crashed: bool,
}

impl Process {
    /// A process whose clock runs at `rate` millionths of the true one.
    pub fn new(name: String, seed: u64, start: Instant, rate: u64) -> Arc<Process> {
        let offset = seed % 1_000_000_000_000;
        Arc::new(Process { name, dice: Dice::new(seed), start, rate, offset, gate: Mutex::default() })
    }

    /// Stops all of its tasks for a while.
    pub fn pause(&self, how_long: Duration) {
        self.gate.lock().unwrap().paused_until = Some(Instant::now() + how_long);
    }

    /// Stops all of its tasks for ever.
    pub fn crash(&self) {
        self.gate.lock().unwrap().crashed = true;
    }

    /// Whether it was stopped for ever.
    pub fn crashed(&self) -> bool {
        self.gate.lock().unwrap().crashed
    }

    /// A future that only gets on while the process runs.
    pub fn run<F: Future>(self: &Arc<Self>, inner: F) -> Gated<F> {
        Gated { inner: Box::pin(inner), process: Arc::clone(self), asleep: None }
    }
}

impl Ambient for Process {
    fn now(&self) -> Moment {
        let true_nanos = u64::try_from(self.start.elapsed().as_nanos()).unwrap();
        let own = u128::from(true_nanos) * u128::from(self.rate) / 1_000_000;
        Moment::from_nanos(self.offset + u64::try_from(own).unwrap())
    }

    fn wall_micros(&self) -> u64 {
        1_800_000_000_000_000 + u64::try_from(self.start.elapsed().as_micros()).unwrap()
    }

    fn random(&self) -> u128 {
        u128::from(self.dice.next()) << 64 | u128::from(self.dice.next())
    }

    fn spawn(&self, task: Task) {
        // The gate is looked up through a copy of what `run` needs; `self` is not an Arc here.
        let gate = Arc::clone(&self.handle());
        drop(tokio::spawn(gate.run(task)));
    }
}

thread_local! {
    static PROCESSES: std::cell::RefCell<Vec<std::sync::Weak<Process>>> = const { std::cell::RefCell::new(Vec::new()) };
}

impl Process {
    /// Makes the process known to [`Ambient::spawn`], which only has a reference.
    pub fn register(self: &Arc<Self>) {
        PROCESSES.with_borrow_mut(|all| {
            all.retain(|known| known.strong_count() > 0);
            all.push(Arc::downgrade(self));
        });
    }

    fn handle(&self) -> Arc<Process> {
        PROCESSES.with_borrow(|all| {
            let mut known = all.iter().filter_map(std::sync::Weak::upgrade);
            known.find(|known| std::ptr::eq(known.as_ref(), self)).expect("a registered process")
        })
    }
}

/// See [`Process::run`].
pub struct Gated<F> {
    inner: Pin<Box<F>>,
    process: Arc<Process>,
    asleep: Option<Pin<Box<Sleep>>>,
}

impl<F: Future> Future for Gated<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let until = {
            let gate = self.process.gate.lock().unwrap();
            if gate.crashed {
                return Poll::Pending;
            }
            gate.paused_until.filter(|until| *until > Instant::now())
        };
        if let Some(until) = until {
            let mut sleep = Box::pin(tokio::time::sleep_until(until));
            if sleep.as_mut().poll(context).is_pending() {
                self.asleep = Some(sleep);
                return Poll::Pending;
            }
        }
        self.asleep = None;
        self.inner.as_mut().poll(context)
    }
}
