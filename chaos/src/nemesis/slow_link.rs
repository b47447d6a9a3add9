//! What a server sends queues behind a narrow link (`tc tbf`).

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::{Blow, Nemesis, servers};
use crate::cluster::run;
use crate::failure::Failure;
use crate::random::Random;
use crate::runner::field::Field;

/// A narrow link.
pub(super) struct SlowLink;

fn tc(field: &Field, blow: &Blow, args: &[&str]) -> Result<String, Failure> {
    let host = field.hosts.get(&blow.target);
    let host = host.ok_or_else(|| Failure::internal(format!("no host {}", blow.target)))?;
    run("ip", &[&["netns", "exec", &host.namespace, "tc"], args].concat())
}

impl Nemesis for SlowLink {
    fn name(&self) -> &'static str {
        "slow-link"
    }

    fn about(&self) -> &'static str {
        "what a server sends queues for up to a second behind 200 kbit/s"
    }

    fn choose<'a>(&'a self, field: &'a Field, random: &'a mut Random) -> BoxFuture<'a, Option<String>> {
        servers::choose(field, random).boxed()
    }

    fn begin<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async {
            let args = ["qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", "200kbit"];
            tc(field, blow, &[&args[..], &["burst", "16kb", "latency", "1s"]].concat()).map(drop)
        }
        .boxed()
    }

    fn heal<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { tc(field, blow, &["qdisc", "del", "dev", "eth0", "root"]).map(drop) }.boxed()
    }
}
