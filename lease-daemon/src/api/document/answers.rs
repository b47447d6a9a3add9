//! What the answers look like, by the way in which handlers make them: the counterpart of [`super::super::answer`].

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde_json::json;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::link::Link;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use crate::wire::shapes::{Revision, Token};
use crate::wire::{Lease, Lock, Locks, NDJSON};

type Responses = BTreeMap<String, RefOr<Response>>;

/// A JSON object.
pub(in crate::api) struct Json<T>(PhantomData<T>);

/// A JSON object, with the header that carries the fencing token where there is one.
pub(in crate::api) struct Fenced<T>(PhantomData<T>);

/// Lines of JSON, for as long as the connection stays.
pub(in crate::api) struct Lines<T>(PhantomData<T>);

/// A lease that was granted: its id is of use for other requests.
pub(in crate::api) struct Granted;

/// Locks, as one object or one a line.
pub(in crate::api) struct List;

/// A guarded value, as it was written.
pub(in crate::api) struct Guarded;

/// Metrics.
pub(in crate::api) struct Metrics;

/// The OpenAPI document.
pub(in crate::api) struct Document;

impl<T: ToSchema> IntoResponses for Json<T> {
    fn responses() -> Responses {
        ok(json::<T>("As asked."))
    }
}

impl<T: ToSchema> IntoResponses for Fenced<T> {
    fn responses() -> Responses {
        ok(fenced(json::<T>("As asked.")))
    }
}

impl IntoResponses for Granted {
    fn responses() -> Responses {
        let granted = fenced(json::<Lease>("Granted."));
        let links = ["leases_show", "leases_renew", "leases_release"].into_iter();
        let id = || Link::builder().parameter("id", "$response.body#/lease");
        ok(links.fold(granted, |granted, to| granted.link(to, id().operation_id(to).build())))
    }
}

impl<T: ToSchema> IntoResponses for Lines<T> {
    fn responses() -> Responses {
        let what = "A stream: one such object a line, until it is over or the client closes the connection.";
        ok(ResponseBuilder::new().description(what).content(NDJSON, content(named::<T>())))
    }
}

impl IntoResponses for List {
    fn responses() -> Responses {
        let lines = ContentBuilder::new().schema(Some(named::<Lock>())).build();
        ok(json::<Locks>("As one object, or, for whoever accepts it, one lock a line.")
            .content(NDJSON, lines))
    }
}

impl IntoResponses for Guarded {
    fn responses() -> Responses {
        let revision = HeaderBuilder::new().schema(Some(Revision::schema()));
        let revision = revision.description(Some("The revision of the write that made the value.")).build();
        let value = ResponseBuilder::new().description("The value, as it was written.");
        let value = value.content("application/octet-stream", ContentBuilder::new().build());
        ok(fenced(value).header("Lease-Revision", revision))
    }
}

impl IntoResponses for Metrics {
    fn responses() -> Responses {
        let text = ContentBuilder::new().schema(Some(String::schema())).build();
        let what = "In the text format of Prometheus.";
        ok(ResponseBuilder::new().description(what).content("text/plain", text))
    }
}

impl IntoResponses for Document {
    fn responses() -> Responses {
        let object = serde_json::from_value::<RefOr<utoipa::openapi::Schema>>(json!({ "type": "object" }));
        let document = ContentBuilder::new().schema(object.ok()).build();
        ok(ResponseBuilder::new().description("This document.").content("application/json", document))
    }
}

fn ok(response: ResponseBuilder) -> Responses {
    BTreeMap::from([("200".to_owned(), response.build().into())])
}

fn json<T: ToSchema>(what: &str) -> ResponseBuilder {
    ResponseBuilder::new().description(what).content("application/json", content(named::<T>()))
}

fn content(schema: Ref) -> utoipa::openapi::Content {
    ContentBuilder::new().schema(Some(schema)).build()
}

fn fenced(response: ResponseBuilder) -> ResponseBuilder {
    let token = HeaderBuilder::new().schema(Some(Token::schema()));
    let what = "The fencing token, where there is one for all that was granted.";
    response.header("Fencing-Token", token.description(Some(what)).build())
}

/// The schema of `T`, by its name.
pub(super) fn named<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}
