//! `/v1/leases/{id}`: looking at, renewing and giving back a lease.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};

use super::input::{Input, LeaseId, Over};
use crate::app::App;
use crate::held::{Fate, Renewal};
use crate::holders;
use crate::wire::{Code, FENCING_TOKEN, Nothing, Problem, Retry};

/// How it stands.
pub(super) async fn show(
    State(app): State<Arc<App>>, LeaseId(id): LeaseId, Over(connection): Over,
) -> Result<Response, Problem> {
    let held = app.holders.find(&id, connection.peer.uid)?;
    Ok(with_token(held.token, Json(held.view()).into_response()))
}

/// Renews it, and answers once the store has confirmed that.
pub(super) async fn renew(
    State(app): State<Arc<App>>, LeaseId(id): LeaseId, Over(connection): Over, Input(Nothing {}): Input<Nothing>,
) -> Result<Response, Problem> {
    let held = app.holders.find(&id, connection.peer.uid)?;
    match held.renew().await {
        Renewal::Confirmed => Ok(with_token(held.token, Json(held.view()).into_response())),
        Renewal::Over(Fate::Lost(loss)) => Err(holders::lost(&held.name, &loss)),
        Renewal::Over(Fate::Released) => Err(holders::unknown_lease()),
        Renewal::Pending => {
            let detail = "the store has not confirmed the renewal yet; it goes on, and until its deadline the lease stands";
            Err(Problem::new(Code::StoreUnreachable, detail).retry(Retry::Now))
        }
    }
}

/// Gives it back, and answers once the store has taken that.
pub(super) async fn release(
    State(app): State<Arc<App>>, LeaseId(id): LeaseId, Over(connection): Over, Input(Nothing {}): Input<Nothing>,
) -> Result<Response, Problem> {
    let held = app.holders.release(&id, connection.peer.uid).await?;
    Ok(with_token(held.token, Json(held.view()).into_response()))
}

/// The answer with the header that carries the fencing token.
pub(super) fn with_token(token: u64, mut answer: Response) -> Response {
    answer.headers_mut().insert(FENCING_TOKEN, HeaderValue::from(token));
    answer
}
