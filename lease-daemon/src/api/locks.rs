//! `GET /v1/locks` and `GET /v1/locks/{name}`: who holds what, and who waits.
//!
//! Looking decides nothing: what is shown may be some seconds old.

use std::pin::Pin;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt};
use lease::{Error, Seen};
use serde::Deserialize;

use super::answer::{fenced, json, line};
use super::input::{LockName, no_query};
use crate::app::App;
use crate::wire::{Code, Lock, NDJSON, Problem};

/// The query of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    filter: Option<String>,
}

/// One lock, held or not, with its line.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    LockName(name): LockName,
    uri: Uri,
) -> Result<Response, Problem> {
    no_query(&uri)?;
    let lock = Lock::seen(app.space()?.look(name.as_str()).await?, true);
    Ok(match lock.token {
        Some(token) => fenced(token, &lock),
        None => json(&lock),
    })
}

/// The locks that are held: as one JSON object, or one a line for whoever accepts `application/x-ndjson`. Either is
/// written while the store is read, so a list needs little memory however long it is; if the store stops answering
/// in the middle, the connection is closed before the list's end.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = Query::<Wanted>::try_from_uri(&uri).map_err(|error| {
        Problem::new(Code::InvalidQuery, format!("{}; known is: filter", error.body_text()))
    })?;
    let filter = wanted.0.filter.unwrap_or_else(|| ">".to_owned());
    let locks = app.space()?.list(&filter).map_err(|error| match error {
        Error::InvalidName { name, why } => {
            let detail =
                format!("invalid filter {name:?}: {why}; between dots also * for any, and > at the end");
            Problem::new(Code::InvalidFilter, detail)
        }
        error => Problem::from(error),
    })?;
    let mut locks = Box::pin(locks).fuse();
    // While nothing has been written, a store out of reach is still a plain refusal.
    let first = locks.next().await.transpose()?;
    let locks = stream::iter(first.map(Ok)).chain(locks).boxed();
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accepts.contains(NDJSON) {
        let lines = locks.map(|seen| Ok::<_, Error>(line(&Lock::seen(seen?, false))));
        return Ok(([(CONTENT_TYPE, NDJSON)], Body::from_stream(lines)).into_response());
    }
    let body = Body::from_stream(as_object(locks));
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

/// `{"locks":[…]}`, piece by piece.
fn as_object(
    locks: Pin<Box<dyn Stream<Item = Result<Seen, Error>> + Send>>,
) -> impl Stream<Item = Result<Bytes, Error>> + Send {
    let items = locks.enumerate().map(|(index, seen)| {
        let mut item = line(&Lock::seen(seen?, false));
        if index > 0 {
            item.insert(0, b',');
        }
        Ok(Bytes::from(item))
    });
    let open = stream::once(async { Ok(Bytes::from_static(b"{\"locks\":[")) });
    let close = stream::once(async { Ok(Bytes::from_static(b"]}\n")) });
    open.chain(items).chain(close)
}
