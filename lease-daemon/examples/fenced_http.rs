//! A service that refuses old tokens: a small store of documents over HTTP, written only by holders of a lock.
//!
//! ```text
//! cargo run -p lease-daemon --example fenced_http -- 127.0.0.1:8080 /var/lib/documents
//! curl -X PUT --data-binary 'hello' -H "Fencing-Token: $LEASE_TOKEN" http://127.0.0.1:8080/documents/greeting
//! ```
//!
//! What is to be learned from it is [`fence`], a middleware, and [`Documents::raise`], which it rests on:
//!
//! - **Where the highest token is kept.** In the document, on disk, never only in memory: a maximum in memory is lost
//!   with the process, and a service that has just started would take any old token. Deleting empties a document and
//!   keeps its token, for the same reason.
//! - **Checked and written in one.** A check, and then a write, lets a newer holder's write in between. So a resource is
//!   locked from before its token is compared until the answer is made. This is one process; where several serve the
//!   same documents, a lock in memory is not enough: compare in the store ([the SQL](../../lease-lib/src/docs/fencing.sql)).
//! - **A read with a token takes over**: from then on older tokens are refused, so what was read is still so when it is
//!   written back. A read without one is anybody's.
//! - **Bounds.** Memory does not grow with the number of documents: there are 64 locks, whatever is behind them. 256
//!   requests at once; bodies up to 64 KiB, read before the lock is taken, within 10 s. Bounding connections is left to
//!   what stands before it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path as PathOf, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router, routing};
use serde_json::json;
use tokio::sync::{Mutex, Semaphore};

const HEADER: &str = "fencing-token";
const MOST_REQUESTS: usize = 256;
const MOST_BYTES: usize = 64 * 1024;
const BODY_TIME: Duration = Duration::from_secs(10);
const LOCKS: usize = 64;
/// Tokens are below 2^53.
const TOO_HIGH: u64 = 1 << 53;

#[tokio::main]
async fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(address), Some(folder)) = (args.next(), args.next()) else {
        return Err(io::Error::other("usage: fenced_http ADDRESS FOLDER"));
    };
    let service = Arc::new(Service {
        documents: Documents { folder: folder.into() },
        locks: std::array::from_fn(|_| Mutex::new(())),
        requests: Arc::new(Semaphore::new(MOST_REQUESTS)),
    });
    let app = Router::new()
        .route("/documents/{id}", routing::get(read).put(write).delete(write))
        .route_layer(from_fn_with_state(Arc::clone(&service), fence))
        .with_state(service);
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app).await
}

struct Service {
    documents: Documents,
    /// Documents that share one wait for each other; their tokens are their own.
    locks: [Mutex<()>; LOCKS],
    requests: Arc<Semaphore>,
}

/// The token of this request, which is the highest that its document has seen.
#[derive(Clone, Copy)]
struct Fenced(u64);

/// The middleware: refuses a request whose token is lower than the highest that its document has seen.
async fn fence(
    State(service): State<Arc<Service>>,
    PathOf(id): PathOf<String>,
    request: Request,
    next: Next,
) -> Response {
    let Ok(permit) = Arc::clone(&service.requests).try_acquire_owned() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "256 requests are being served", None);
    };
    let token = match token(request.headers()) {
        Ok(Some(token)) => token,
        Ok(None) if request.method().is_safe() => return next.run(request).await,
        // Not 400: nothing is wrong with what was sent, it only must not be done without a condition (RFC 6585).
        Ok(None) => return problem(StatusCode::PRECONDITION_REQUIRED, "a Fencing-Token is required", None),
        Err(why) => return problem(StatusCode::BAD_REQUEST, why, None),
    };
    // Before the lock: whoever sends slowly shall keep nobody waiting.
    let (parts, body) = request.into_parts();
    let body = match tokio::time::timeout(BODY_TIME, to_bytes(body, MOST_BYTES)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return problem(StatusCode::PAYLOAD_TOO_LARGE, "at most 64 KiB", None),
        Err(_) => return problem(StatusCode::REQUEST_TIMEOUT, "the body did not arrive within 10 s", None),
    };
    let mut request = Request::from_parts(parts, Body::from(body));
    request.extensions_mut().insert(Fenced(token));

    // A task of its own: a client that hangs up ends this future, and the lock must not be given up in mid-write.
    let service = Arc::clone(&service);
    let served = tokio::spawn(async move {
        let _permit = permit;
        let _lock = match service.locks.get(stripe(&id)) {
            Some(lock) => lock.lock().await,
            None => return problem(StatusCode::INTERNAL_SERVER_ERROR, "no such lock", None),
        };
        match service.documents.raise(&id, token).await {
            Ok(highest) if highest > token => problem(
                StatusCode::CONFLICT,
                "the lease of this token was lost and a newer holder was here: stop",
                Some((token, highest)),
            ),
            Ok(_) => next.run(request).await,
            Err(error) => failed(&error),
        }
    });
    served.await.unwrap_or_else(|_| problem(StatusCode::INTERNAL_SERVER_ERROR, "it panicked", None))
}

