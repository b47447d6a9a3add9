//! `DELETE …?token=T&reason=…`: breaking a grant by force, fenced by the token that was looked at.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::response::Response;
use lease::{Error, Lock, Token};
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::json;
use crate::peer::Peer;
use crate::wire::shapes;
use crate::wire::{Broken, Code, Problem};

/// The longest reason, in bytes: it is written into the record.
const MAX_REASON: usize = 1024;

/// The query.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Breaking {
    /// The token of the grant to break, as `GET` shows it.
    #[param(value_type = shapes::Token, required = true)]
    token: Option<u64>,
    /// Why, for its holder and for the history.
    #[param(value_type = shapes::Reason, required = false)]
    reason: Option<String>,
    /// Frees it at once, without waiting for its holder to stop: nothing but the token keeps that from going on.
    now: Option<bool>,
}

impl<S: Send + Sync> FromRequestParts<S> for Breaking {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Breaking, Problem> {
        let asked = Query::<Breaking>::try_from_uri(&parts.uri).map_err(|error| {
            let detail = format!("{}; known are: token, reason, now=true", error.body_text());
            Problem::new(Code::InvalidQuery, detail)
        })?;
        let Breaking { token, reason, .. } = &asked.0;
        if token.is_none() {
            let detail = "give token=T, the token of the grant to break: GET shows it";
            return Err(Problem::new(Code::InvalidQuery, detail));
        }
        if let Some(length) = reason.as_ref().map(String::len).filter(|length| *length > MAX_REASON) {
            let detail = format!("the reason has {length} bytes; allowed are {MAX_REASON}");
            return Err(Problem::new(Code::InvalidQuery, detail));
        }
        Ok(asked.0)
    }
}

impl Breaking {
    /// Breaks a grant of `lock`.
    pub(super) async fn carry_out(self, lock: &Lock, name: &str, peer: &Peer) -> Result<Response, Problem> {
        let Breaking { token, reason, now } = self;
        let (token, now) = (token.unwrap_or_default(), now.unwrap_or_default());
        let reason = reason.unwrap_or_else(|| format!("no reason was given by {}", peer.owner()));
        tracing::info!(name, token, reason, now, by = peer.owner(), "asked to break a grant by force");
        let broken = match lock.break_by_force(Token::new(token), &reason, now).await {
            // Nobody holds it alone: perhaps one of several readers has this token.
            Err(Error::TokenMismatch { current: None, .. }) if lock.kind() == "lock" => {
                lock.clone().shared().break_by_force(Token::new(token), &reason, now).await
            }
            outcome => outcome,
        };
        broken?;
        Ok(json(&Broken { name: name.to_owned(), token, now }))
    }
}
