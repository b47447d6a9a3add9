//! Durations on the command line: a bare number is seconds, as in flock(1), anything else is read by humantime.

use std::time::Duration;

use lease::{MAX_TTL, MIN_TTL};

use crate::wire::Span;

/// The longest wait: the same as the socket's.
const MAX_WAIT: Duration = Duration::from_secs(30 * 24 * 3600);

/// `--ttl`.
pub(super) fn ttl(text: &str) -> Result<Duration, String> {
    let ttl = read(text)?;
    let allowed = format!("allowed is {} to {}", Span(MIN_TTL), Span(MAX_TTL));
    if (MIN_TTL..=MAX_TTL).contains(&ttl) { Ok(ttl) } else { Err(allowed) }
}

/// `-w`.
pub(super) fn wait(text: &str) -> Result<Duration, String> {
    let wait = read(text)?;
    if wait <= MAX_WAIT {
        Ok(wait)
    } else {
        Err("allowed is 0 to 30days; leave it out to wait without limit".into())
    }
}

/// `--kill-after`: what is allowed depends on the ttl, so only the form is checked here.
pub(super) fn kill_after(text: &str) -> Result<Duration, String> {
    read(text)
}

fn read(text: &str) -> Result<Duration, String> {
    const FORM: &str = "write seconds (`10`, `0.5`) or a number with its unit (`500ms`, `2m`, `1h 30m`)";
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let bare = digits > 0 && text.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    let read = match bare {
        // Longer ones could be rounded to something that was not meant.
        _ if digits > 15 => None,
        true => text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        false => humantime::parse_duration(text).ok(),
    };
    read.ok_or_else(|| FORM.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_is_seconds() {
        for (text, millis) in
            [("10", 10_000), ("0", 0), ("0.5", 500), (".25", 250), ("3.", 3_000), ("007", 7_000)]
        {
            assert_eq!(read(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for (text, millis) in [("500ms", 500), ("2m", 120_000), ("1h 30m", 5_400_000), ("1m30s", 90_000)] {
            assert_eq!(read(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "abc",
            "-1",
            "-1s",
            "1.2.3",
            ".",
            "1e3",
            "inf",
            "nan",
            "1 parsec",
            "1234567890123456",
            "1s junk",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn bounds() {
        for text in ["2", "24h", "20s", "86400"] {
            assert!(ttl(text).is_ok(), "{text}");
        }
        for text in ["0s", "1s", "500ms", "1y", "1.999", "86401"] {
            assert!(ttl(text).unwrap_err().contains("allowed is 2s to 24h"), "{text}");
        }
        assert!(wait("0").is_ok() && wait("30days").is_ok() && wait("31days").is_err());
    }
}