/// Digits and nothing else, once. Anything that is not clearly a token is refused rather than guessed at.
fn token(headers: &HeaderMap) -> Result<Option<u64>, &'static str> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err("more than one Fencing-Token");
    }
    let text = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match text.and_then(|text| text.parse().ok()) {
        Some(token @ 1..TOO_HIGH) => Ok(Some(token)),
        _ => Err("a Fencing-Token is a number from 1 to 2^53 - 1"),
    }
}

fn stripe(id: &str) -> usize {
    let sum = id.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    sum % LOCKS
}

fn problem(status: StatusCode, detail: &str, tokens: Option<(u64, u64)>) -> Response {
    let mut body = json!({
        "type": "about:blank",
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": detail,
    });
    if let (Some((token, highest)), Some(body)) = (tokens, body.as_object_mut()) {
        body.extend([("token".to_owned(), token.into()), ("highest".to_owned(), highest.into())]);
    }
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}

fn failed(error: &io::Error) -> Response {
    match error.kind() {
        io::ErrorKind::InvalidInput => problem(StatusCode::BAD_REQUEST, &error.to_string(), None),
        _ => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string(), None),
    }
}

// The handlers know of tokens only that what they write carries one.

async fn read(State(service): State<Arc<Service>>, PathOf(id): PathOf<String>) -> Response {
    match service.documents.read(&id).await {
        Ok(Document { token: 0, .. }) => problem(StatusCode::NOT_FOUND, "no such document", None),
        Ok(document) => ([(HEADER, document.token.to_string())], document.value).into_response(),
        Err(error) => failed(&error),
    }
}

async fn write(
    State(service): State<Arc<Service>>,
    PathOf(id): PathOf<String>,
    Extension(Fenced(token)): Extension<Fenced>,
    method: Method,
    value: Bytes,
) -> Response {
    let value = if method == Method::DELETE { Vec::new() } else { value.into() };
    match service.documents.write(&id, Document { token, value }).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => failed(&error),
    }
}

/// One file for each: a line with the highest token that was seen, then the value.
struct Documents {
    folder: PathBuf,
}

struct Document {
    /// 0 where there is no such document.
    token: u64,
    value: Vec<u8>,
}

impl Documents {
    /// Raises the document's token to this one, on disk, and gives the highest that was seen. Call it under the lock.
    async fn raise(&self, id: &str, token: u64) -> io::Result<u64> {
        let document = self.read(id).await?;
        if document.token < token {
            self.write(id, Document { token, ..document }).await?;
        }
        Ok(document.token.max(token))
    }

    async fn read(&self, id: &str) -> io::Result<Document> {
        let path = self.path(id)?;
        aside(move || match fs::read(path) {
            Ok(bytes) => {
                let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the document has no token");
                let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(damaged)?;
                let (token, value) = bytes.split_at(end);
                let token = std::str::from_utf8(token).ok().and_then(|text| text.parse().ok());
                let value = value.get(1..).unwrap_or_default().to_vec();
                Ok(Document { token: token.ok_or_else(damaged)?, value })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Document { token: 0, value: Vec::new() })
            }
            // Unreadable is not absent: absent would let any token in.
            Err(error) => Err(error),
        })
        .await
    }

    /// Token and value together, or neither, also where the machine stops in between.
    async fn write(&self, id: &str, document: Document) -> io::Result<()> {
        let (folder, path) = (self.folder.clone(), self.path(id)?);
        aside(move || {
            let new = path.with_extension("new");
            fs::write(&new, [document.token.to_string().as_bytes(), b"\n", &document.value].concat())?;
            fs::File::open(&new)?.sync_all()?;
            fs::rename(&new, &path)?;
            fs::File::open(folder)?.sync_all()
        })
        .await
    }

    fn path(&self, id: &str) -> io::Result<PathBuf> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if id.is_empty() || id.len() > 100 || !id.bytes().all(allowed) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an id is 1 to 100 of A-Z a-z 0-9 - _"));
        }
        Ok(Path::new(&self.folder).join(id))
    }
}

/// Disks are slow, and others want the thread.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
