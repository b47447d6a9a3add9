//! What a request brings along: names, ids and bodies, checked before anything is done.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::{CONTENT_ENCODING, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use http_body_util::BodyExt;
use lease::Name;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{Ref, Required};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::bound;
use crate::held;
use crate::peer::Connection;
use crate::wire::{Code, Problem, Span, shapes, whole};

/// How much of a body that is too long is read and thrown away, so that its sender gets to read the answer.
const MAX_DISCARD: usize = 4 * 1024 * 1024;
/// A body of unknown length is looked at so many times for whether its object is complete.
const MAX_LOOKS: usize = 64;

/// The name in the path.
pub(super) struct Named(pub Name);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Named, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Named(Name::new(name)?)),
            Err(rejection) => {
                Err(Problem::new(Code::InvalidName, format!("the name in the path: {rejection}")))
            }
        }
    }
}

impl IntoParams for Named {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![in_path::<shapes::Name>("name", "The name.")]
    }
}

/// A parameter in the path.
pub(super) fn in_path<T: ToSchema>(name: &str, what: &str) -> Parameter {
    let parameter =
        ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
    parameter.description(Some(what)).schema(Some(Ref::from_schema_name(T::name()))).build()
}

/// The lease's id in the path.
pub(super) struct LeaseId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for LeaseId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<LeaseId, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(id)| LeaseId(id)).map_err(|_| held::unknown_lease())
    }
}

impl IntoParams for LeaseId {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![in_path::<shapes::LeaseId>("id", "The lease's id.")]
    }
}

/// The connection that the request came over.
pub(super) struct Over(pub Arc<Connection>);

impl<S: Send + Sync> FromRequestParts<S> for Over {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Over, Problem> {
        let connection = parts.extensions.get::<Arc<Connection>>().cloned();
        connection.map(Over).ok_or_else(|| Problem::new(Code::Internal, "the connection's peer is not known"))
    }
}

/// A JSON body; an empty one counts as `{}`, and its media type does not matter. What is packed is refused.
pub(super) struct Input<T>(pub T);

impl<T: DeserializeOwned + Default> FromRequest<Arc<App>> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Input<T>, Problem> {
        no_query(request.uri())?;
        unpacked(request.headers())?;
        let limit = usize::try_from(app.limits.body_bytes).unwrap_or(usize::MAX);
        let body = in_time(object(request.into_body(), limit), app.limits.body_within).await?;
        match body.trim_ascii().first() {
            None => Ok(Input(T::default())),
            // serde would also take a list of the fields' values.
            Some(b'{') => serde_json::from_slice(&body).map(Input).map_err(|error| diagnose(&body, &error)),
            Some(_) => Err(match serde_json::from_slice::<Value>(&body) {
                Ok(_) => Problem::new(Code::InvalidBody, "the body must be a JSON object"),
                Err(error) => not_json(&error),
            }),
        }
    }
}

/// No query: it would have no meaning here.
pub(super) struct NoQuery;

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<NoQuery, Problem> {
        no_query(&parts.uri).map(|()| NoQuery)
    }
}

/// Refuses a query string where none has a meaning: `?ttl=5s` would otherwise be overlooked.
fn no_query(uri: &Uri) -> Result<(), Problem> {
    match uri.query() {
        None | Some("") => Ok(()),
        Some(query) => {
            let shown: String = query.chars().take(64).collect();
            let detail = format!("query {shown:?}: this path takes none; settings go into the body");
            Err(Problem::new(Code::InvalidQuery, detail))
        }
    }
}

/// Refuses what would have to be unpacked first. Of the codings of a transfer there is none but chunks.
fn unpacked(headers: &HeaderMap) -> Result<(), Problem> {
    let transfer = headers.get_all(TRANSFER_ENCODING).iter().filter(|coding| *coding != "chunked");
    let content = headers.get_all(CONTENT_ENCODING).iter().filter(|coding| *coding != "identity");
    match transfer.chain(content).next() {
        None => Ok(()),
        Some(coding) => {
            let detail =
                format!("the body is sent as {coding:?}: send it plain, with a length or once in chunks");
            Err(Problem::new(Code::InvalidBody, detail))
        }
    }
}

/// A body of at most `limit` bytes, that arrives in time.
pub(super) async fn body_of(body: Body, limit: usize, within: Span) -> Result<Vec<u8>, Problem> {
    in_time(read(body, limit, |_| None), within).await
}

