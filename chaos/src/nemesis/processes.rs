//! Workers and daemons are killed and paused.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::{Blow, Nemesis};
use crate::failure::Failure;
use crate::random::Random;
use crate::runner::crew::Member;
use crate::runner::field::Field;

/// kill -9 of a worker, and a new one.
pub(super) struct WorkerKill;
/// SIGSTOP to a worker, beyond its deadline or not.
pub(super) struct WorkerPause;
/// kill -9 of a daemon, and a new one.
pub(super) struct DaemonKill;
/// SIGSTOP to a daemon.
pub(super) struct DaemonPause;

/// One of these; mostly one that holds, where it hurts.
pub(super) fn victim<'a>(
    field: &Field,
    random: &mut Random,
    among: impl Fn(&'a Member) -> bool,
    members: &'a [Member],
) -> Option<&'a Member> {
    let all: Vec<&Member> = members.iter().filter(|it| among(it)).collect();
    let any = random.pick(&all).copied();
    let wants_holder = random.chance(75);
    let holder = field.sink.holder().filter(|_| wants_holder);
    holder.and_then(|name| all.iter().find(|it| it.name == name).copied()).or(any)
}

async fn worker(field: &Field, random: &mut Random) -> Option<String> {
    victim(field, random, |_| true, &field.members).map(|it| it.name.clone())
}

async fn daemon(field: &Field, random: &mut Random) -> Option<String> {
    victim(field, random, |it| it.daemon_name.is_some(), &field.members)?.daemon_name.clone()
}

fn member<'a>(field: &'a Field, blow: &Blow) -> Result<&'a Member, Failure> {
    field.member(&blow.target).ok_or_else(|| Failure::internal(format!("nobody is called {}", blow.target)))
}

impl Nemesis for WorkerKill {
    fn name(&self) -> &'static str {
        "worker-kill"
    }

    fn about(&self) -> &'static str {
        "kill -9 of a worker, and a new one after a while"
    }

    fn lasts_ms(&self) -> (u64, u64) {
        (200, 3_000)
    }

    fn choose<'a>(&'a self, field: &'a Field, random: &'a mut Random) -> BoxFuture<'a, Option<String>> {
        worker(field, random).boxed()
    }

    fn begin<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { member(field, blow).map(Member::kill_worker) }.boxed()
    }

    fn heal<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { member(field, blow)?.start_worker(&field.sink) }.boxed()
    }
}

impl Nemesis for WorkerPause {
    fn name(&self) -> &'static str {
        "worker-pause"
    }

    fn about(&self) -> &'static str {
        "SIGSTOP to a worker, often beyond its deadline; then SIGCONT"
    }

    fn lasts_ms(&self) -> (u64, u64) {
        (1_000, 12_000)
    }

    fn choose<'a>(&'a self, field: &'a Field, random: &'a mut Random) -> BoxFuture<'a, Option<String>> {
        worker(field, random).boxed()
    }

    fn begin<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { member(field, blow).map(|it| it.pause_worker(true)) }.boxed()
    }

    fn heal<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { member(field, blow).map(|it| it.pause_worker(false)) }.boxed()
    }
}

impl Nemesis for DaemonKill {
    fn name(&self) -> &'static str {
        "daemon-kill"
    }

    fn about(&self) -> &'static str {
        "kill -9 of a daemon under its worker, and a new one after a while"
    }

    fn lasts_ms(&self) -> (u64, u64) {
        (200, 3_000)
    }

    fn choose<'a>(&'a self, field: &'a Field, random: &'a mut Random) -> BoxFuture<'a, Option<String>> {
        daemon(field, random).boxed()
    }

    fn begin<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { member(field, blow).map(Member::kill_daemon) }.boxed()
    }

    fn heal<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { member(field, blow)?.start_daemon() }.boxed()
    }
}

impl Nemesis for DaemonPause {
    fn name(&self) -> &'static str {
        "daemon-pause"
    }

    fn about(&self) -> &'static str {
        "SIGSTOP to a daemon, often beyond its leases' deadlines; then SIGCONT"
    }

    fn lasts_ms(&self) -> (u64, u64) {
        (1_000, 12_000)
    }

    fn choose<'a>(&'a self, field: &'a Field, random: &'a mut Random) -> BoxFuture<'a, Option<String>> {
        daemon(field, random).boxed()
    }

    fn begin<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { member(field, blow).map(|it| it.pause_daemon(true)) }.boxed()
    }

    fn heal<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { member(field, blow).map(|it| it.pause_daemon(false)) }.boxed()
    }
}
