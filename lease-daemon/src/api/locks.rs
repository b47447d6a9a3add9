//! `/v1/locks`: locks, exclusive or shared.
//!
//! Looking decides nothing: what is shown may be some seconds old.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt};
use lease::{Error, Name, Seen};
use serde::Deserialize;
use utoipa::IntoParams;

use super::acquire;
use super::answer::{fenced, json, line};
use super::ask::{Question, Terms};
use super::breaking::Breaking;
use super::document::answers::{Fenced, Granted, Json, Lines, List};
use super::document::refusals::{
    Looking, OfAttempt, OfBeat, OfBody, OfFilter, OfGrace, OfName, OfProcess, OfQuery, OfToken, OfWishes,
    Refused, Waiting, Writing,
};
use super::hold::{self, Words};
use super::input::{Input, NoQuery, Over};
use super::may::{MayBreak, MayHold, MayObserve};
use crate::app::App;
use crate::peer::Connection;
use crate::policy::Operation;
use crate::wire::shapes::Filter;
use crate::wire::{
    AcquireRequest, Broken, Code, Event, History, HoldRequest, Lock, NDJSON, Problem, Span, Wishes,
};

/// Holds it as long as the connection stays.
#[utoipa::path(post, path = "/v1/locks/{name}/hold", params(MayHold), request_body = HoldRequest,
    responses(Lines<Event>, Refused<(OfName, OfBody, (OfWishes, OfBeat), OfGrace, Waiting, Writing)>))]
pub(super) async fn hold(
    State(app): State<Arc<App>>,
    MayHold(name): MayHold,
    Over(connection): Over,
    Input(asked): Input<HoldRequest>,
) -> Result<Response, Problem> {
    let heartbeat = hold::heartbeat(asked.heartbeat, asked.ttl)?;
    let question = question(&app, &connection, &name, asked.wishes(), asked.shared, asked.grace)?;
    hold::hold(app, &connection, question, Words::Lock, heartbeat).await
}

/// Grants a lease on it that the caller renews.
#[utoipa::path(post, path = "/v1/locks/{name}/acquire", params(MayHold), request_body = AcquireRequest,
    responses(Granted, Refused<((OfName, OfBody, OfWishes, OfGrace), (OfAttempt, OfProcess), Waiting, Writing)>))]
pub(super) async fn acquire(
    State(app): State<Arc<App>>,
    MayHold(name): MayHold,
    Over(connection): Over,
    Input(asked): Input<AcquireRequest>,
) -> Result<Response, Problem> {
    let question = question(&app, &connection, &name, asked.wishes(), asked.shared, asked.grace)?;
    acquire::acquire(&app, &connection, question, asked.attempt, asked.bind_pid).await
}

fn question(
    app: &App,
    connection: &Connection,
    name: &Name,
    wishes: Wishes,
    shared: Option<bool>,
    grace: Option<Span>,
) -> Result<Question, Problem> {
    let terms = Terms::new(&connection.peer, wishes)?;
    let lock = app.granting()?.lock(name.as_str());
    let lock = if shared.unwrap_or_default() { lock.shared() } else { lock };
    let lock = lock.grace(grace.map_or(Duration::ZERO, Duration::from));
    Question::lock(lock, name.to_string(), terms)
}

/// One lock, held or not, with its line.
#[utoipa::path(get, path = "/v1/locks/{name}", params(MayObserve), responses(Fenced<Lock>, Refused<(OfName, OfQuery, Looking)>))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    MayObserve(name): MayObserve,
    _: NoQuery,
) -> Result<Response, Problem> {
    let lock = Lock::seen(app.space()?.look(name.as_str()).await?, true);
    Ok(match lock.token {
        Some(token) => fenced(token, &lock),
        None => json(&lock),
    })
}

/// The last holds of it that have ended.
#[utoipa::path(get, path = "/v1/locks/{name}/history", params(MayObserve),
    responses(Json<History>, Refused<(OfName, OfQuery, Looking)>))]
pub(super) async fn history(
    State(app): State<Arc<App>>,
    MayObserve(name): MayObserve,
    _: NoQuery,
) -> Result<Response, Problem> {
    let holds = app.space()?.history(name.as_str()).await?;
    Ok(json(&History::of(&name, holds)))
}

/// Breaks the grant by force.
#[utoipa::path(delete, path = "/v1/locks/{name}", params(MayBreak, Breaking),
    responses(Json<Broken>, Refused<(OfName, OfQuery, OfToken, Writing)>))]
pub(super) async fn break_by_force(
    State(app): State<Arc<App>>,
    MayBreak(name): MayBreak,
    Over(connection): Over,
    breaking: Breaking,
) -> Result<Response, Problem> {
    let lock = app.space()?.lock(name.as_str());
    breaking.carry_out(&lock, name.as_str(), &connection.peer).await
}

/// The query of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Which locks; all if omitted.
    #[param(value_type = Filter, required = false)]
    filter: Option<String>,
}

/// The locks that are held and may be observed: as one JSON object, or one a line for whoever accepts `application/x-ndjson`. Either is
/// written while the store is read, so a list needs little memory however long it is; if the store stops answering
/// in the middle, the connection is closed before the list's end.
#[utoipa::path(get, path = "/v1/locks", params(Wanted), responses(List, Refused<(OfQuery, OfFilter, Looking)>))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Over(connection): Over,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = Query::<Wanted>::try_from_uri(&uri).map_err(|error| {
        Problem::new(Code::InvalidQuery, format!("{}; known is: filter", error.body_text()))
    })?;
    let filter = wanted.0.filter.unwrap_or_else(|| ">".to_owned());
    app.access.check_many(&connection.peer, &filter)?;
    let policy = app.access.policy();
    let locks = app.space()?.list(&filter).map_err(no_filter)?.filter(move |seen| {
        let shown = |seen: &Seen| policy.allows(&connection.peer, Operation::Observe, &seen.name).is_ok();
        std::future::ready(seen.as_ref().map_or(true, shown))
    });
    let mut locks = Box::pin(locks).fuse();
    // While nothing has been written, a store out of reach is still a plain refusal.
    let first = locks.next().await.transpose()?;
    let locks = stream::iter(first.map(Ok)).chain(locks).boxed();
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accepts.contains(NDJSON) {
        let lines = locks.map(|seen| Ok::<_, Error>(line(&Lock::seen(seen?, false))));
        return Ok(([(CONTENT_TYPE, NDJSON)], Body::from_stream(lines)).into_response());
    }
    let body = Body::from_stream(as_object(locks));
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

/// `{"locks":[…]}`, piece by piece.
fn as_object(
    locks: Pin<Box<dyn Stream<Item = Result<Seen, Error>> + Send>>,
) -> impl Stream<Item = Result<Bytes, Error>> + Send {
    let items = locks.enumerate().map(|(index, seen)| {
        let mut item = line(&Lock::seen(seen?, false));
        if index > 0 {
            item.insert(0, b',');
        }
        Ok(Bytes::from(item))
    });
    let open = stream::once(async { Ok(Bytes::from_static(b"{\"locks\":[")) });
    let close = stream::once(async { Ok(Bytes::from_static(b"]}\n")) });
    open.chain(items).chain(close)
}

/// What is said of a filter that is none.
pub(super) fn no_filter(error: Error) -> Problem {
    match error {
        Error::InvalidName { name, why } => {
            let detail =
                format!("invalid filter {name:?}: {why}; between dots also * for any, and > at the end");
            Problem::new(Code::InvalidFilter, detail)
        }
        error => Problem::from(error),
    }
}
