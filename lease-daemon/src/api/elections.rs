//! `/v1/elections`: one leader at a time, candidates in line, observers.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use lease::{Leadership, Payload, Space};

use super::answer::{fenced, json};
use super::ask::{Question, Terms, owner};
use super::breaking::Breaking;
use super::document::answers::{Fenced, Json, Lines};
use super::document::bodies::{HandOverOfLease, ValueOfLease};
use super::document::refusals::{
    ALease, HandingOver, Looking, OfBeat, OfBody, OfCandidate, OfKind, OfName, OfQuery, OfToken, OfValue,
    OfWishes, Refused, Waiting, Watching, Writing,
};
use super::hold::{self, Words};
use super::input::{Input, Named, NoQuery, Over};
use super::leases::{lease_of, say};
use super::may::{MayBreak, MayHold, MayObserve};
use super::watch::follow;
use crate::app::App;
use crate::keeper::Order;
use crate::wire::{
    Broken, CampaignRequest, Election, Event, HandOverRequest, History, Leader, Leading, Lease, Problem,
    ReadyRequest, ValueRequest, Waiter,
};

/// Stands for office, and leads, as long as the connection stays.
#[utoipa::path(post, path = "/v1/elections/{name}/campaign", params(MayHold), request_body = CampaignRequest,
    responses(Lines<Event>, Refused<(OfName, OfBody, (OfWishes, OfBeat), OfValue, Waiting, Writing)>))]
pub(super) async fn campaign(
    State(app): State<Arc<App>>,
    MayHold(name): MayHold,
    Over(connection): Over,
    Input(asked): Input<CampaignRequest>,
) -> Result<Response, Problem> {
    let terms = Terms::new(&connection.peer, asked.wishes())?;
    let heartbeat = hold::heartbeat(asked.heartbeat, asked.ttl)?;
    let CampaignRequest { value, priority, ready, .. } = asked;
    let value = value.map(|value| Payload::of(&value)).transpose()?;
    let (candidacy, ready) = app.candidates.add(connection.peer.uid, name.as_str(), ready.unwrap_or(true));
    let election =
        app.granting()?.election(name.as_str()).priority(priority.unwrap_or_default()).ready(ready);
    let question = Question::office(election, value, name.to_string(), terms)?;
    hold::hold(app, &connection, question, Words::Office(candidacy), heartbeat).await
}

/// Says whether a candidate would take office now.
#[utoipa::path(put, path = "/v1/elections/{name}/ready", params(Named), request_body = ReadyRequest,
    responses(Json<ReadyRequest>, Refused<(OfName, OfBody, OfCandidate)>))]
pub(super) async fn ready(
    State(app): State<Arc<App>>,
    Named(name): Named,
    Over(connection): Over,
    Input(asked): Input<ReadyRequest>,
) -> Result<Response, Problem> {
    app.candidates.ready(&asked.candidate, connection.peer.uid, name.as_str(), asked.ready)?;
    Ok(json(&asked))
}

/// The leader says something else from now on.
#[utoipa::path(put, path = "/v1/elections/{name}/value", params(Named), request_body = ValueOfLease,
    responses(Fenced<Lease>, Refused<(OfName, OfBody, OfValue, ALease, OfKind, Writing)>))]
pub(super) async fn value(
    State(app): State<Arc<App>>,
    Named(name): Named,
    Over(connection): Over,
    Input(asked): Input<ValueRequest>,
) -> Result<Response, Problem> {
    let held = lease_of(&app, &connection, asked.lease, Some(&name))?;
    say(&held, &asked.value).await
}

/// The leader gives the office to a candidate by name.
#[utoipa::path(post, path = "/v1/elections/{name}/hand-over", params(Named), request_body = HandOverOfLease,
    responses(Json<Lease>, Refused<(OfName, OfBody, ALease, HandingOver, Writing)>))]
pub(super) async fn hand_over(
    State(app): State<Arc<App>>,
    Named(name): Named,
    Over(connection): Over,
    Input(asked): Input<HandOverRequest>,
) -> Result<Response, Problem> {
    let held = lease_of(&app, &connection, asked.lease, Some(&name))?;
    let heir = owner(asked.to)?;
    held.ask(|tell| Order::HandOver(heir, tell)).await?;
    Ok(json(&held.view()))
}

/// Who leads, and who stands.
#[utoipa::path(get, path = "/v1/elections/{name}", params(MayObserve),
    responses(Fenced<Election>, Refused<(OfName, OfQuery, Looking)>))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    MayObserve(name): MayObserve,
    _: NoQuery,
) -> Result<Response, Problem> {
    let election = app.space()?.election(name.as_str());
    let leader = election.leader().await?.map(Leader::from);
    let candidates = election.candidates().await?.into_iter().map(Waiter::from).collect();
    let token = leader.as_ref().map(|leader| leader.token);
    let seen = Election { name: name.to_string(), leader, candidates };
    Ok(match token {
        Some(token) => fenced(token, &seen),
        None => json(&seen),
    })
}

/// Follows who leads, beginning with what is so now.
#[utoipa::path(get, path = "/v1/elections/{name}/watch", params(MayObserve),
    responses(Lines<Leading>, Refused<(OfName, OfQuery, Looking, Watching)>))]
pub(super) async fn watch(
    State(app): State<Arc<App>>,
    MayObserve(name): MayObserve,
    Over(connection): Over,
    _: NoQuery,
) -> Result<Response, Problem> {
    let open = |space: &Space| Ok(space.election(name.as_str()).observe()?);
    follow(&app, &connection, Some(name.as_str()), open, |known| {
        Some(match known {
            Leadership::Leader(leader) => Leading::Leader(leader.into()),
            Leadership::Unconfirmed(leader) => Leading::Unconfirmed(leader.into()),
            _ => Leading::Vacant,
        })
    })
}

/// The last terms that have ended.
#[utoipa::path(get, path = "/v1/elections/{name}/history", params(MayObserve),
    responses(Json<History>, Refused<(OfName, OfQuery, Looking)>))]
pub(super) async fn history(
    State(app): State<Arc<App>>,
    MayObserve(name): MayObserve,
    _: NoQuery,
) -> Result<Response, Problem> {
    let terms = app.space()?.election(name.as_str()).history().await?;
    Ok(json(&History::of(&name, terms)))
}

/// Ends a term by force.
#[utoipa::path(delete, path = "/v1/elections/{name}", params(MayBreak, Breaking),
    responses(Json<Broken>, Refused<(OfName, OfQuery, OfToken, Writing)>))]
pub(super) async fn break_by_force(
    State(app): State<Arc<App>>,
    MayBreak(name): MayBreak,
    Over(connection): Over,
    breaking: Breaking,
) -> Result<Response, Problem> {
    let office = app.space()?.election(name.as_str()).office();
    breaking.carry_out(&office, name.as_str(), &connection.peer).await
}
