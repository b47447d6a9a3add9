//! Refusals: every problem as an answer, and the answers to paths and methods that do not exist.

use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use lease::Name;

use super::answer::line;
use crate::wire::{Code, PROBLEM, Problem, Retry};

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = (status, line(&self)).into_response();
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        if let Retry::After(millis) = self.retry {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(millis.div_ceil(1000)));
        }
        answer
    }
}

/// No such path.
pub(super) async fn not_found(uri: Uri) -> Problem {
    // One without a slash in front, as of CONNECT, has no path.
    let whole = uri.to_string();
    let path = if uri.path().is_empty() { &whole } else { uri.path() };
    let path: String = path.chars().take(200).collect();
    // The router takes an empty part of a path for no part at all.
    let kinds = ["/v1/locks/", "/v1/semaphores/", "/v1/elections/", "/v1/groups/"];
    if let Some(rest) = kinds.iter().find_map(|kind| path.strip_prefix(kind))
        && (rest.is_empty() || rest.starts_with('/'))
        && let Err(error) = Name::new("")
    {
        return Problem::from(error);
    }
    let detail =
        format!("there is nothing at {path}; in a name, / is written %2F, and the API is under /v1/");
    Problem::new(Code::NotFound, detail)
}

/// The path is there, the method does not fit it. The header `Allow` names those that do.
pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    let method: String = method.as_str().chars().take(20).collect();
    Problem::new(
        Code::MethodNotAllowed,
        format!("{method} is not allowed at {path}; the header Allow says what is"),
    )
}
