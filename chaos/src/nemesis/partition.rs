//! Hosts are cut off from each other: packets are dropped where they arrive (`nft`, one table for each fault).

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::processes::victim;
use super::{Blow, Nemesis};
use crate::auditor::STREAM;
use crate::cluster::{SIZE, run};
use crate::failure::Failure;
use crate::random::Random;
use crate::runner::field::Field;

/// One server from the other two, both ways.
pub(super) struct OneOff;
/// The stream's leader from the other two, both ways.
pub(super) struct LeaderOff;
/// What one server sends does not arrive at the others; what they send does.
pub(super) struct OneWay;
/// Two servers from each other; the third reaches both.
pub(super) struct Bridge;
/// A worker, with its daemon, from all servers.
pub(super) struct WorkerOff;

/// Everybody in `at` drops what comes from `from`.
fn deaf(field: &Field, id: u64, at: &str, from: &str) -> Result<(), Failure> {
    for at in at.split(',') {
        let namespace = &host(field, at)?.namespace;
        let nft = |rule: &str| run("ip", &["netns", "exec", namespace, "nft", rule]);
        nft(&format!("add table inet f{id}"))?;
        nft(&format!("add chain inet f{id} in {{ type filter hook input priority 0; }}"))?;
        for from in from.split(',') {
            nft(&format!("add rule inet f{id} in ip saddr {} drop", host(field, from)?.address))?;
        }
    }
    Ok(())
}

fn host<'a>(field: &'a Field, name: &str) -> Result<&'a crate::cluster::Host, Failure> {
    field.hosts.get(name).ok_or_else(|| Failure::internal(format!("no host {name}")))
}

/// Removes the tables of this fault, wherever there is one.
pub(super) fn hear_again(field: &Field, blow: &Blow) -> Result<(), Failure> {
    for name in blow.target.split(['|', ',']) {
        let namespace = &host(field, name)?.namespace;
        // Made first, so that removing it says no only when something is really wrong.
        let table = format!("inet f{}", blow.id);
        run("ip", &["netns", "exec", namespace, "nft", &format!("add table {table}")])?;
        run("ip", &["netns", "exec", namespace, "nft", &format!("delete table {table}")])?;
    }
    Ok(())
}

fn sides(blow: &Blow) -> Result<(&str, &str), Failure> {
    blow.target.split_once('|').ok_or_else(|| Failure::internal(format!("no two sides: {}", blow.target)))
}

fn both_ways(field: &Field, blow: &Blow) -> Result<(), Failure> {
    let (one, other) = sides(blow)?;
    deaf(field, blow.id, one, other)?;
    deaf(field, blow.id, other, one)
}

/// `n1|n0,n2`.
fn split_off(index: usize) -> String {
    let others: Vec<String> = (0..SIZE).filter(|it| *it != index).map(|it| format!("n{it}")).collect();
    format!("n{index}|{}", others.join(","))
}

fn any(random: &mut Random) -> usize {
    usize::try_from(random.below(SIZE as u64)).unwrap_or_default()
}

impl Nemesis for OneOff {
    fn name(&self) -> &'static str {
        "partition"
    }

    fn about(&self) -> &'static str {
        "one server is cut off from the other two, both ways; clients reach all three"
    }

    fn choose<'a>(&'a self, _: &'a Field, random: &'a mut Random) -> BoxFuture<'a, Option<String>> {
        async { Some(split_off(any(random))) }.boxed()
    }

    fn begin<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { both_ways(field, blow) }.boxed()
    }

    fn heal<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { hear_again(field, blow) }.boxed()
    }
}

impl Nemesis for LeaderOff {
    fn name(&self) -> &'static str {
        "partition-leader"
    }

    fn about(&self) -> &'static str {
        "the server that leads the bucket's stream is cut off from the other two, both ways"
    }

    fn choose<'a>(&'a self, field: &'a Field, _: &'a mut Random) -> BoxFuture<'a, Option<String>> {
        async { field.cluster.leader(STREAM).await.map(split_off) }.boxed()
    }

    fn begin<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { both_ways(field, blow) }.boxed()
    }

    fn heal<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { hear_again(field, blow) }.boxed()
    }
}

impl Nemesis for OneWay {
    fn name(&self) -> &'static str {
        "partition-one-way"
    }

    fn about(&self) -> &'static str {
        "what one server sends does not arrive at the other two; what they send does"
    }

    fn choose<'a>(&'a self, field: &'a Field, random: &'a mut Random) -> BoxFuture<'a, Option<String>> {
        async {
            let any = any(random);
            let leader = field.cluster.leader(STREAM).await.filter(|_| random.chance(50));
            Some(split_off(leader.unwrap_or(any)))
        }
        .boxed()
    }

    fn begin<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async {
            let (one, others) = sides(blow)?;
            deaf(field, blow.id, others, one)
        }
        .boxed()
    }

    fn heal<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { hear_again(field, blow) }.boxed()
    }
}

impl Nemesis for Bridge {
    fn name(&self) -> &'static str {
        "partition-bridge"
    }

    fn about(&self) -> &'static str {
        "two servers are cut off from each other, the third reaches both"
    }

    fn choose<'a>(&'a self, _: &'a Field, random: &'a mut Random) -> BoxFuture<'a, Option<String>> {
        async {
            let one = any(random);
            Some(format!("n{one}|n{}", (one + 1) % SIZE))
        }
        .boxed()
    }

    fn begin<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { both_ways(field, blow) }.boxed()
    }

    fn heal<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { hear_again(field, blow) }.boxed()
    }
}

impl Nemesis for WorkerOff {
    fn name(&self) -> &'static str {
        "partition-worker"
    }

    fn about(&self) -> &'static str {
        "a worker, with its daemon, is cut off from all servers; it still reaches what it protects"
    }

    fn lasts_ms(&self) -> (u64, u64) {
        // Often longer than what it holds.
        (3_000, 14_000)
    }

    fn choose<'a>(&'a self, field: &'a Field, random: &'a mut Random) -> BoxFuture<'a, Option<String>> {
        let servers: Vec<String> = (0..SIZE).map(|index| format!("n{index}")).collect();
        let victim = victim(field, random, |_| true, &field.members);
        let worker = victim.map(|it| format!("{}|{}", it.name, servers.join(",")));
        async { worker }.boxed()
    }

    fn begin<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { both_ways(field, blow) }.boxed()
    }

    fn heal<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { hear_again(field, blow) }.boxed()
    }
}
