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
//!   GET    /v1/doctor     how the store is deployed          POST /v1/doctor/accept-regression
//!   GET    /healthz  /readyz  /metrics  /v1/openapi.json
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
mod doctor;
mod document;
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

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

pub use document::document;

/// Everything, for the Unix socket.
pub fn router(app: Arc<App>) -> Router {
    /// Made once: with each route comes its documentation.
    static ROUTER: LazyLock<Router<Arc<App>>> = LazyLock::new(everything);
    ROUTER.clone().with_state(app)
}

fn everything() -> Router<Arc<App>> {
    let (router, _) = routes().split_for_parts();
    router.fallback(refuse::not_found).method_not_allowed_fallback(refuse::method_not_allowed)
}

/// Every route with its documentation: what is not documented is not served.
fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(document::beginning())
        .routes(routes!(locks::list))
        .routes(routes!(locks::show, locks::break_by_force))
        .routes(routes!(locks::acquire))
        .routes(routes!(locks::hold))
        .routes(routes!(locks::history))
        .routes(routes!(watch::one))
        .routes(routes!(watch::many))
        .routes(routes!(semaphores::show, semaphores::break_by_force))
        .routes(routes!(semaphores::acquire))
        .routes(routes!(semaphores::hold))
        .routes(routes!(semaphores::history))
        .routes(routes!(semaphores::limit))
        .routes(routes!(multi::acquire))
        .routes(routes!(multi::hold))
        .routes(routes!(elections::show, elections::break_by_force))
        .routes(routes!(elections::campaign))
        .routes(routes!(elections::hand_over))
        .routes(routes!(elections::history))
        .routes(routes!(elections::ready))
        .routes(routes!(elections::value))
        .routes(routes!(elections::watch))
        .routes(routes!(groups::show))
        .routes(routes!(groups::barrier))
        .routes(routes!(groups::join))
        .routes(routes!(groups::value))
        .routes(routes!(groups::watch))
        .routes(routes!(leases::show, leases::release))
        .routes(routes!(data::get, data::put, data::delete))
        .routes(routes!(leases::hand_over))
        .routes(routes!(leases::renew))
        .routes(routes!(leases::value))
        .routes(routes!(doctor::examine))
        .routes(routes!(doctor::accept_regression))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(measures::metrics))
        .routes(routes!(document::show))
}

/// Nothing but metrics, for a TCP port.
pub fn metrics_router(app: Arc<App>) -> Router {
    Router::new()
        .route("/metrics", get(measures::metrics))
        .fallback(refuse::not_found)
        .method_not_allowed_fallback(refuse::method_not_allowed)
        .with_state(app)
}
