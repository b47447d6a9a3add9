//! `/v1/multi`: several locks together, all of them or none.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use lease::Name;

use super::acquire;
use super::ask::{Question, Terms};
use super::document::answers::{Granted, Lines};
use super::document::refusals::{
    OfAttempt, OfBeat, OfBody, OfNames, OfProcess, OfWishes, Refused, Waiting, Writing,
};
use super::hold::{self, Words};
use super::input::{Input, Over};
use crate::app::App;
use crate::peer::Connection;
use crate::policy::Operation;
use crate::wire::{AcquireMultiRequest, Code, Event, MultiRequest, Problem, Wishes};

/// Holds them as long as the connection stays.
#[utoipa::path(post, path = "/v1/multi/hold", request_body = MultiRequest,
    responses(Lines<Event>, Refused<(OfBody, (OfWishes, OfBeat), OfNames, Waiting, Writing)>))]
pub(super) async fn hold(
    State(app): State<Arc<App>>,
    Over(connection): Over,
    Input(asked): Input<MultiRequest>,
) -> Result<Response, Problem> {
    let heartbeat = hold::heartbeat(asked.heartbeat, asked.ttl)?;
    let question = question(&app, &connection, asked.wishes(), asked.names)?;
    hold::hold(app, &connection, question, Words::Lock, heartbeat).await
}

/// Grants one lease on all of them that the caller renews.
#[utoipa::path(post, path = "/v1/multi/acquire", request_body = AcquireMultiRequest,
    responses(Granted, Refused<(OfBody, OfWishes, OfNames, (OfAttempt, OfProcess), Waiting, Writing)>))]
pub(super) async fn acquire(
    State(app): State<Arc<App>>,
    Over(connection): Over,
    Input(asked): Input<AcquireMultiRequest>,
) -> Result<Response, Problem> {
    let question = question(&app, &connection, asked.wishes(), asked.names)?;
    acquire::acquire(&app, &connection, question, asked.attempt, asked.bind_pid).await
}

fn question(
    app: &App,
    connection: &Connection,
    wishes: Wishes,
    names: Option<Vec<String>>,
) -> Result<Question, Problem> {
    let terms = Terms::new(&connection.peer, wishes)?;
    let mut names = names.ok_or_else(|| {
        Problem::new(
            Code::InvalidNames,
            "names is missing: list 1 to 64 locks, all of which are wanted or none",
        )
    })?;
    for name in &names {
        Name::new(name.clone())?;
        app.access.check(&connection.peer, Operation::Hold, name)?;
    }
    names.sort();
    names.dedup();
    let scope = names.join(", ");
    Question::all(app.granting()?.lock_all(names.clone()), names, scope, terms)
}
