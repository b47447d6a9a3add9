//! `/v1/leases/{id}`: looking at, renewing, using and giving back a lease.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use lease::{End, Name, Payload};
use serde_json::Value;

use super::answer::{json, leased};
use super::ask::owner;
use super::document::answers::{Fenced, Json};
use super::document::refusals::{ALease, HandingOver, OfBody, OfKind, OfQuery, OfValue, Refused, Writing};
use super::input::{Input, LeaseId, NoQuery, Over};
use crate::app::App;
use crate::held::{Held, Renewal, unknown_lease};
use crate::keeper::Order;
use crate::peer::Connection;
use crate::wire::{
    Code, Grant, HandOverRequest, Lease, Nothing, Problem, ReleaseRequest, Retry, ValueRequest,
};

/// How it stands.
#[utoipa::path(get, path = "/v1/leases/{id}", params(LeaseId), responses(Fenced<Lease>, Refused<(OfQuery, ALease)>))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    LeaseId(id): LeaseId,
    Over(connection): Over,
    _: NoQuery,
) -> Result<Response, Problem> {
    Ok(leased(&*app.holders.find(&id, connection.peer.uid)?))
}

/// Renews it, and answers once the store has confirmed that.
#[utoipa::path(post, path = "/v1/leases/{id}/renew", params(LeaseId), request_body = Nothing,
    responses(Fenced<Lease>, Refused<(OfBody, ALease, Writing)>))]
pub(super) async fn renew(
    State(app): State<Arc<App>>,
    LeaseId(id): LeaseId,
    Over(connection): Over,
    Input(Nothing {}): Input<Nothing>,
) -> Result<Response, Problem> {
    let held = app.holders.find(&id, connection.peer.uid)?;
    match held.renew().await {
        Renewal::Confirmed => Ok(leased(&held)),
        Renewal::Over(fate) => Err(fate.problem(&held.what)),
        Renewal::Pending => {
            let detail = "the store has not confirmed the renewal yet; it goes on, and until its deadline the lease stands";
            Err(Problem::new(Code::StoreUnreachable, detail).retry(Retry::Now))
        }
    }
}

/// Gives it back, and answers once the store has taken that.
#[utoipa::path(delete, path = "/v1/leases/{id}", params(LeaseId), request_body = ReleaseRequest,
    responses(Fenced<Lease>, Refused<(OfBody, ALease, Writing)>))]
pub(super) async fn release(
    State(app): State<Arc<App>>,
    LeaseId(id): LeaseId,
    Over(connection): Over,
    Input(asked): Input<ReleaseRequest>,
) -> Result<Response, Problem> {
    let why = match asked.why.as_deref() {
        None | Some("released") => End::Released,
        Some("stopped") => End::Stopped,
        Some(other) => {
            let shown: String = other.chars().take(40).collect();
            let detail = format!("why {shown:?}: allowed are \"released\" and \"stopped\"");
            return Err(Problem::new(Code::InvalidBody, detail));
        }
    };
    Ok(leased(&*app.holders.release(&id, connection.peer.uid, why).await?))
}

/// Says something else to others from now on.
#[utoipa::path(put, path = "/v1/leases/{id}/value", params(LeaseId), request_body = ValueRequest,
    responses(Fenced<Lease>, Refused<(OfBody, OfValue, ALease, OfKind, Writing)>))]
pub(super) async fn value(
    State(app): State<Arc<App>>,
    LeaseId(id): LeaseId,
    Over(connection): Over,
    Input(asked): Input<ValueRequest>,
) -> Result<Response, Problem> {
    let held = lease_of(&app, &connection, Some(agreeing(id, asked.lease)?), None)?;
    say(&held, &asked.value).await
}

/// Gives it to somebody in line, by name.
#[utoipa::path(post, path = "/v1/leases/{id}/hand-over", params(LeaseId), request_body = HandOverRequest,
    responses(Json<Lease>, Refused<(OfBody, ALease, HandingOver, Writing)>))]
pub(super) async fn hand_over(
    State(app): State<Arc<App>>,
    LeaseId(id): LeaseId,
    Over(connection): Over,
    Input(asked): Input<HandOverRequest>,
) -> Result<Response, Problem> {
    let held = lease_of(&app, &connection, Some(agreeing(id, asked.lease)?), None)?;
    let heir = owner(asked.to)?;
    held.ask(|tell| Order::HandOver(heir, tell)).await?;
    Ok(json(&held.view()))
}

/// The id of the path, if the body does not name another.
fn agreeing(id: String, in_body: Option<String>) -> Result<String, Problem> {
    match in_body {
        Some(other) if other != id => {
            Err(Problem::new(Code::InvalidBody, "the lease in the body is not the one in the path"))
        }
        _ => Ok(id),
    }
}

/// The lease that the body names, if it is of the name in the path.
pub(super) fn lease_of(
    app: &App,
    connection: &Connection,
    id: Option<String>,
    name: Option<&Name>,
) -> Result<Arc<Held>, Problem> {
    let Some(id) = id else {
        let detail = "lease is missing: give the id that was granted";
        return Err(Problem::new(Code::InvalidBody, detail));
    };
    let held = app.holders.find(&id, connection.peer.uid)?;
    match (name, &held.what) {
        (Some(wanted), Grant::One { name, .. }) if name != wanted.as_str() => Err(unknown_lease()),
        _ => Ok(held),
    }
}

/// Says `value` under a lease, and answers once the store has confirmed that.
pub(super) async fn say(held: &Held, value: &Value) -> Result<Response, Problem> {
    let value = Payload::of(value)?;
    held.ask(|tell| Order::Say(value, tell)).await?;
    Ok(leased(held))
}
