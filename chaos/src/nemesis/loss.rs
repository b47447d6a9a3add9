//! A server loses some of what is sent to it (`nft` with random numbers: no kernel module beyond it is needed).

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::partition::hear_again;
use super::{Blow, Nemesis, servers};
use crate::cluster::run;
use crate::failure::Failure;
use crate::random::Random;
use crate::runner::field::Field;

/// In percent: enough that TCP's own repeats take seconds at times.
const LOST: u64 = 15;

/// Lost packets.
pub(super) struct Loss;

impl Nemesis for Loss {
    fn name(&self) -> &'static str {
        "loss"
    }

    fn about(&self) -> &'static str {
        "a server loses 15 % of the packets that are sent to it"
    }

    fn choose<'a>(&'a self, field: &'a Field, random: &'a mut Random) -> BoxFuture<'a, Option<String>> {
        servers::choose(field, random).boxed()
    }

    fn begin<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async {
            let host = field.hosts.get(&blow.target);
            let host = host.ok_or_else(|| Failure::internal(format!("no host {}", blow.target)))?;
            let nft = |rule: &str| run("ip", &["netns", "exec", &host.namespace, "nft", rule]);
            let id = blow.id;
            nft(&format!("add table inet f{id}"))?;
            nft(&format!("add chain inet f{id} in {{ type filter hook input priority 0; }}"))?;
            nft(&format!("add rule inet f{id} in numgen random mod 100 < {LOST} drop"))?;
            Ok(())
        }
        .boxed()
    }

    fn heal<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { hear_again(field, blow) }.boxed()
    }
}
