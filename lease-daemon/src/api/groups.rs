//! `/v1/groups`: members with something to say, each for as long as it lives.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::Uri;
use axum::response::Response;
use lease::{Error, MAX_MEMBERS, MemberEvent, Name, Space};
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::json;
use super::ask::owner_of;
use super::document::answers::{Fenced, Json, Lines};
use super::document::bodies::ValueOfLease;
use super::document::refusals::{
    ALease, Looking, OfBeat, OfBody, OfKind, OfName, OfOwner, OfQuery, OfValue, Refused, Seats, Waiting,
    Watching, Writing,
};
use super::hold::{self, Words};
use super::input::{Input, Named, NoQuery, Over};
use super::leases::{lease_of, say};
use super::may::{MayHold, MayObserve};
use super::watch::follow;
use crate::app::{self, App};
use crate::held::RenewedBy;
use crate::policy::Operation;
use crate::wire::shapes::Wait;
use crate::wire::{
    Code, Event, Group, JoinRequest, Lease, Member, Membership, Previous, Problem, Retry, Span, ValueRequest,
};

/// Is a member as long as the connection stays.
#[utoipa::path(post, path = "/v1/groups/{name}/join", params(MayHold), request_body = JoinRequest,
    responses(Lines<Event>, Refused<(OfName, OfBody, (OfOwner, OfBeat), OfValue, Seats, Writing)>))]
pub(super) async fn join(
    State(app): State<Arc<App>>,
    MayHold(name): MayHold,
    Over(connection): Over,
    Input(asked): Input<JoinRequest>,
) -> Result<Response, Problem> {
    let heartbeat = hold::heartbeat(asked.heartbeat, asked.ttl)?;
    let group = app.granting()?.group(name.as_str()).owner(owner_of(&connection.peer, asked.owner)?);
    let group = match asked.ttl {
        Some(Span(ttl)) => group.ttl(ttl),
        None => group,
    };
    group.check()?;
    let heart = connection.promises(heartbeat);
    let _seat = app.holders.seat(connection.peer.uid, vec![line(&name)])?;
    let membership = tokio::select! {
        biased;
        joined = group.join(&asked.value) => joined?,
        () = app.draining.cancelled() => return Err(app::draining()),
    };
    let held = app.holders.add(connection.peer.uid, RenewedBy::Daemon, membership.into())?;
    Ok(hold::holding(app, &connection, held, Words::Group, heart))
}

/// What waits for a group, to be counted.
fn line(name: &Name) -> String {
    format!("group {name}")
}

/// Who is there.
#[utoipa::path(get, path = "/v1/groups/{name}", params(MayObserve),
    responses(Json<Group>, Refused<(OfName, OfQuery, Looking)>))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    MayObserve(name): MayObserve,
    _: NoQuery,
) -> Result<Response, Problem> {
    let members = app.space()?.group(name.as_str()).members().await?;
    Ok(json(&Group { name: name.to_string(), members: members.into_iter().map(Member::from).collect() }))
}

/// A member says something else from now on.
#[utoipa::path(put, path = "/v1/groups/{name}/value", params(Named), request_body = ValueOfLease,
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

/// The query of a barrier.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// How many.
    #[param(minimum = 1, maximum = 10000)]
    members: usize,
    /// How long to wait for them; as long as the connection stays if omitted.
    #[param(value_type = Wait, required = false)]
    wait: Option<Span>,
}

/// Waits until so many have joined.
#[utoipa::path(get, path = "/v1/groups/{name}/barrier", params(MayObserve, Expected),
    responses(Json<Group>, Refused<(OfName, OfQuery, Waiting, Writing)>))]
pub(super) async fn barrier(
    State(app): State<Arc<App>>,
    MayObserve(name): MayObserve,
    Over(connection): Over,
    uri: Uri,
) -> Result<Response, Problem> {
    let expected = Query::<Expected>::try_from_uri(&uri).map_err(|error| {
        let detail =
            format!("{}; needed is members=1 to {MAX_MEMBERS}, and known is wait=30s", error.body_text());
        Problem::new(Code::InvalidQuery, detail)
    })?;
    let Expected { members, wait } = expected.0;
    let barrier = app.granting()?.group(name.as_str()).barrier(members);
    let _seat = app.holders.seat(connection.peer.uid, vec![line(&name)])?;
    let mut permit = app.access.permit(&connection.peer, Operation::Observe, vec![name.as_str().to_owned()]);
    // As good as without a limit.
    let limit = wait.map_or(Duration::from_secs(30 * 24 * 3600), Duration::from);
    let opened = tokio::select! {
        biased;
        problem = permit.withdrawn() => return Err(problem),
        opened = tokio::time::timeout(limit, barrier.wait()) => opened,
        () = app.draining.cancelled() => return Err(app::draining()),
    };
    let Ok(opened) = opened else {
        let detail = format!("the wait is over, and {name} has fewer than {members} members");
        return Err(Problem::new(Code::WaitElapsed, detail).retry(Retry::Now));
    };
    let members = opened?.into_iter().map(Member::from).collect();
    Ok(json(&Group { name: name.to_string(), members }))
}

/// Follows who comes and goes, beginning with those who are there.
#[utoipa::path(get, path = "/v1/groups/{name}/watch", params(MayObserve),
    responses(Lines<Membership>, Refused<(OfName, OfQuery, Looking, Watching)>))]
pub(super) async fn watch(
    State(app): State<Arc<App>>,
    MayObserve(name): MayObserve,
    Over(connection): Over,
    _: NoQuery,
) -> Result<Response, Problem> {
    let open = |space: &Space| Ok(space.group(name.as_str()).watch()?);
    follow(&app, &connection, Some(name.as_str()), open, |event| Some(told(event)))
}

fn told(event: Result<MemberEvent, Error>) -> Membership {
    match event {
        Ok(MemberEvent::Joined(member)) => Membership::Joined(member.into()),
        Ok(MemberEvent::Changed(member)) => Membership::Changed(member.into()),
        Ok(MemberEvent::Left { id, previous }) => {
            Membership::Left { member: id, previous: Previous::from(&previous) }
        }
        Ok(MemberEvent::Expired(member)) => Membership::Expired(member.into()),
        // What a newer library tells has no word yet.
        Ok(_) => Membership::Unknown,
        Err(error) => {
            let Problem { code, detail, .. } = Problem::from(error);
            Membership::Failed { reason: code.to_string(), detail }
        }
    }
}
