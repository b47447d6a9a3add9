//! Reads every revision as it is written.
//!
//! The bucket keeps only the last revision of a key, so whoever is late misses those between. One consumer lives on one
//! server; when that server is broken, seconds pass until the consumer is made anew. So there are three, each with a
//! connection of its own to another server; each also hears what the stream's leader republishes; and what all of them
//! read is put together by revision. Only what nobody read within [`PATIENCE`] is a gap, and said to be one.

mod merge;
mod remains;
mod source;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::failure::Failure;
use crate::sink::Sink;
use source::Source;

/// How long is waited for a revision that others have gone past.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// The stream of the bucket.
pub const STREAM: &str = "KV_leases";
/// What its subjects begin with.
const SUBJECTS: &str = "$KV.leases.";
/// What the subjects begin with on which the bucket republishes.
const ECHO: &str = "_lease.leases.ev.";
/// Revisions on their way from the sources to the file.
const QUEUE: usize = 65_536;

/// Sources and the one who puts them together.
#[derive(Debug)]
pub struct Auditor {
    urls: Vec<String>,
    sink: Arc<Sink>,
    sources: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    merging: JoinHandle<u64>,
}

impl Auditor {
    /// Begins to read, from the first revision that is there. The bucket must be there.
    ///
    /// # Errors
    /// If the stream cannot be asked where it begins.
    pub async fn start(urls: &[String], sink: Arc<Sink>) -> Result<Auditor, Failure> {
        let (first, _) = source::span(urls).await?;
        let (tell, told) = mpsc::channel(QUEUE);
        let sources = urls.iter().cloned().map(|url| {
            let source = Source::new(url, first, tell.clone());
            tokio::spawn(source.read())
        });
        let sources = sources.collect();
        let (stop, stopped) = watch::channel(false);
        let merging = tokio::spawn(merge::merge(first, told, Arc::clone(&sink), stopped));
        Ok(Auditor { urls: urls.to_vec(), sink, sources, stop, merging })
    }

    /// Reads up to the end, looks at what remains, and says how many revisions were missed.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub async fn finish(self) -> Result<u64, Failure> {
        self.sink.write(&remains::look(&self.urls).await?);
        // The sources are a few messages behind at most; whoever is still cut off will not come back in time.
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.stop.send_replace(true);
        for source in &self.sources {
            source.abort();
        }
        self.merging.await.map_err(|error| Failure::internal(format!("the auditor: {error}")))
    }
}
