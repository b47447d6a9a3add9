//! The socket API, version 1: one file per resource.
//!
//! ```text
//!   POST   /v1/locks/{name}/hold       a stream; the lock is held as long as the connection stays
//!   POST   /v1/locks/{name}/acquire    a lease; the caller renews it
//!   GET    /v1/leases/{id}             POST …/renew   DELETE …
//!   GET    /v1/locks/{name}            GET /v1/locks?filter=payments.*
//!   GET    /healthz  /readyz  /metrics
//! ```
//!
//! Names are percent-encoded in paths: a `/` in a name is `%2F`. Whatever is refused is an RFC 9457 problem.

mod acquire;
mod answer;
mod ask;
#[cfg(test)]
mod bodies_props;
mod health;
mod hold;
mod input;
mod leases;
mod locks;
mod measures;
mod refuse;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;

/// Everything, for the Unix socket.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/locks", get(locks::list))
        .route("/v1/locks/{name}", get(locks::show))
        .route("/v1/locks/{name}/acquire", post(acquire::acquire))
        .route("/v1/locks/{name}/hold", post(hold::hold))
        .route("/v1/leases/{id}", get(leases::show).delete(leases::release))
        .route("/v1/leases/{id}/renew", post(leases::renew))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(measures::metrics))
        .fallback(refuse::not_found)
        .method_not_allowed_fallback(refuse::method_not_allowed)
        .with_state(app)
}

/// Nothing but metrics, for a TCP port.
pub fn metrics_router(app: Arc<App>) -> Router {
    Router::new()
        .route("/metrics", get(measures::metrics))
        .fallback(refuse::not_found)
        .method_not_allowed_fallback(refuse::method_not_allowed)
        .with_state(app)
}
