//! `/v1/doctor`: how the store is deployed, and what an operator decides about lost writes.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::response::Response;
use lease::{DEFAULT_TTL, MAX_TTL, MIN_TTL};
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::json;
use super::document::answers::Json;
use super::document::refusals::{Looking, OfBody, OfOperator, OfQuery, OfTtl, Refused, Writing};
use super::input::{Input, Over};
use crate::app::App;
use crate::policy::Operation;
use crate::wire::shapes;
use crate::wire::{AcceptRequest, Accepted, Code, Examination, Problem, Span};

/// The longest name of whoever accepts, in bytes: it is written into the bucket.
const MAX_BY: usize = 200;

/// The query.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// The ttl that is to be judged.
    #[param(value_type = shapes::Ttl, required = false)]
    ttl: Option<String>,
}

/// The ttl that is to be judged.
pub(super) struct Ttl(Span);

impl<S: Send + Sync> FromRequestParts<S> for Ttl {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Ttl, Problem> {
        let asked = Query::<Asked>::try_from_uri(&parts.uri).map_err(|error| {
            Problem::new(Code::InvalidQuery, format!("{}; known is: ttl", error.body_text()))
        })?;
        let Some(text) = asked.0.ttl else { return Ok(Ttl(Span(DEFAULT_TTL))) };
        match Span::parse(&text) {
            Ok(span) if (MIN_TTL..=MAX_TTL).contains(&span.0) => Ok(Ttl(span)),
            _ => {
                let shown: String = text.chars().take(40).collect();
                Err(Problem::new(Code::InvalidTtl, format!("ttl {shown:?}: allowed is 2s to 24h")))
            }
        }
    }
}

/// Examines how the store is deployed; takes some seconds.
///
/// One after the other, since each examination asks every server.
#[utoipa::path(get, path = "/v1/doctor", params(Asked),
    responses(Json<Examination>, Refused<(OfQuery, OfTtl, OfOperator, Looking)>))]
pub(super) async fn examine(
    State(app): State<Arc<App>>,
    Over(connection): Over,
    Ttl(ttl): Ttl,
) -> Result<Response, Problem> {
    app.access.check_many(&connection.peer, ">")?;
    let space = app.space()?;
    let _turn = app.examining.lock().await;
    Ok(json(&Examination::of(space.examine(ttl.0).await?)))
}

/// Records that an operator accepts lost writes, after which everybody grants again.
///
/// It concerns every name, so it takes leave to break any.
#[utoipa::path(post, path = "/v1/doctor/accept-regression", request_body = AcceptRequest,
    responses(Json<Accepted>, Refused<(OfBody, OfOperator, Writing)>))]
pub(super) async fn accept_regression(
    State(app): State<Arc<App>>,
    Over(connection): Over,
    Input(AcceptRequest { by }): Input<AcceptRequest>,
) -> Result<Response, Problem> {
    app.access.check_all(&connection.peer, Operation::Break)?;
    if by.trim().is_empty() || by.len() > MAX_BY || by.chars().any(char::is_control) {
        let detail = format!("by must say who accepts it: 1 to {MAX_BY} bytes, without control characters");
        return Err(Problem::new(Code::InvalidBody, detail));
    }
    let peer = connection.peer.owner();
    tracing::warn!(by, peer, "asked to accept that the store lost acknowledged writes");
    app.space()?.accept_regression(&by).await?;
    Ok(json(&Accepted { accepted_by: by }))
}
