//! `GET /v1/openapi.json`: the OpenAPI document, made from the handlers, their types and the list of problems.
//!
//! ```text
//!   #[utoipa::path] of a handler ──┐
//!   ToSchema of what travels ──────┼─► OpenApiRouter ─► split into the router and the document ─► finished here
//!   Code, under its status ────────┘
//! ```
//!
//! The same document lies beside the daemon's sources, in `lease-daemon/openapi.json`.

pub(super) mod answers;
pub(super) mod bodies;
pub(super) mod refusals;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{
    Components, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required, Schema,
    ServerBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use super::input::NoQuery;
use crate::wire;
use crate::wire::Problem;
use crate::wire::shapes;
use answers::Document;
use refusals::{OfQuery, RETRY_AFTER, Refused, retry_after};

/// What the document says of the whole.
const ABOUT: &str = "Distributed locks, leases, elections, semaphores and groups for any language, over a Unix socket: \
`$LEASE_SOCKET`, else `$XDG_RUNTIME_DIR/lease.sock`, else `/run/lease/lease.sock`.

**Streams** are NDJSON: one JSON object a line. `hold`, `campaign` and `join` hold what they were granted for as long as \
the connection stays, and closing it, or one half of it, gives that back. Unknown events, and unknown fields in an \
answer, must be ignored.

**Requests**: unknown fields are refused. A body may be left out where it needs no field, and its media type does not \
matter.

**Refusals** are RFC 9457 problems with a `code` from a closed list and `retry`. A path that is not listed here is a 404 \
`not-found`, a method that is not listed a 405 `method-not-allowed` with the header `Allow`. `HEAD` is taken wherever \
`GET` is.";

/// The document as it is served.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| text(&document()));

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", operation_id = "openapi", responses(Document, Refused<OfQuery>))]
pub(super) async fn show(_: NoQuery) -> Response {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

/// The OpenAPI document of everything that the Unix socket offers.
pub fn document() -> OpenApi {
    let mut document = super::routes().into_openapi();
    for (path, item) in &mut document.paths.paths {
        operations(item).into_iter().for_each(|operation| finish(path, operation));
    }
    let components = document.components.get_or_insert_default();
    for (name, schema) in every_shape() {
        components.schemas.entry(name).or_insert(schema);
    }
    components.headers.insert(RETRY_AFTER.to_owned(), retry_after().into());
    components.schemas.values_mut().for_each(forget_what_is_never_sent);
    for path in document.paths.paths.values_mut() {
        for operation in operations(path) {
            body_may_be_absent(operation, components);
            name_refusals(operation, components);
        }
    }
    document
}

/// What the document begins with.
pub(super) fn beginning() -> OpenApi {
    let license = LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0"));
    let info = InfoBuilder::new()
        .title("lease")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license.build()));
    let server = ServerBuilder::new()
        .url("http://lease")
        .description(Some("Any host: the socket is what is connected to."));
    OpenApiBuilder::new().info(info).servers(Some([server.build()])).build()
}

/// `document` as it is written.
fn text(document: &OpenApi) -> String {
    // It is made of strings and numbers, which always encode.
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

fn operations(item: &mut PathItem) -> Vec<&mut Operation> {
    let PathItem { get, put, post, delete, .. } = item;
    [get, put, post, delete].into_iter().flatten().collect()
}

/// Gives an operation its tag, the resource, and an id of its own: several resources have a `hold`.
fn finish(path: &str, operation: &mut Operation) {
    let resource = path.strip_prefix("/v1/").and_then(|path| path.split('/').next());
    let resource = resource.filter(|resource| !resource.contains('.')).unwrap_or("daemon");
    operation.tags = Some(vec![resource.to_owned()]);
    if let Some(id) = &mut operation.operation_id {
        *id = format!("{resource}_{id}");
    }
}

/// What answers, parameters and refusals name, beside what the macros find by themselves.
fn every_shape() -> Vec<(String, RefOr<Schema>)> {
    let mut found = Vec::new();
    macro_rules! add {
        ($($shape:ty)*) => {$(
            found.push((<$shape>::name().into_owned(), <$shape>::schema()));
            <$shape>::schemas(&mut found);
        )*};
    }
    add!(Problem shapes::Name shapes::Filter shapes::LeaseId shapes::Token shapes::Reason shapes::After);
    add!(wire::Lease wire::Lock wire::Locks wire::Semaphore wire::Election wire::Group wire::History wire::Broken wire::Examination
        wire::Accepted);
    add!(wire::Event wire::Leading wire::Membership wire::Change wire::Health);
    found
}

/// An event of a newer daemon is something to be read, not sent.
fn forget_what_is_never_sent(schema: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::OneOf(events)) = schema {
        events.items.retain(|event| {
            let RefOr::T(Schema::Object(event)) = event else { return true };
            let Some(RefOr::T(Schema::Object(word))) = event.properties.get("event") else { return true };
            word.enum_values.as_ref().is_none_or(|words| !words.contains(&"unknown".into()))
        });
    }
}

/// Many requests are refused alike: each kind of refusal is described once, by its status and codes.
fn name_refusals(operation: &mut Operation, components: &mut Components) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(refusal) = response else { continue };
        let codes: Vec<_> = refusal.description.split('`').skip(1).step_by(2).collect();
        if status.starts_with(['4', '5']) {
            let name = format!("{status}-{}", codes.join("-"));
            let named = RefOr::Ref(Ref::from_response_name(&name));
            components.responses.insert(name, std::mem::replace(response, named));
        }
    }
}

/// A body without a required field may be left out.
fn body_may_be_absent(operation: &mut Operation, components: &Components) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    let schema = body.content.values().find_map(|content| match content {
        RefOr::T(content) => content.schema.as_ref(),
        RefOr::Ref(_) => None,
    });
    let Some(RefOr::Ref(named)) = schema else { return };
    let name = named.ref_location.rsplit('/').next().unwrap_or_default();
    if let Some(RefOr::T(Schema::Object(fields))) = components.schemas.get(name)
        && fields.required.is_empty()
    {
        body.required = Some(Required::False);
    }
}
