//! Durations on the wire.

use proptest::prelude::*;

use super::*;
use crate::fuzzing;

proptest! {
    #[test]
    fn every_span_is_read_back_to_the_millisecond_and_up_to_the_longest(seconds in prop_oneof![0..100_000_u64, any::<u64>()], nanos in 0..1_000_000_000_u32) {
        let span = Span(Duration::new(seconds, nanos));
        let whole = Span(Duration::new(seconds, nanos / 1_000_000 * 1_000_000).min(LONGEST));
        prop_assert_eq!(Span::parse(&span.to_string()), Ok(whole), "{}", span);
        let json = serde_json::to_string(&span).unwrap();
        prop_assert_eq!(serde_json::from_str::<Span>(&json).unwrap(), whole);
    }

    #[test]
    fn a_number_and_its_unit_are_so_much(number in 0..1_000_000_u64, fraction in 0..1_000_u64, unit in 0..5_usize) {
        let (unit, millis) = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)][unit];
        prop_assert_eq!(Span::parse(&format!("{number}{unit}")), Ok(Span(Duration::from_millis(number * millis))));
        if unit == "s" {
            let exact = Span(Duration::from_millis(number * 1_000 + fraction));
            prop_assert_eq!(Span::parse(&format!("{number}.{fraction:03}s")), Ok(exact));
        }
    }

    /// Also where the sum of its parts is more than any duration, which humantime itself does not survive.
    #[test]
    fn what_has_too_many_digits_is_refused(digits in "[0-9]{16,40}", unit in "(ns|us|ms|s|m|h|d|w|month|y)?", more in 0..3_000_u64) {
        for text in [format!("{digits}{unit}"), format!("{}s {more}ms", u64::MAX - more % 3)] {
            let why = Span::parse(&text).expect_err(&text);
            prop_assert!(why.contains("15s"), "{}", why);
        }
    }

    /// The most digits that are read: too much is refused, and nothing wraps.
    #[test]
    fn fifteen_digits_never_wrap(digits in "[1-9][0-9]{14}", unit in "(ns|us|ms|s|m|h|d|w|month|y)") {
        if let Ok(Span(read)) = Span::parse(&format!("{digits}{unit}")) {
            prop_assert!(read.as_nanos() >= 100_000_000_000_000, "{digits}{unit} is {:?}", read);
        }
    }

    #[test]
    fn what_is_only_like_a_number_is_refused(
        text in "(nan|NaN|inf|-inf|infinity|1e9|0x10|-|\\+)?[0-9]{0,3}",
        unit in "(s|ms)?",
    ) {
        let text = text + unit.as_str();
        // A nought needs no unit.
        let good = text == "0" || !unit.is_empty() && text.len() > unit.len() && text[..text.len() - unit.len()].bytes().all(|c| c.is_ascii_digit());
        prop_assert_eq!(Span::parse(&text).is_ok(), good, "{}", text);
    }

    #[test]
    fn only_text_is_a_duration(number in any::<f64>(), list in any::<bool>()) {
        let json = if list { format!("[{number:?}]") } else { serde_json::json!(number).to_string() };
        prop_assert!(serde_json::from_str::<Span>(&json).is_err());
    }

    #[test]
    fn whatever_is_given_is_read_or_named(text in any::<String>(), like in "[0-9. ]{0,9}[hmsdywu ]{0,3}([0-9. ]{1,9}[a-zµ]{0,5}){0,2}") {
        fuzzing::span(text.as_bytes());
        fuzzing::span(like.as_bytes());
    }
}
