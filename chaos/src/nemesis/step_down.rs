//! The leader of the bucket's stream is asked to step down.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::servers::server;
use super::{Blow, Nemesis};
use crate::auditor::STREAM;
use crate::failure::Failure;
use crate::random::Random;
use crate::runner::field::Field;

/// The mildest change of leaders.
pub(super) struct StepDown;

impl Nemesis for StepDown {
    fn name(&self) -> &'static str {
        "step-down"
    }

    fn about(&self) -> &'static str {
        "the leader of the bucket's stream is asked to step down"
    }

    fn lasts_ms(&self) -> (u64, u64) {
        (500, 2_000)
    }

    fn choose<'a>(&'a self, field: &'a Field, _: &'a mut Random) -> BoxFuture<'a, Option<String>> {
        async { field.cluster.leader(STREAM).await.map(|index| format!("n{index}")) }.boxed()
    }

    fn begin<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async {
            let url = server(field, &blow.target)?.url();
            // Another track may have broken it meanwhile: then there is no leader to step down.
            let asked = async {
                let client = async_nats::connect(&url).await.ok()?;
                let subject = format!("$JS.API.STREAM.LEADER.STEPDOWN.{STREAM}");
                client.request(subject, "".into()).await.ok()
            };
            let _ = tokio::time::timeout(Duration::from_secs(3), asked).await;
            Ok(())
        }
        .boxed()
    }

    fn heal<'a>(&'a self, _: &'a Field, _: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async { Ok(()) }.boxed()
    }
}
