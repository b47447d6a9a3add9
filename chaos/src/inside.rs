//! The runner's own process: ends when the run does, when it is told to, or when whoever started it has gone.

use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use crate::runner::{Inner, inner};

/// Runs a scenario on this host. Every process that it started ends with it.
///
/// # Errors
/// If the run could not be made as it was meant, or was interrupted.
pub fn run(settings: Inner) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(async {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            result = inner(settings) => result,
            _ = interrupt.recv() => Err(Failure::internal("interrupted")),
            _ = terminate.recv() => Err(Failure::internal("interrupted")),
            () = parent_gone() => Err(Failure::internal("whoever started this has gone")),
        }
    });
    // The reader of standard input cannot be stopped.
    runtime.shutdown_background();
    result
}

async fn parent_gone() {
    // Nobody writes: it ends when the other end is closed.
    let _ = tokio::io::stdin().read(&mut [0]).await;
}
