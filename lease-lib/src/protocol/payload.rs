//! What a holder, a candidate or a member has to say: JSON, kept as JSON, so that `nats kv get` shows it.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Error;

/// The most bytes of JSON: with all else that a record says, it is to fit into the smallest message that the bucket may be
/// set to take (64 KiB).
pub const MAX_PAYLOAD: usize = 32_768;
/// How deep it may be nested. A record with it must be read again, for which serde_json's limit is 128.
const DEEPEST: usize = 64;

/// A JSON text of at most 32 KiB and 64 levels, without needless blanks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Payload(String);

impl Payload {
    /// Anything that can be written as JSON.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] if it cannot, is longer than 32 KiB, or nested deeper than 64 levels.
    pub fn of(value: &impl Serialize) -> Result<Payload, Error> {
        let refused = |value: String| Error::InvalidSetting {
            setting: "value",
            value,
            allowed: format!("allowed is what JSON can say in {MAX_PAYLOAD} bytes"),
        };
        // By way of a value: whatever `serialize` does, the text is one that can be read again.
        let json = serde_json::to_value(value).map_err(|error| refused(format!("({error})")))?;
        if depth(&json) > DEEPEST {
            return Err(refused(format!("nested deeper than {DEEPEST} levels")));
        }
        let text = json.to_string();
        if text.len() > MAX_PAYLOAD {
            Err(refused(format!("of {} bytes", text.len())))
        } else {
            Ok(Payload(text))
        }
    }

    /// Reads it as what it was written from.
    ///
    /// # Errors
    /// Of serde, if it is something else.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn depth(json: &serde_json::Value) -> usize {
    // Level by level, as a text may be deep enough to exhaust the stack.
    let (mut level, mut deep) = (vec![json], 0);
    while !level.is_empty() {
        deep += 1;
        level = level
            .into_iter()
            .flat_map(|json| match json {
                serde_json::Value::Array(items) => items.iter().collect::<Vec<_>>(),
                serde_json::Value::Object(fields) => fields.values().collect(),
                _ => Vec::new(),
            })
            .collect();
    }
    deep
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        // It was made from a value that is not nested too deeply, so it can be read as one.
        let json: serde_json::Value = serde_json::from_str(&self.0).unwrap_or_default();
        json.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Payload, D::Error> {
        let json = serde_json::Value::deserialize(from)?;
        let text = json.to_string();
        if text.len() > MAX_PAYLOAD || depth(&json) > DEEPEST {
            return Err(D::Error::custom(format!("a value of {} bytes", text.len())));
        }
        Ok(Payload(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_json_within_json() {
        let payload = Payload::of(&serde_json::json!({"addr": "10.0.0.1:80", "weight": 3})).unwrap();
        let kept = serde_json::to_string(&payload).unwrap();
        assert_eq!(kept, r#"{"addr":"10.0.0.1:80","weight":3}"#);
        assert_eq!(serde_json::from_str::<Payload>(&kept).unwrap(), payload);
        assert_eq!(payload.read::<serde_json::Value>().unwrap()["weight"], 3);
        assert!(payload.read::<String>().is_err());
    }

    #[test]
    fn it_is_read_again_as_it_was() {
        let nested = |levels| (1..levels).fold(serde_json::json!(0.1), |inner, _| serde_json::json!([inner]));
        let payload = Payload::of(&nested(DEEPEST)).unwrap();
        let kept = serde_json::to_string(&payload).unwrap();
        assert_eq!(serde_json::from_str::<Payload>(&kept).unwrap(), payload);
        let error = Payload::of(&nested(DEEPEST + 1)).unwrap_err().to_string();
        assert!(error.contains("64 levels"), "{error}");
        for bits in (0..20_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
            let number = f64::from_bits(bits);
            if number.is_finite() {
                let kept = serde_json::to_string(&Payload::of(&number).unwrap()).unwrap();
                let read: f64 = serde_json::from_str::<Payload>(&kept).unwrap().read().unwrap();
                assert_eq!(read.to_bits(), bits, "{number:e}");
            }
        }
    }

    #[test]
    fn it_is_bounded_and_says_so() {
        assert!(Payload::of(&"x".repeat(MAX_PAYLOAD - 2)).is_ok());
        let error = Payload::of(&"x".repeat(MAX_PAYLOAD - 1)).unwrap_err().to_string();
        assert!(error.contains("32769 bytes"), "{error}");
        let long = serde_json::to_string(&"x".repeat(MAX_PAYLOAD)).unwrap();
        assert!(serde_json::from_str::<Payload>(&long).is_err());
    }
}
