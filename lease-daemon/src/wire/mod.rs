//! What travels over the socket, version 1: requests, answers and the events of a stream.
//!
//! Unknown fields in a request are refused, so that a misspelt `tll` is not a lock with the wrong TTL; unknown fields
//! in an answer must be ignored, so that a newer daemon may say more.

mod answers;
mod doctor;
mod events;
pub mod problem;
mod requests;
pub mod shapes;
pub mod span;
pub mod whole;

pub use answers::*;
pub use doctor::*;
pub use events::*;
pub use problem::{Code, Problem, Retry};
pub use requests::*;
pub use span::Span;

/// The header that carries the fencing token beside the body.
pub const FENCING_TOKEN: &str = "fencing-token";
/// The media type of streams: one JSON object a line.
pub const NDJSON: &str = "application/x-ndjson";
/// The media type of refusals.
pub const PROBLEM: &str = "application/problem+json";

#[cfg(test)]
mod props;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_of_requests_are_refused_and_of_answers_ignored() {
        let error = serde_json::from_str::<HoldRequest>(r#"{"tll":"5s"}"#).unwrap_err().to_string();
        assert!(error.contains("unknown field `tll`"), "{error}");
        let event = serde_json::from_str::<Event>(r#"{"event":"waiting","ahead":2,"new":1}"#).unwrap();
        assert_eq!(event, Event::Waiting { ahead: 2 });
        assert_eq!(serde_json::from_str::<Event>(r#"{"event":"new"}"#).unwrap(), Event::Unknown);
    }

    #[test]
    fn events_have_the_names_of_the_contract() {
        let lease = Lease {
            lease: "id".into(),
            what: Grant::One { name: "a".into(), token: 7, fence: None, member: None },
            ttl: Span::parse("20s").unwrap(),
            expires_in: Span::parse("19.8s").unwrap(),
            deadline_boottime_ns: 9,
            previous: None,
        };
        assert_eq!(
            serde_json::to_string(&Event::Held(lease)).unwrap(),
            r#"{"event":"held","lease":"id","name":"a","token":7,"ttl":"20s","expires_in":"19.8s","deadline_boottime_ns":9}"#
        );
    }
}
