//! Names in paths, with what the request needs to be allowed to do with them: a handler that takes one of these can be
//! reached by nobody else.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use lease::Name;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::input::{Named, Over};
use crate::app::App;
use crate::policy::Operation;
use crate::wire::Problem;

/// A name that the client may hold.
pub(super) struct MayHold(pub Name);
/// A name that the client may observe.
pub(super) struct MayObserve(pub Name);
/// A name whose grants the client may break.
pub(super) struct MayBreak(pub Name);

macro_rules! extract {
    ($($kind:ident: $operation:ident),*) => {$(
        impl FromRequestParts<Arc<App>> for $kind {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<$kind, Problem> {
                allowed(parts, app, Operation::$operation).await.map($kind)
            }
        }

        impl IntoParams for $kind {
            fn into_params(parameter_in: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                Named::into_params(parameter_in)
            }
        }
    )*};
}

extract!(MayHold: Hold, MayObserve: Observe, MayBreak: Break);

async fn allowed(parts: &mut Parts, app: &Arc<App>, operation: Operation) -> Result<Name, Problem> {
    let Named(name) = Named::from_request_parts(parts, app).await?;
    let Over(connection) = Over::from_request_parts(parts, app).await?;
    app.access.check(&connection.peer, operation, name.as_str())?;
    Ok(name)
}
