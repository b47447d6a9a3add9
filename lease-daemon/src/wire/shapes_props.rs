//! What the document says is taken, is taken: whatever fits a pattern is within the bounds.

use std::time::Duration;

use proptest::prelude::*;
use proptest::string::string_regex;

use super::*;

/// Texts that fit a pattern: the generator knows no anchors.
fn fitting(pattern: &str) -> impl Strategy<Value = String> + use<> {
    string_regex(pattern.trim_start_matches('^').trim_end_matches('$')).unwrap()
}

/// The same pattern, for texts that are certainly not too long.
fn short(pattern: &str) -> String {
    pattern.replace('+', "{1,9}").replace(")*", "){0,9}")
}

const DAY: Duration = Duration::from_secs(24 * 3600);

proptest! {
    #[test]
    fn durations_that_fit_are_within_bounds(ttl in fitting(TTL), wait in fitting(WAIT), grace in fitting(GRACE), beat in fitting(HEARTBEAT)) {
        let [ttl, wait, grace, beat] = [ttl, wait, grace, beat].map(|text| Span::parse(&text).unwrap_or_else(|why| panic!("{why}")).0);
        prop_assert!((Duration::from_secs(2)..=DAY).contains(&ttl), "{ttl:?}");
        prop_assert!((Duration::from_secs(1)..=DAY).contains(&beat), "{beat:?}");
        prop_assert!(wait <= 30 * DAY, "{wait:?}");
        prop_assert!(grace <= DAY && grace.subsec_nanos() == 0, "{grace:?}");
    }

    #[test]
    fn names_and_filters_that_fit_are_taken(name in fitting(&short(NAME)), filter in fitting(&short(FILTER))) {
        prop_assert!(lease::Name::new(name.as_str()).is_ok(), "{name}");
        prop_assert!(lease::Filter::new(filter.as_str()).is_ok(), "{filter}");
    }
}
