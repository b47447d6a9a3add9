//! Whole numbers as JSON has them: `4.0` is one, and some languages write `4` so.

use serde::{Deserialize, Deserializer, de};
use serde_json::Number;

/// Reads a whole number, or `null` for none.
///
/// # Errors
/// If it is another number, out of the range of `T`, or none.
pub fn whole<'de, D: Deserializer<'de>, T: TryFrom<i64>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(deserializer)? else { return Ok(None) };
    let whole = number.as_i64().or_else(|| number.as_f64().and_then(exactly));
    let fits = whole.and_then(|whole| T::try_from(whole).ok());
    fits.map(Some).ok_or_else(|| de::Error::custom(format!("{number} is out of range, or not whole")))
}

/// As [`whole`], for what cannot be left out.
///
/// # Errors
/// As [`whole`], and for `null`.
pub fn required<'de, D: Deserializer<'de>, T: TryFrom<i64>>(deserializer: D) -> Result<T, D::Error> {
    whole(deserializer)?.ok_or_else(|| de::Error::custom("it is null"))
}

/// The whole number that `float` is, below 2^53.
fn exactly(float: f64) -> Option<i64> {
    const MOST: f64 = 9_007_199_254_740_992.0;
    // Within these bounds every whole number is exact.
    (float.fract() == 0.0 && float.abs() < MOST).then_some(float as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<i32>, String> {
        whole(&mut serde_json::Deserializer::from_str(text)).map_err(|error| error.to_string())
    }

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        for (text, number) in [("4", 4), ("4.0", 4), ("-0.0", 0), ("1e3", 1000), ("-2147483648", i32::MIN)] {
            assert_eq!(read(text), Ok(Some(number)), "{text}");
        }
        assert_eq!(read("null"), Ok(None));
        for text in ["4.5", "2147483648", "1e300", "18446744073709551616", "\"4\"", "true", "[4]"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
