//! What every refusal looks like.

use support::Response;

/// Checks that `answer` is the problem `code`, complete and consistent, and gives its text.
#[track_caller]
pub fn expect(answer: &Response, status: u16, code: &str) -> String {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{text}");
    let problem = answer.json();
    assert_eq!(problem["code"], code, "{text}");
    assert_eq!(problem["status"], status, "{text}");
    assert_eq!(problem["type"], format!("urn:lease:problem:{code}"), "{text}");
    assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{text}");
    let retry = &problem["retry"];
    assert!(retry == "never" || retry == "now" || retry.is_u64(), "{text}");
    let detail = problem["detail"].as_str().unwrap_or_else(|| panic!("no detail: {text}"));
    assert!(!detail.is_empty(), "{text}");
    detail.to_owned()
}
