//! `/v1/leases/{id}/data/{key}`: guarded values, which the store itself refuses once the grant has ended.
//!
//! Values travel as they are: the body of a `PUT` is the value, and so is that of the answer to a `GET`.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use lease::{MAX_GUARDED, Name};

use super::answer::leased;
use super::input::{Over, body_of, no_query};
use crate::app::App;
use crate::held::unknown_lease;
use crate::keeper::Order;
use crate::wire::{Code, FENCING_TOKEN, Problem};

/// The revision of the write that made the value.
const REVISION: HeaderName = HeaderName::from_static("lease-revision");

/// Lease and key, as they are in the path.
type Both = Result<Path<(String, String)>, axum::extract::rejection::PathRejection>;

fn parts(path: Both) -> Result<(String, String), Problem> {
    let Path((id, key)) = path.map_err(|_| unknown_lease())?;
    Name::new(key.clone())?;
    Ok((id, key))
}

/// Writes a value.
pub(super) async fn put(
    State(app): State<Arc<App>>,
    path: Both,
    Over(connection): Over,
    request: Request,
) -> Result<Response, Problem> {
    let (id, key) = parts(path)?;
    no_query(request.uri())?;
    let value = body_of(request.into_body(), MAX_GUARDED).await?;
    let held = app.holders.find(&id, connection.peer.uid)?;
    held.ask(|tell| Order::Put(key, value.into(), tell)).await?;
    Ok(leased(&held))
}

/// Deletes a value.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    path: Both,
    Over(connection): Over,
    request: Request,
) -> Result<Response, Problem> {
    let (id, key) = parts(path)?;
    no_query(request.uri())?;
    let held = app.holders.find(&id, connection.peer.uid)?;
    held.ask(|tell| Order::Delete(key, tell)).await?;
    Ok(leased(&held))
}

/// Reads a value, never one that is older than the grant. The header `Fencing-Token` has the token under which it was
/// written, `Lease-Revision` the revision.
pub(super) async fn get(
    State(app): State<Arc<App>>,
    path: Both,
    Over(connection): Over,
    request: Request,
) -> Result<Response, Problem> {
    let (id, key) = parts(path)?;
    no_query(request.uri())?;
    let held = app.holders.find(&id, connection.peer.uid)?;
    let shown = key.clone();
    let Some(found) = held.ask(|tell| Order::Get(key, tell)).await? else {
        return Err(Problem::new(
            Code::NotFound,
            format!("nothing was ever written to {shown}, or it was deleted"),
        ));
    };
    let mut answer = ([(CONTENT_TYPE, "application/octet-stream")], found.value).into_response();
    answer.headers_mut().insert(FENCING_TOKEN, HeaderValue::from(found.token.get()));
    answer.headers_mut().insert(REVISION, HeaderValue::from(found.revision));
    Ok(answer)
}
