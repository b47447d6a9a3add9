//! Finding out how a bucket on NATS is deployed. Asks only; changes nothing.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::facts::{AccountFacts, NatsFacts, Offset, ReplicaFacts, ServerFacts, StreamFacts};
use super::nats_bucket::{faults, faults_of_history};
use super::nats_call::{Fault, Info};
use super::nats_open::Bucket;
use super::nats_wire::micros;
use crate::error::Error;

/// Every server of the cluster answers this to every account. It can list connections, of which one is enough.
const PING: &str = "$SYS.REQ.ACCOUNT.PING.CONNZ";
const PING_BODY: &str = r#"{"limit":1}"#;
/// So many servers are asked at the most.
const MOST_SERVERS: usize = 64;

/// What a server says of itself in the answer to [`PING`].
#[derive(Deserialize)]
struct Pong {
    server: PongServer,
}

#[derive(Deserialize)]
struct PongServer {
    name: String,
    #[serde(default)]
    ver: String,
    #[serde(default)]
    time: String,
}

impl Bucket {
    /// [`Store::examine`](super::Store::examine).
    ///
    /// Lost or late answers: an error where nothing can be said without, else it is said that this is not known. Old: from
    /// a leader that was cut off; it says itself that it hears from nobody.
    pub(super) async fn examine(&self) -> Result<NatsFacts, Error> {
        // Without a connection, why there is none says more than that there is none.
        self.link.standing()?;
        let stream = self.link.info(&self.names).await?;
        let history = self.link.info(&self.history).await?;
        let quiet_secs = match &stream {
            Some(info) => self.quiet_now(info).await,
            None => None,
        };
        let (servers, unasked) = self.servers().await;
        Ok(NatsFacts {
            bucket: self.names.bucket().into(),
            stream: stream.map(|info| facts(&info, self.faults(&info))),
            history: history.map(|info| facts(&info, faults_of_history(&self.history, &info.config))),
            servers,
            unasked,
            account: self.account().await,
            quiet_secs,
        })
    }

    fn faults(&self, info: &Info) -> Vec<Error> {
        let mut found = faults(&self.names, &info.config, self.replicas);
        found.extend(super::nats_bucket::check_begun(&self.names, info.first_seq, info.last_seq).err());
        found
    }

    /// Every server that can be asked, by name; and why not all could be.
    async fn servers(&self) -> (Vec<ServerFacts>, Option<String>) {
        let mut found: BTreeMap<String, ServerFacts> = BTreeMap::new();
        // For where it is: connecting is the only way to see that.
        for (name, version, host) in self.link.visit(MOST_SERVERS).await {
            found.insert(name.clone(), ServerFacts { name, version, host: Some(host), clock: None });
        }
        let unasked = match self.ping().await {
            Ok(pongs) => {
                for (server, clock) in pongs {
                    let known = found.entry(server.name.clone()).or_insert_with(|| ServerFacts {
                        name: server.name,
                        version: String::new(),
                        host: None,
                        clock: None,
                    });
                    known.version = server.ver;
                    known.clock = clock;
                }
                None
            }
            Err(why) => Some(why),
        };
        (found.into_values().collect(), unasked)
    }

    /// Asks all servers at once for their releases and clocks; waits until a while after the last answer.
    async fn ping(&self) -> Result<Vec<(PongServer, Option<Offset>)>, String> {
        let sent = self.wall_micros();
        let mut answers = self
            .link
            .ask(PING, Bytes::from_static(PING_BODY.as_bytes()))
            .await
            .map_err(|failure| failure.to_string())?;
        let mut pongs = Vec::new();
        while pongs.len() < MOST_SERVERS {
            match answers.next().await {
                Ok(answer) => {
                    let got = self.wall_micros();
                    // Others may answer on a subject that anybody may listen to; what cannot be read says nothing.
                    let Ok(pong) = serde_json::from_slice::<Pong>(&answer.payload()) else { continue };
                    let clock = micros(&pong.server.time).map(|other| Offset::read(sent, other, got));
                    pongs.push((pong.server, clock));
                }
                Err(_) if !pongs.is_empty() => break,
                Err(failure) => return Err(format!("{PING}: {}", failure)),
            }
        }
        Ok(pongs)
    }

    async fn account(&self) -> Result<AccountFacts, String> {
        let answer = match self.link.account(&self.names).await {
            Ok(answer) => answer,
            Err(Fault::Failure(failure)) => return Err(failure.to_string()),
            Err(Fault::Api(error)) => return Err(error.to_string()),
            Err(Fault::Garbled) => return Err("an answer that cannot be read".into()),
        };
        let max = answer.get("limits").and_then(|limits| limits.get("max_storage")).and_then(Value::as_i64);
        Ok(AccountFacts {
            storage: answer.get("storage").and_then(Value::as_u64).unwrap_or(0),
            max_storage: max.and_then(|max| u64::try_from(max).ok()).filter(|max| *max > 0),
        })
    }
}

fn facts(info: &Info, unfit: Vec<Error>) -> StreamFacts {
    let leader = info.cluster.get("leader").and_then(Value::as_str);
    let leader = leader.filter(|name| !name.is_empty()).map(|name| ReplicaFacts {
        server: name.into(),
        is_current: true,
        is_offline: false,
        lag: 0,
    });
    let others =
        info.cluster.get("replicas").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let others = others.iter().map(|other| ReplicaFacts {
        server: other.get("name").and_then(Value::as_str).unwrap_or("?").into(),
        is_current: other.get("current").and_then(Value::as_bool).unwrap_or(false),
        is_offline: other.get("offline").and_then(Value::as_bool).unwrap_or(false),
        lag: other.get("lag").and_then(Value::as_u64).unwrap_or(0),
    });
    StreamFacts {
        unfit,
        replicas: leader.into_iter().chain(others).collect(),
        is_led: info.led,
        bytes: info.bytes,
    }
}
