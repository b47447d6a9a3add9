//! Answers in JSON. Each ends with a line break, for people at a terminal.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{Stream, StreamExt};
use serde::Serialize;

use crate::held::Held;
use crate::wire::{FENCING_TOKEN, NDJSON};

/// `value`, as it is written on the wire.
pub(super) fn line<T: Serialize>(value: &T) -> Vec<u8> {
    // Everything on the wire is made of strings and numbers, which always encode.
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}

/// `value` as the whole answer.
pub(super) fn json<T: Serialize>(value: &T) -> Response {
    ([(CONTENT_TYPE, "application/json")], line(value)).into_response()
}

/// A lease as the whole answer, with the header that carries the fencing token, where there is one for all of it.
pub(super) fn leased(held: &Held) -> Response {
    match held.what.token() {
        Some(token) => fenced(token, &held.view()),
        None => json(&held.view()),
    }
}

/// Lines as they come: the answer of a stream, which ends when its client is gone.
pub(super) fn lines<T: Serialize>(events: impl Stream<Item = T> + Send + 'static) -> Response {
    let lines = events.map(|event| Ok::<_, Infallible>(line(&event)));
    let headers = [(CONTENT_TYPE, NDJSON), (CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(lines)).into_response()
}

/// `value` as the whole answer, with the header that carries the fencing token.
pub(super) fn fenced<T: Serialize>(token: u64, value: &T) -> Response {
    let mut answer = json(value);
    answer.headers_mut().insert(FENCING_TOKEN, HeaderValue::from(token));
    answer
}
