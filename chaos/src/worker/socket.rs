//! Locks of every kind through the daemon's socket, as a client in any language would: HTTP, JSON, and nothing of the
//! library.
//!
//! Two ways: `hold` (or `campaign`, or `join`), where the open connection is the lock and the daemon renews; and `acquire`,
//! where the client does.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Api, Lines, Response};
use tokio::sync::{oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

use super::grant::{Ask, Refusal};
use crate::clock::now_ns;
use crate::history::{self, Freed, Kind, Outcome};

const OK: u16 = 200;
const NOT_FOUND: u16 = 404;
const CONFLICT: u16 = 409;

/// What the daemon granted. Dropping it closes the connection of a `hold`.
#[derive(Debug)]
pub(super) struct Granted {
    api: Api,
    /// Its path in the API: `/v1/leases/ID`.
    path: String,
    tokens: BTreeMap<String, u64>,
    deadline: watch::Receiver<u64>,
    lost: watch::Receiver<Option<String>>,
    /// Asks for the release by `DELETE`; `None` for a `hold`.
    release: Option<oneshot::Sender<oneshot::Sender<Freed>>>,
    _keeper: AbortOnDropHandle<()>,
}

impl Granted {
    pub(super) fn tokens(&self) -> BTreeMap<String, u64> {
        self.tokens.clone()
    }

    pub(super) fn deadline_ns(&self) -> u64 {
        *self.deadline.borrow()
    }

    pub(super) fn is_held(&self) -> bool {
        self.lost.borrow().is_none() && now_ns() < self.deadline_ns()
    }

    /// By word of the daemon, by the end of the connection, or by the clock.
    pub(super) async fn lost(&self) -> String {
        let (mut lost, mut deadline) = (self.lost.clone(), self.deadline.clone());
        loop {
            if let Some(reason) = lost.borrow_and_update().clone() {
                return reason;
            }
            let left = deadline.borrow_and_update().saturating_sub(now_ns());
            if left == 0 {
                return "expired".into();
            }
            tokio::select! {
                changed = lost.changed() => if changed.is_err() { return "keeper-gone".into() },
                _ = deadline.changed() => {}
                () = tokio::time::sleep(Duration::from_nanos(left)) => {}
            }
        }
    }

    pub(super) async fn renewed(&self, known_ns: u64) {
        let mut deadline = self.deadline.clone();
        if deadline.wait_for(|at| *at != known_ns).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Writes a value under the lease into the bucket.
    pub(super) async fn put(&self, key: &str, value: &str) -> history::Answer {
        let path = format!("{}/data/{key}", self.path);
        match self.api.try_send("PUT", &path, value).await {
            Ok(answer) if answer.status == OK => history::Answer::Accepted,
            Ok(answer) => match refused(&answer).outcome {
                Outcome::Unknown => history::Answer::Unknown,
                Outcome::Held | Outcome::Failed => history::Answer::Refused,
            },
            // The daemon may have died over it.
            Err(_) => history::Answer::Unknown,
        }
    }

    /// Says something else.
    pub(super) async fn proclaim(&self, value: u64) {
        // What came of it is of no interest: it must only not disturb the rest.
        let path = format!("{}/value", self.path);
        let _ = self.api.try_send("PUT", &path, &json!({ "value": value }).to_string()).await;
    }

    /// `None` after a `hold`: closing the connection gives it back, and nobody says how that went.
    pub(super) async fn release(mut self) -> Option<Freed> {
        let release = self.release.take()?;
        let (tell, told) = oneshot::channel();
        if release.send(tell).is_err() {
            return Some(Freed::Lost);
        }
        Some(told.await.unwrap_or(Freed::Unknown))
    }
}

/// What is held, where the daemon keeps it: below which path, and what is said of it beside what all kinds say.
fn wanted(ask: &Ask, me: &str) -> (String, Value) {
    let name = ask.names.first().map(String::as_str).unwrap_or_default();
    match ask.kind {
        Kind::Lock => (format!("locks/{name}"), json!({})),
        Kind::Shared => (format!("locks/{name}"), json!({ "shared": true })),
        Kind::Semaphore => (format!("semaphores/{name}"), json!({ "limit": ask.limit })),
        Kind::Multi => ("multi".into(), json!({ "names": ask.names })),
        Kind::Election => (format!("elections/{name}"), json!({ "value": me })),
        Kind::Group => (format!("groups/{name}"), json!({ "value": me })),
    }
}

/// Asks the daemon; with `renews` by `acquire` where there is that, else by a connection that stays open.
pub(super) async fn acquire(
    socket: &Path,
    ask: &Ask,
    wait: Duration,
    renews: bool,
    me: &str,
) -> Result<Granted, Refusal> {
    let (path, mut body) = wanted(ask, me);
    body["owner"] = json!(me);
    body["ttl"] = json!(format!("{}ms", ask.ttl.as_millis()));
    // One joins without waiting.
    if ask.kind != Kind::Group {
        body["wait"] = json!(format!("{}ms", wait.as_millis()));
    }
    let (api, body) = (Api::new(socket), body.to_string());
    match ask.kind {
        Kind::Election => hold(api, ask, &format!("/v1/{path}/campaign"), &body).await,
        Kind::Group => hold(api, ask, &format!("/v1/{path}/join"), &body).await,
        _ if renews => lease(api, ask, &format!("/v1/{path}/acquire"), &body).await,
        _ => hold(api, ask, &format!("/v1/{path}/hold"), &body).await,
    }
}

async fn hold(api: Api, ask: &Ask, path: &str, body: &str) -> Result<Granted, Refusal> {
    let mut answer = api.try_open("POST", path, body).await.map_err(failed)?;
    if answer.status() != OK {
        let told = event(&mut answer).await.ok().flatten().unwrap_or_default();
        return Err(refusal(answer.status(), &told));
    }
    loop {
        let event = match event(&mut answer).await {
            Ok(Some(event)) => event,
            // Whatever was granted and not told ends with the connection.
            Ok(None) => return Err(Refusal::new(Outcome::Unknown, "the stream ended".into())),
            Err(why) => return Err(Refusal::new(Outcome::Unknown, why.to_string())),
        };
        match event["event"].as_str() {
            Some("held" | "elected" | "joined") => {
                let (tell_deadline, deadline) = watch::channel(number(&event, "deadline_boottime_ns"));
                let (tell_lost, lost) = watch::channel(None);
                let keeper = AbortOnDropHandle::new(tokio::spawn(follow(answer, tell_deadline, tell_lost)));
                return Ok(granted(api, ask, &event, deadline, lost, None, keeper));
            }
            Some("timeout") => return Err(Refusal::new(Outcome::Held, "timeout".into())),
            Some("lost") => return Err(Refusal::new(Outcome::Failed, event["reason"].to_string())),
            _ => {}
        }
    }
}

/// The next line of a stream.
async fn event(answer: &mut Lines) -> io::Result<Option<Value>> {
    let line = answer.try_line().await?;
    line.map(|line| serde_json::from_str(&line).map_err(io::Error::other)).transpose()
}

fn granted(
    api: Api,
    ask: &Ask,
    told: &Value,
    deadline: watch::Receiver<u64>,
    lost: watch::Receiver<Option<String>>,
    release: Option<oneshot::Sender<oneshot::Sender<Freed>>>,
    keeper: AbortOnDropHandle<()>,
) -> Granted {
    let one = || ask.names.iter().take(1).map(|name| (name.clone(), number(told, "token"))).collect();
    let several = told["tokens"].as_object();
    let tokens = several.map(|tokens| {
        tokens.iter().map(|(name, token)| (name.clone(), token.as_u64().unwrap_or_default())).collect()
    });
    let tokens = tokens.unwrap_or_else(one);
    Granted { api, path: path_of(told), tokens, deadline, lost, release, _keeper: keeper }
}

/// Hears what becomes of a `hold`.
async fn follow(mut answer: Lines, deadline: watch::Sender<u64>, lost: watch::Sender<Option<String>>) {
    let reason = loop {
        match event(&mut answer).await {
            Ok(Some(event)) => match event["event"].as_str() {
                Some("alive") => {
                    deadline.send_replace(number(&event, "deadline_boottime_ns"));
                }
                Some("lost") => break event["reason"].as_str().unwrap_or("unsaid").to_owned(),
                _ => {}
            },
            // The connection was the lock.
            Ok(None) | Err(_) => break "connection-closed".to_owned(),
        }
    };
    lost.send_replace(Some(reason));
    // The daemon may keep the lock a little for a client at work: closing the connection ends that.
}

async fn lease(api: Api, ask: &Ask, path: &str, body: &str) -> Result<Granted, Refusal> {
    let answer = api.try_send("POST", path, body).await.map_err(failed)?;
    if answer.status != OK {
        return Err(refused(&answer));
    }
    let told = whole(&answer).map_err(|why| Refusal::new(Outcome::Unknown, why.to_string()))?;
    let (tell_deadline, deadline) = watch::channel(number(&told, "deadline_boottime_ns"));
    let (tell_lost, lost) = watch::channel(None);
    let (release, asked) = oneshot::channel();
    let keeper = keep(api.clone(), path_of(&told), ask.ttl / 5, tell_deadline, tell_lost, asked);
    let keeper = AbortOnDropHandle::new(tokio::spawn(keeper));
    Ok(granted(api, ask, &told, deadline, lost, Some(release), keeper))
}

/// Renews a lease until it is lost or asked to be given back.
async fn keep(
    api: Api,
    path: String,
    every: Duration,
    deadline: watch::Sender<u64>,
    lost: watch::Sender<Option<String>>,
    mut asked: oneshot::Receiver<oneshot::Sender<Freed>>,
) {
    let renewal = format!("{path}/renew");
    loop {
        // No answer is no renewal; whether it is lost, the clock says.
        let renewed = async {
            tokio::time::sleep(every).await;
            tokio::time::timeout(every * 2, api.try_send("POST", &renewal, "{}")).await
        };
        let renewed = tokio::select! {
            // Not after a renewal that has no answer yet: by then the lease may have run out, and it was said to be given back.
            asked = &mut asked => {
                let freed = match api.try_send("DELETE", &path, "{}").await {
                    Ok(answer) if answer.status == OK => Freed::Clean,
                    Ok(answer) if [CONFLICT, NOT_FOUND].contains(&answer.status) => Freed::Lost,
                    _ => Freed::Unknown,
                };
                if let Ok(tell) = asked {
                    let _ = tell.send(freed);
                }
                return;
            }
            renewed = renewed => renewed,
        };
        let Ok(Ok(answer)) = renewed else { continue };
        match answer.status {
            OK => {
                if let Ok(told) = whole(&answer) {
                    deadline.send_replace(number(&told, "deadline_boottime_ns"));
                }
            }
            CONFLICT | NOT_FOUND => {
                let told = whole(&answer).unwrap_or_default();
                let reason = told["reason"].as_str().or(told["code"].as_str()).unwrap_or("lost").to_owned();
                lost.send_replace(Some(reason));
                // The sender stays until the holder lets go, so that this is not taken for the keeper's death.
                let _ = asked.await;
                return;
            }
            _ => {}
        }
    }
}

fn number(event: &Value, field: &str) -> u64 {
    event[field].as_u64().unwrap_or_default()
}

/// Where a lease is in the API.
fn path_of(told: &Value) -> String {
    format!("/v1/leases/{}", told["lease"].as_str().unwrap_or_default())
}

fn whole(answer: &Response) -> serde_json::Result<Value> {
    serde_json::from_slice(&answer.body)
}

fn failed(error: io::Error) -> Refusal {
    Refusal::new(Outcome::Failed, error.to_string())
}

fn refused(answer: &Response) -> Refusal {
    refusal(answer.status, &whole(answer).unwrap_or_default())
}

fn refusal(status: u16, told: &Value) -> Refusal {
    let code = told["code"].as_str().unwrap_or_default();
    let outcome = match (status, code) {
        (CONFLICT, _) => Outcome::Held,
        (_, "outcome-unknown") => Outcome::Unknown,
        _ => Outcome::Failed,
    };
    Refusal::new(outcome, format!("{status} {told}"))
}