/// A JSON object of at most `limit` bytes: the body, or the beginning of one whose rest are heartbeats.
async fn object(body: Body, limit: usize) -> Result<Vec<u8>, Problem> {
    let is_open = body.size_hint().exact().is_none();
    let mut looks = 0;
    let until = |bytes: &[u8]| {
        looks += 1;
        if is_open && looks <= MAX_LOOKS { promise(bytes) } else { None }
    };
    read(body, limit, until).await
}

/// Where the JSON object ends that promises heartbeats, if all of it is there.
fn promise(bytes: &[u8]) -> Option<usize> {
    let mut objects = serde_json::Deserializer::from_slice(bytes).into_iter::<BTreeMap<String, IgnoredAny>>();
    let fields = objects.next()?.ok()?;
    fields.contains_key("heartbeat").then(|| objects.byte_offset())
}

async fn in_time(
    reading: impl Future<Output = Result<Vec<u8>, Problem>>,
    within: Span,
) -> Result<Vec<u8>, Problem> {
    let read = tokio::time::timeout(within.0, reading).await;
    read.map_err(|_| {
        let detail = format!("the body did not arrive within {within}");
        Problem::new(Code::RequestTimeout, detail)
    })?
}

/// Reads a body to its end, or to where `until` says, which is asked after each part.
async fn read(
    mut body: Body,
    limit: usize,
    mut until: impl FnMut(&[u8]) -> Option<usize>,
) -> Result<Vec<u8>, Problem> {
    // One that announces more than is worth throwing away is not waited for.
    if body.size_hint().lower() > MAX_DISCARD as u64 {
        return Err(too_large(limit));
    }
    let mut bytes = Vec::new();
    let mut length = 0usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Problem::new(Code::InvalidBody, format!("the body could not be read: {error}"))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        length = length.saturating_add(data.len());
        if length <= limit {
            bytes.extend_from_slice(&data);
            if let Some(end) = until(&bytes) {
                bytes.truncate(end);
                return Ok(bytes);
            }
        } else if length > MAX_DISCARD {
            break;
        }
    }
    if length > limit { Err(too_large(limit)) } else { Ok(bytes) }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("at most {limit} bytes are read"))
}

/// Says what is wrong with a body, by the field if one of the known fields has the wrong type or value.
fn diagnose(body: &[u8], error: &serde_json::Error) -> Problem {
    let Ok(fields) = serde_json::from_slice::<BTreeMap<String, Value>>(body) else { return not_json(error) };
    for (field, code, allowed) in [
        ("ttl", Code::InvalidTtl, "allowed is 2s to 24h"),
        (
            "wait",
            Code::InvalidWait,
            "allowed is 0s to 30 days; left out, it waits as long as the connection stays",
        ),
        ("grace", Code::InvalidGrace, "allowed is 0s to 24h, in whole seconds"),
        ("heartbeat", Code::InvalidHeartbeat, "allowed is 1s to the ttl"),
    ] {
        if let Some(value) = fields.get(field)
            && let Err(error) = serde_json::from_value::<Option<Span>>(value.clone())
        {
            return Problem::new(code, format!("{field}: {error}; {allowed}"));
        }
    }
    for (field, code) in [("owner", Code::InvalidOwner), ("attempt", Code::InvalidAttempt)] {
        if fields.get(field).is_some_and(|value| !value.is_string() && !value.is_null()) {
            return Problem::new(code, format!("{field} must be a string"));
        }
    }
    if let Some(value) = fields.get("bind_pid")
        && serde_json::from_value::<Option<u32>>(value.clone()).is_err()
    {
        return bound::invalid(value);
    }
    if let Some(value) = fields.get("limit")
        && whole::whole::<_, u32>(value).is_err()
    {
        return Problem::new(Code::InvalidLimit, format!("limit {value}: allowed are 1 to 500"));
    }
    if let Some(value) = fields.get("names")
        && serde_json::from_value::<Option<Vec<String>>>(value.clone()).is_err()
    {
        return Problem::new(Code::InvalidNames, "names must be a list of 1 to 64 strings");
    }
    if let Some(value) = fields.get("metadata")
        && serde_json::from_value::<Option<BTreeMap<String, String>>>(value.clone()).is_err()
    {
        return Problem::new(Code::InvalidMetadata, "metadata must be an object whose values are strings");
    }
    Problem::new(Code::InvalidBody, error.to_string())
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::new(Code::InvalidBody, format!("the body is not JSON: {error}"))
}
