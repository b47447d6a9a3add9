//! `/v1/semaphores`: as many holders at a time as the limit says.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use lease::Name;

use super::acquire;
use super::answer::json;
use super::ask::{Question, Terms};
use super::breaking::Breaking;
use super::document::answers::{Granted, Json, Lines};
use super::document::refusals::{
    Looking, OfAttempt, OfBeat, OfBody, OfLimit, OfName, OfProcess, OfQuery, OfToken, OfWishes, Refused,
    Waiting, Writing,
};
use super::hold::{self, Words};
use super::input::{Input, NoQuery, Over};
use super::may::{MayBreak, MayHold, MayObserve};
use crate::app::App;
use crate::peer::Connection;
use crate::wire::{
    AcquirePermitRequest, Broken, Code, Event, History, Holder, LimitRequest, PermitRequest, Problem,
    Semaphore, Waiter, Wishes,
};

/// Any limit, for what does not depend on it.
const ANY: u32 = 1;

/// Holds a permit as long as the connection stays.
#[utoipa::path(post, path = "/v1/semaphores/{name}/hold", params(MayHold), request_body = PermitRequest,
    responses(Lines<Event>, Refused<(OfName, OfBody, (OfWishes, OfBeat), OfLimit, Waiting, Writing)>))]
pub(super) async fn hold(
    State(app): State<Arc<App>>,
    MayHold(name): MayHold,
    Over(connection): Over,
    Input(asked): Input<PermitRequest>,
) -> Result<Response, Problem> {
    let heartbeat = hold::heartbeat(asked.heartbeat, asked.ttl)?;
    let question = question(&app, &connection, &name, asked.wishes(), asked.limit)?;
    hold::hold(app, &connection, question, Words::Lock, heartbeat).await
}

/// Grants a lease on a permit that the caller renews.
#[utoipa::path(post, path = "/v1/semaphores/{name}/acquire", params(MayHold), request_body = AcquirePermitRequest,
    responses(Granted, Refused<((OfName, OfBody, OfWishes, OfLimit), (OfAttempt, OfProcess), Waiting, Writing)>))]
pub(super) async fn acquire(
    State(app): State<Arc<App>>,
    MayHold(name): MayHold,
    Over(connection): Over,
    Input(asked): Input<AcquirePermitRequest>,
) -> Result<Response, Problem> {
    let question = question(&app, &connection, &name, asked.wishes(), asked.limit)?;
    acquire::acquire(&app, &connection, question, asked.attempt, asked.bind_pid).await
}

fn question(
    app: &App,
    connection: &Connection,
    name: &Name,
    wishes: Wishes,
    limit: Option<u32>,
) -> Result<Question, Problem> {
    let terms = Terms::new(&connection.peer, wishes)?;
    let Some(limit) = limit else {
        let detail = "limit is missing: say how many may hold a permit at a time, 1 to 500, as all others do";
        return Err(Problem::new(Code::InvalidLimit, detail));
    };
    let permit = app.granting()?.semaphore(name.as_str(), limit).permit();
    Question::lock(permit, name.to_string(), terms)
}

/// The limit, the holders and the line.
#[utoipa::path(get, path = "/v1/semaphores/{name}", params(MayObserve),
    responses(Json<Semaphore>, Refused<(OfName, OfQuery, Looking)>))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    MayObserve(name): MayObserve,
    _: NoQuery,
) -> Result<Response, Problem> {
    look(&app, &name).await
}

/// Changes the limit for all.
#[utoipa::path(put, path = "/v1/semaphores/{name}/limit", params(MayBreak), request_body = LimitRequest,
    responses(Json<Semaphore>, Refused<(OfName, OfBody, OfLimit, Writing)>))]
pub(super) async fn limit(
    State(app): State<Arc<App>>,
    MayBreak(name): MayBreak,
    Input(asked): Input<LimitRequest>,
) -> Result<Response, Problem> {
    app.granting()?.semaphore(name.as_str(), ANY).set_limit(asked.limit).await?;
    look(&app, &name).await
}

async fn look(app: &App, name: &Name) -> Result<Response, Problem> {
    let seen = app.space()?.semaphore(name.as_str(), ANY).look().await?;
    Ok(json(&Semaphore {
        name: name.to_string(),
        limit: seen.limit,
        holders: seen.holders.into_iter().map(Holder::from).collect(),
        waiters: seen.waiters.into_iter().map(Waiter::from).collect(),
    }))
}

/// The last holds of its permits that have ended.
#[utoipa::path(get, path = "/v1/semaphores/{name}/history", params(MayObserve),
    responses(Json<History>, Refused<(OfName, OfQuery, Looking)>))]
pub(super) async fn history(
    State(app): State<Arc<App>>,
    MayObserve(name): MayObserve,
    _: NoQuery,
) -> Result<Response, Problem> {
    let holds = app.space()?.semaphore(name.as_str(), ANY).history().await?;
    Ok(json(&History::of(&name, holds)))
}

/// Breaks one permit by force.
#[utoipa::path(delete, path = "/v1/semaphores/{name}", params(MayBreak, Breaking),
    responses(Json<Broken>, Refused<(OfName, OfQuery, OfToken, Writing)>))]
pub(super) async fn break_by_force(
    State(app): State<Arc<App>>,
    MayBreak(name): MayBreak,
    Over(connection): Over,
    breaking: Breaking,
) -> Result<Response, Problem> {
    let permit = app.space()?.semaphore(name.as_str(), ANY).permit();
    breaking.carry_out(&permit, name.as_str(), &connection.peer).await
}
