//! The bucket is deleted, and made anew as an operator would: by a process that has not seen it.

use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::{Blow, Nemesis};
use crate::auditor::STREAM;
use crate::failure::Failure;
use crate::random::Random;
use crate::runner::field::Field;

/// Longer than anybody may have believed in a lease here.
const QUIET: Duration = Duration::from_secs(60);

/// Nothing that was granted stands any more; tokens must rise all the same.
pub(super) struct BucketDeleted;

impl Nemesis for BucketDeleted {
    fn name(&self) -> &'static str {
        "bucket-deleted-beyond"
    }

    fn about(&self) -> &'static str {
        "the bucket is deleted under its holders, and made anew by a new process: voids early notice, not tokens"
    }

    fn lasts_ms(&self) -> (u64, u64) {
        (1_000, 8_000)
    }

    fn choose<'a>(&'a self, _: &'a Field, _: &'a mut Random) -> BoxFuture<'a, Option<String>> {
        async { Some(STREAM.to_owned()) }.boxed()
    }

    fn begin<'a>(&'a self, field: &'a Field, _: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async {
            let urls = field.cluster.urls();
            let text = |error: &dyn std::fmt::Display| Failure::internal(format!("deleting: {error}"));
            let client = async_nats::connect(urls.split(',').collect::<Vec<_>>()).await;
            let client = client.map_err(|error| text(&error))?;
            let subject = format!("$JS.API.STREAM.DELETE.{STREAM}");
            client.request(subject, "".into()).await.map(drop).map_err(|error| text(&error))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, field: &'a Field, _: &'a Blow) -> BoxFuture<'a, Result<(), Failure>> {
        async {
            let space = lease::Space::connect(&field.cluster.urls(), lease::SpaceOptions::default()).await;
            let space = space.map_err(|error| Failure::internal(format!("making the bucket: {error}")))?;
            // Nothing is granted until leases of the earlier life have ended: until then the fault goes on.
            let until = Instant::now() + QUIET;
            while let Err(error) = space.probe().await {
                if Instant::now() > until {
                    return Err(Failure::internal(format!("{QUIET:?} after the bucket was made: {error}")));
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            space.close(Duration::from_secs(1)).await;
            Ok(())
        }
        .boxed()
    }
}
