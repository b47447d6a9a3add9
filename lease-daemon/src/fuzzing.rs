//! What must hold of any bytes that come in: called by property tests, and by the fuzz targets in `tests/fuzz`. No
//! build that anybody uses contains this.

#![allow(clippy::panic, clippy::expect_used, reason = "this is a test")]

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use lease::{MAX_TTL, MIN_TTL, Space};

use crate::access::Access;
use crate::api;
use crate::app::App;
use crate::config::limits::Limits;
use crate::metrics::{Metrics, Named};
use crate::peer::{Connection, Peer};
use crate::policy::Policy;
use crate::wire::{Code, Event, Grant, Lease, PROBLEM, Problem, Span};

pub use crate::cli::fuzzing::{arguments, stream};

/// An answer of the daemon: of a stream, the first line.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The refusal that it is.
    pub(crate) fn problem(&self) -> Problem {
        serde_json::from_slice(&self.body).expect("a problem")
    }
}

/// How long an answer, or the first line of one, may take: some requests wait for what never happens here.
const PATIENCE: Duration = Duration::from_millis(500);

/// Asks a daemon that holds nothing, in this process. `None` if it is no request, or waits for something.
pub(crate) fn ask(method: &str, target: &str, body: &[u8]) -> Option<Answer> {
    static METRICS: OnceLock<Arc<Metrics>> = OnceLock::new();
    let request = Request::builder().method(method).uri(target);
    let peer = Peer { uid: 7, gid: 7, pid: Some(7), groups: Box::default() };
    let request = request.extension(Arc::new(Connection::new(peer)));
    let request = request.body(Body::from(body.to_vec())).ok()?;
    let metrics = METRICS.get_or_init(|| Arc::new(Metrics::new(Named::default()).expect("metrics")));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let answer = async {
        let app = Arc::new(App::new(
            "embedded",
            Access::new(Policy::default()),
            Limits::usual(),
            Arc::clone(metrics),
        ));
        app.open(Space::embedded());
        let answer = TowerToHyperService::new(api::router(app)).call(request).await.expect("an answer");
        let (head, mut body) = answer.into_parts();
        let body = match tokio::time::timeout(PATIENCE, body.frame()).await {
            Ok(Some(frame)) => frame.expect("a frame").into_data().unwrap_or_default(),
            Ok(None) | Err(_) => Bytes::new(),
        };
        Answer { status: head.status, headers: head.headers, body }
    };
    runtime.block_on(async { tokio::time::timeout(2 * PATIENCE, answer).await.ok() })
}

/// A request, `METHOD TARGET` in the first line and then the body: whatever it is, the answer is a grant within the
/// bounds, or a problem of the closed list; never a fault of the daemon.
pub fn request(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (head, body) = bytes.split_at(end);
    let Some((method, target)) = std::str::from_utf8(head).ok().and_then(|head| head.split_once(' ')) else {
        return;
    };
    if !target.starts_with('/') {
        return;
    }
    let Some(answer) = ask(method, target, body) else { return };
    let known = [200, 400, 404, 405, 409, 413];
    assert!(known.contains(&answer.status.as_u16()), "{}: {:?}", answer.status, answer.body);
    if answer.status.is_success() {
        granted(&answer);
    } else if method != "HEAD" {
        refused(&answer);
    }
}

/// What was granted is within the bounds.
fn granted(answer: &Answer) {
    let event = serde_json::from_slice::<Event>(&answer.body).ok();
    let lease = serde_json::from_slice::<Lease>(&answer.body).ok();
    let held = match event {
        Some(Event::Held(lease) | Event::Elected(lease) | Event::Joined(lease)) => Some(lease),
        _ => lease,
    };
    if let Some(lease) = held {
        for name in lease.what.to_string().split(", ") {
            lease::Name::new(name).expect("a lock with such a name is held");
        }
        let ttl = lease.ttl.0;
        assert!((MIN_TTL..=MAX_TTL).contains(&ttl), "{ttl:?}");
        let tokens = match lease.what {
            Grant::One { token, .. } => vec![token],
            Grant::All { tokens } => tokens.into_values().collect(),
        };
        assert!(lease.expires_in.0 <= ttl && tokens.iter().all(|token| (1..1 << 53).contains(token)));
    }
}

/// A refusal is a problem of the closed list that says something.
fn refused(answer: &Answer) {
    let problem = answer.problem();
    assert_eq!(problem.status, answer.status.as_u16());
    assert_eq!(problem.kind, format!("urn:lease:problem:{}", problem.code));
    assert!(problem.code != Code::Internal && !problem.detail.is_empty(), "{problem}");
    assert_eq!(answer.headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes()), Some(PROBLEM.as_bytes()));
    assert!(problem.code != Code::MethodNotAllowed || answer.headers.contains_key(ALLOW));
}

/// A duration as the wire has it: what is read can be written and read again; what is refused is named.
pub fn span(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Span::parse(&text) {
        Ok(span) => {
            assert!(text.bytes().any(|byte| byte.is_ascii_digit()), "{text:?} has no number");
            assert!(
                text == "0" || text.bytes().any(|byte| byte.is_ascii_alphabetic() || byte > 0x7f),
                "{text:?} has no unit"
            );
            let whole = Span(Duration::new(span.0.as_secs(), span.0.subsec_millis() * 1_000_000));
            let longest = Span(Duration::from_secs(99_999_999 * 3600));
            assert_eq!(Span::parse(&span.to_string()), Ok(whole.min(longest)), "{text:?} is written {span}");
        }
        Err(why) => {
            let start: String = text.chars().take(40).collect();
            assert!(why.starts_with(&format!("{start:?}")), "{why}");
        }
    }
}

#[cfg(test)]
mod tests {
    /// Runs a target over its seeds in `tests/fuzz`.
    fn replay(target: &str, judge: fn(&[u8])) {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/corpus");
        let seeds: Vec<_> = std::fs::read_dir(format!("{seeds}/{target}")).unwrap().collect();
        assert!(!seeds.is_empty(), "{target}");
        for seed in seeds {
            let seed = seed.unwrap().path();
            eprintln!("{}", seed.display());
            judge(&std::fs::read(seed).unwrap());
        }
    }

    #[test]
    fn seeds() {
        replay("request", super::request);
        replay("span", super::span);
        replay("arguments", super::arguments);
        replay("stream", super::stream);
    }
}
