//! `/healthz`: the daemon lives. `/readyz`: it can grant locks now.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;

use super::answer::json;
use super::document::answers::Json;
use super::document::refusals::{Refused, Writing};
use crate::app::App;
use crate::wire::{Code, Health, Problem, Retry};

/// How long the store may take.
const PROBE_WITHIN: Duration = Duration::from_secs(2);

/// The daemon lives. Says nothing about the store: restarting the daemon would not mend that.
#[utoipa::path(get, path = "/healthz", responses(Json<Health>, Refused<()>))]
pub(super) async fn healthz(State(app): State<Arc<App>>) -> Response {
    ok(&app)
}

/// The daemon can grant locks now: it is not stopping, and the store answers and may be trusted.
#[utoipa::path(get, path = "/readyz", responses(Json<Health>, Refused<Writing>))]
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    match tokio::time::timeout(PROBE_WITHIN, app.granting()?.probe()).await {
        Ok(answer) => answer?,
        Err(_) => {
            let problem = Problem::new(Code::StoreUnreachable, "the store did not answer within 2s");
            return Err(problem.retry(Retry::After(1000)));
        }
    }
    Ok(ok(&app))
}

fn ok(app: &App) -> Response {
    json(&Health {
        status: "ok".to_owned(),
        store: app.store.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}
