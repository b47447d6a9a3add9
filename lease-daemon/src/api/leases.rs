//! `/v1/leases/{id}`: looking at, renewing and giving back a lease.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::answer::fenced;
use super::input::{Input, LeaseId, Over};
use crate::app::App;
use crate::held::{Fate, Renewal};
use crate::holders;
use crate::wire::{Code, Nothing, Problem, Retry};

/// How it stands.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    LeaseId(id): LeaseId,
    Over(connection): Over,
) -> Result<Response, Problem> {
    let held = app.holders.find(&id, connection.peer.uid)?;
    Ok(fenced(held.token, &held.view()))
}

/// Renews it, and answers once the store has confirmed that.
pub(super) async fn renew(
    State(app): State<Arc<App>>,
    LeaseId(id): LeaseId,
    Over(connection): Over,
    Input(Nothing {}): Input<Nothing>,
) -> Result<Response, Problem> {
    let held = app.holders.find(&id, connection.peer.uid)?;
    match held.renew().await {
        Renewal::Confirmed => Ok(fenced(held.token, &held.view())),
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
    State(app): State<Arc<App>>,
    LeaseId(id): LeaseId,
    Over(connection): Over,
    Input(Nothing {}): Input<Nothing>,
) -> Result<Response, Problem> {
    let held = app.holders.release(&id, connection.peer.uid).await?;
    Ok(fenced(held.token, &held.view()))
}
