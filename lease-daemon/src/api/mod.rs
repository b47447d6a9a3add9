//! The socket API, version 1: one file per resource.
//!
//! ```text
//!   POST   /v1/locks/{name}/hold         a stream; held as long as the connection stays
//!   POST   /v1/locks/{name}/acquire      a lease; the caller renews it
//!   GET    /v1/locks/{name}              GET /v1/locks?filter=payments.*    …/{name}/history   …/{name}/watch
//!   GET    /v1/watch?filter=payments.>   what happens to locks, as it happens
//!   DELETE /v1/locks/{name}?token=T      broken by force
//!   GET    /v1/leases/{id}               POST …/renew   …/hand-over   PUT …/value   …/data/{key}   DELETE …
//!
//!   /v1/semaphores/{name}   hold, acquire, limit, history        /v1/multi            hold, acquire
//!   /v1/elections/{name}    campaign, value, ready, hand-over,   /v1/groups/{name}    join, value, watch, barrier
//!                           watch, history
//!   GET    /healthz  /readyz  /metrics
//! ```
//!
//! Names are percent-encoded in paths: a `/` in a name is `%2F`. Whatever is refused is an RFC 9457 problem. Which
//! request needs which leave is said in [`crate::policy`].

mod acquire;
mod answer;
mod ask;
#[cfg(test)]
mod bodies_props;
mod breaking;
mod data;
mod elections;
mod groups;
mod health;
mod hold;
mod input;
mod leases;
mod locks;
mod may;
mod measures;
mod multi;
mod refuse;
mod semaphores;
mod watch;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post, put};

use crate::app::App;

/// Everything, for the Unix socket.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/locks", get(locks::list))
        .route("/v1/locks/{name}", get(locks::show).delete(locks::break_by_force))
        .route("/v1/locks/{name}/acquire", post(locks::acquire))
        .route("/v1/locks/{name}/hold", post(locks::hold))
        .route("/v1/locks/{name}/history", get(locks::history))
        .route("/v1/locks/{name}/watch", get(watch::one))
        .route("/v1/watch", get(watch::many))
        .route("/v1/semaphores/{name}", get(semaphores::show).delete(semaphores::break_by_force))
        .route("/v1/semaphores/{name}/acquire", post(semaphores::acquire))
        .route("/v1/semaphores/{name}/hold", post(semaphores::hold))
        .route("/v1/semaphores/{name}/history", get(semaphores::history))
        .route("/v1/semaphores/{name}/limit", put(semaphores::limit))
        .route("/v1/multi/acquire", post(multi::acquire))
        .route("/v1/multi/hold", post(multi::hold))
        .route("/v1/elections/{name}", get(elections::show).delete(elections::break_by_force))
        .route("/v1/elections/{name}/campaign", post(elections::campaign))
        .route("/v1/elections/{name}/hand-over", post(elections::hand_over))
        .route("/v1/elections/{name}/history", get(elections::history))
        .route("/v1/elections/{name}/ready", put(elections::ready))
        .route("/v1/elections/{name}/value", put(elections::value))
        .route("/v1/elections/{name}/watch", get(elections::watch))
        .route("/v1/groups/{name}", get(groups::show))
        .route("/v1/groups/{name}/barrier", get(groups::barrier))
        .route("/v1/groups/{name}/join", post(groups::join))
        .route("/v1/groups/{name}/value", put(groups::value))
        .route("/v1/groups/{name}/watch", get(groups::watch))
        .route("/v1/leases/{id}", get(leases::show).delete(leases::release))
        .route("/v1/leases/{id}/data/{key}", get(data::get).put(data::put).delete(data::delete))
        .route("/v1/leases/{id}/hand-over", post(leases::hand_over))
        .route("/v1/leases/{id}/renew", post(leases::renew))
        .route("/v1/leases/{id}/value", put(leases::value))
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
