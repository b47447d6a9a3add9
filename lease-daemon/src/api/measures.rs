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
    let connected = app.space().is_ok_and(|space| space.connected());
    let text = app.metrics.render(connected, app.holders.margin());
    let text = text.map_err(|error| Problem::new(Code::Internal, format!("metrics: {error}")))?;
    Ok(([(CONTENT_TYPE, TEXT_FORMAT)], text).into_response())
}
