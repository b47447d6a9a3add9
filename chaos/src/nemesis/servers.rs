//! Servers are killed, stopped and paused.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::{Blow, Nemesis};
use crate::auditor::STREAM;
use crate::cluster::{SIZE, Server};
use crate::failure::Failure;
use crate::random::Random;
use crate::runner::field::Field;

/// kill -9, and a new start from its files.
pub(super) struct Kill;
/// SIGTERM, and a new start from its files.
pub(super) struct Stop;
/// SIGSTOP, and SIGCONT.
pub(super) struct Pause;

/// One server; mostly the one that leads the bucket's stream, where it hurts most.
pub(super) async fn choose(field: &Field, random: &mut Random) -> Option<String> {
    let any = usize::try_from(random.below(SIZE as u64)).unwrap_or_default();
    let wants_leader = random.chance(75);
    let leader = field.cluster.leader(STREAM).await.filter(|_| wants_leader);
    Some(format!("n{}", leader.unwrap_or(any)))
}

pub(super) fn server<'a>(field: &'a Field, name: &str) -> Result<&'a Server, Failure> {
    let mut servers = field.cluster.servers().iter();
    servers.find(|it| it.name() == name).ok_or_else(|| Failure::internal(format!("no server {name}")))
}

impl Nemesis for Kill {
    fn name(&self) -> &'static str {
        "kill"
    }

    fn about(&self) -> &'static str {
        "kill -9 of a server, and a new start from its files"
    }

    fn choose<'a>(&'a self, field: &'a Field, random: &'a mut Random) -> BoxFuture<'a, Option<String>> {
        choose(field, random).boxed()
    }

    fn begin<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { server(field, &blow.target).map(Server::kill9) }.boxed()
    }

    fn heal<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { server(field, &blow.target)?.launch() }.boxed()
    }
}

impl Nemesis for Stop {
    fn name(&self) -> &'static str {
        "stop"
    }

    fn about(&self) -> &'static str {
        "SIGTERM to a server, as an operator stops it, and a new start"
    }

    fn choose<'a>(&'a self, field: &'a Field, random: &'a mut Random) -> BoxFuture<'a, Option<String>> {
        choose(field, random).boxed()
    }

    fn begin<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async {
            server(field, &blow.target)?.stop(Duration::from_secs(15)).await;
            Ok(())
        }
        .boxed()
    }

    fn heal<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { server(field, &blow.target)?.launch() }.boxed()
    }
}

impl Nemesis for Pause {
    fn name(&self) -> &'static str {
        "pause"
    }

    fn about(&self) -> &'static str {
        "SIGSTOP to a server: it hangs with all its connections open; then SIGCONT"
    }

    fn choose<'a>(&'a self, field: &'a Field, random: &'a mut Random) -> BoxFuture<'a, Option<String>> {
        choose(field, random).boxed()
    }

    fn begin<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { server(field, &blow.target).map(Server::pause) }.boxed()
    }

    fn heal<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { server(field, &blow.target).map(Server::resume) }.boxed()
    }
}
