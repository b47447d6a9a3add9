//! `/v1/leases/{id}/data/{key}`: guarded values, which the store itself refuses once the grant has ended.
//!
//! Values travel as they are: the body of a `PUT` is the value, and so is that of the answer to a `GET`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use lease::{MAX_GUARDED, Name};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::answer::leased;
use super::document::answers::{Fenced, Guarded};
use super::document::refusals::{ALease, Absent, OfBody, OfKind, OfName, OfQuery, OfValue, Refused, Writing};
use super::input::{NoQuery, Over, body_of, in_path};
use crate::app::App;
use crate::held::{Held, unknown_lease};
use crate::keeper::Order;
use crate::peer::Connection;
use crate::policy::Operation;
use crate::wire::{Code, FENCING_TOKEN, Lease, Problem, shapes};

/// The revision of the write that made the value.
const REVISION: HeaderName = HeaderName::from_static("lease-revision");

/// A lease of the client's and a key, as they are in the path.
pub(super) struct Under {
    app: Arc<App>,
    connection: Arc<Connection>,
    held: Arc<Held>,
    key: String,
}

impl IntoParams for Under {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let key = in_path::<shapes::Name>("key", "The key: spelt like a name.");
        vec![in_path::<shapes::LeaseId>("id", "The lease's id."), key]
    }
}

impl FromRequestParts<Arc<App>> for Under {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Under, Problem> {
        let NoQuery = NoQuery::from_request_parts(parts, app).await?;
        let Over(connection) = Over::from_request_parts(parts, app).await?;
        let path = Path::<(String, String)>::from_request_parts(parts, app).await;
        let Path((id, key)) = path.map_err(|_| unknown_lease())?;
        Name::new(key.clone())?;
        let held = app.holders.find(&id, connection.peer.uid)?;
        Ok(Under { app: Arc::clone(app), connection, held, key })
    }
}

impl Under {
    /// The lease and the key, if the client may do this with a value of that name: the lease says nothing about it.
    fn to(self, operation: Operation) -> Result<(Arc<Held>, String), Problem> {
        self.app.access.check(&self.connection.peer, operation, &self.key)?;
        Ok((self.held, self.key))
    }
}

/// Writes a value.
#[utoipa::path(put, path = "/v1/leases/{id}/data/{key}", params(Under),
    request_body(content = String, content_type = "application/octet-stream"),
    responses(Fenced<Lease>, Refused<(OfName, OfBody, OfValue, ALease, OfKind, Writing)>))]
pub(super) async fn put(under: Under, value: Body) -> Result<Response, Problem> {
    let within = under.app.limits.body_within;
    let (held, key) = under.to(Operation::Hold)?;
    let value = body_of(value, MAX_GUARDED, within).await?;
    held.ask(|tell| Order::Put(key, value.into(), tell)).await?;
    Ok(leased(&held))
}

/// Deletes a value.
#[utoipa::path(delete, path = "/v1/leases/{id}/data/{key}", params(Under),
    responses(Fenced<Lease>, Refused<(OfName, OfQuery, ALease, OfKind, Writing)>))]
pub(super) async fn delete(under: Under) -> Result<Response, Problem> {
    let (held, key) = under.to(Operation::Hold)?;
    held.ask(|tell| Order::Delete(key, tell)).await?;
    Ok(leased(&held))
}

/// Reads a value, never one that is older than the grant. The header `Fencing-Token` has the token under which it was
/// written, `Lease-Revision` the revision.
#[utoipa::path(get, path = "/v1/leases/{id}/data/{key}", params(Under),
    responses(Guarded, Refused<((OfName, OfQuery, OfValue), ALease, OfKind, Absent, Writing)>))]
pub(super) async fn get(under: Under) -> Result<Response, Problem> {
    let (held, key) = under.to(Operation::Observe)?;
    let missing = format!("nothing was ever written to {key}, or it was deleted");
    let found = held.ask(|tell| Order::Get(key, tell)).await?;
    let found = found.ok_or_else(|| Problem::new(Code::NotFound, missing))?;
    let mut answer = ([(CONTENT_TYPE, "application/octet-stream")], found.value).into_response();
    answer.headers_mut().insert(FENCING_TOKEN, HeaderValue::from(found.token.get()));
    answer.headers_mut().insert(REVISION, HeaderValue::from(found.revision));
    Ok(answer)
}
