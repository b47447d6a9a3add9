//! `/metrics`, in the text format of Prometheus.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus::TEXT_FORMAT;

use super::document::answers::Metrics;
use super::document::refusals::Refused;
use crate::app::App;
use crate::wire::{Code, Problem};

/// All metrics.
#[utoipa::path(get, path = "/metrics", responses(Metrics, Refused<()>))]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let vitals = app.space().ok().map(|space| space.vitals());
    let text = app.metrics.render(vitals.as_ref());
    let text = text.map_err(|error| Problem::new(Code::Internal, format!("metrics: {error}")))?;
    Ok(([(CONTENT_TYPE, TEXT_FORMAT)], text).into_response())
}
