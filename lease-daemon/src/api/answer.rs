//! Answers in JSON. Each ends with a line break, for people at a terminal.

use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::wire::FENCING_TOKEN;

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

/// `value` as the whole answer, with the header that carries the fencing token.
pub(super) fn fenced<T: Serialize>(token: u64, value: &T) -> Response {
    let mut answer = json(value);
    answer.headers_mut().insert(FENCING_TOKEN, HeaderValue::from(token));
    answer
}
