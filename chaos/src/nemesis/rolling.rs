//! One server after the other is stopped and started, each once the one before is back.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::{Blow, Nemesis};
use crate::failure::Failure;
use crate::random::Random;
use crate::runner::field::Field;

/// As an upgrade does it.
pub(super) struct RollingRestart;

impl Nemesis for RollingRestart {
    fn name(&self) -> &'static str {
        "rolling-restart"
    }

    fn about(&self) -> &'static str {
        "SIGTERM and a new start of one server after the other, each once the cluster is whole again"
    }

    fn lasts_ms(&self) -> (u64, u64) {
        (0, 500)
    }

    fn choose<'a>(&'a self, field: &'a Field, _: &'a mut Random) -> BoxFuture<'a, Option<String>> {
        let names: Vec<&str> = field.cluster.servers().iter().map(|it| it.name()).collect();
        let all = names.join(",");
        async { Some(all) }.boxed()
    }

    fn begin<'a>(&'a self, field: &'a Field, _: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async {
            for server in field.cluster.servers() {
                server.stop(Duration::from_secs(15)).await;
                server.launch()?;
                field.cluster.ready(Duration::from_secs(60)).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn heal<'a>(&'a self, field: &'a Field, _: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { field.cluster.servers().iter().try_for_each(|server| server.launch()) }.boxed()
    }
}
