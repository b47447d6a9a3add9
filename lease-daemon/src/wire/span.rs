//! Durations as people and programs write them: humantime strings such as `"15s"`, `"2m30s"` or `"19.8s"`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration on the wire: read by humantime, written in hours, minutes and decimal seconds (`"1h30m"`, `"19.8s"`),
/// which humantime and most other languages' parsers read back. Rounded down to a millisecond; longer ones are
/// written as that of 99,999,999 hours, since a record that somebody wrote by hand may have any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// More digits than any sensible duration has. Also keeps the parser's sums far from overflow.
const MAX_DIGITS: usize = 15;

/// The longest that is written: it still can be read back.
const LONGEST: Duration = Duration::from_secs(99_999_999 * 3600);

impl Span {
    /// Reads `text`.
    ///
    /// # Errors
    /// A sentence that names the text and how durations are written.
    pub fn parse(text: &str) -> Result<Span, String> {
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        let parsed = if digits > MAX_DIGITS { None } else { humantime::parse_duration(text).ok() };
        parsed.map(Span).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            format!("{shown:?} is not a duration; write a number with its unit, such as \"15s\", \"500ms\" or \"2m\"")
        })
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Span {
        Span(duration)
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Duration {
        span.0
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.min(LONGEST);
        let (whole, millis) = (shown.as_secs(), shown.subsec_millis());
        let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        match (seconds, millis) {
            (0, 0) if whole > 0 => Ok(()),
            (seconds, 0) => write!(f, "{seconds}s"),
            (seconds, millis) => write!(f, "{seconds}.{}s", format!("{millis:03}").trim_end_matches('0')),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Span;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration in quotes, such as \"15s\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                Span::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
#[path = "span_props.rs"]
mod props;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_spans_are_read_back() {
        for (millis, text) in [
            (0, "0s"),
            (20_000, "20s"),
            (19_800, "19.8s"),
            (50, "0.05s"),
            (90_000, "1m30s"),
            (3_600_000, "1h"),
            (86_400_000, "24h"),
            (3_661_001, "1h1m1.001s"),
        ] {
            let span = Span(Duration::from_millis(millis));
            assert_eq!(span.to_string(), text);
            assert_eq!(Span::parse(text), Ok(span));
        }
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for text in ["", "abc", "-1", "-1s", "5", "1 parsec", "18446744073709551615s 1000ms", "١s"] {
            let error = Span::parse(text).expect_err(text);
            assert!(error.contains(&format!("{text:?}")) && error.contains("15s"), "{error}");
        }
    }
}
