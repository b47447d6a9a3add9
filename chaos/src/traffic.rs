//! How much each worker asks of the servers: the messages that came from its host, counted by the servers themselves.
//!
//! ```text
//!   every second   /connz of each server ─► by connection: how many more than a second ago ─► by host ─► history
//! ```
//!
//! Of a connection whose server did not answer a second ago, nothing is said: what it counted meanwhile is of more than one
//! second.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use support::http::json_tcp;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::history::What;
use crate::recorder::Recorder;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);
/// A server that takes longer to answer is asked again next time.
const ANSWER: Duration = Duration::from_millis(500);
/// Less than this in a second is not worth a line.
const WORTH_A_LINE: u64 = 100;

/// Counts until it is dropped.
#[derive(Debug)]
pub struct Traffic {
    task: JoinHandle<()>,
}

/// By connection: its host's address, and how many messages have come.
type Counts = BTreeMap<u64, (String, u64)>;

impl Traffic {
    /// Begins to count: at servers' monitoring ports, for hosts by address.
    pub fn start(monitors: Vec<String>, hosts: BTreeMap<String, String>, recorder: Recorder) -> Traffic {
        Traffic { task: tokio::spawn(count(monitors, hosts, recorder)) }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn count(monitors: Vec<String>, hosts: BTreeMap<String, String>, recorder: Recorder) {
    let mut before: Vec<Option<Counts>> = vec![None; monitors.len()];
    let mut seconds = tokio::time::interval(EVERY);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        seconds.tick().await;
        let now = join_all(monitors.iter().map(|monitor| counts(monitor))).await;
        let mut sent: BTreeMap<&str, u64> = BTreeMap::new();
        for (before, now) in before.iter().zip(&now) {
            let (Some(before), Some(now)) = (before, now) else { continue };
            for (connection, (address, messages)) in now {
                let Some(host) = hosts.get(address) else { continue };
                let known = before.get(connection).map_or(0, |(_, messages)| *messages);
                // A server that was started again counts from 0.
                *sent.entry(host).or_default() += messages.saturating_sub(known);
            }
        }
        before = now;
        for (host, messages) in sent.into_iter().filter(|(_, messages)| *messages >= WORTH_A_LINE) {
            recorder.say(What::Traffic { host: host.to_owned(), messages }).await;
        }
    }
}

async fn counts(monitor: &str) -> Option<Counts> {
    let said = json_tcp(monitor, "/connz?limit=1024", ANSWER).await?;
    let connection = |it: &Value| {
        let address = it["ip"].as_str()?.to_owned();
        Some((it["cid"].as_u64()?, (address, it["in_msgs"].as_u64()?)))
    };
    Some(said["connections"].as_array()?.iter().filter_map(connection).collect())
}
