//! What a holder, a candidate or a member has to say: JSON, kept as JSON, so that `nats kv get` shows it.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Error;

/// The most bytes of JSON.
pub const MAX_PAYLOAD: usize = 65_536;

/// A JSON text of at most 64 KiB, without needless blanks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Payload(String);

impl Payload {
    /// Anything that can be written as JSON.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] if it cannot, or is longer than 64 KiB.
    pub fn of(value: &impl Serialize) -> Result<Payload, Error> {
        let refused = |value: String| Error::InvalidSetting {
            setting: "value",
            value,
            allowed: format!("allowed is what JSON can say in {MAX_PAYLOAD} bytes"),
        };
        // By way of a value: whatever `serialize` does, the text is one that can be read again.
        let json = serde_json::to_value(value).map_err(|error| refused(format!("({error})")))?;
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

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        // It was made from a value, so it can be read as one.
        let json: serde_json::Value = serde_json::from_str(&self.0).unwrap_or_default();
        json.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Payload, D::Error> {
        let text = serde_json::Value::deserialize(from)?.to_string();
        if text.len() > MAX_PAYLOAD {
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
    fn it_is_bounded_and_says_so() {
        assert!(Payload::of(&"x".repeat(MAX_PAYLOAD - 2)).is_ok());
        let error = Payload::of(&"x".repeat(MAX_PAYLOAD - 1)).unwrap_err().to_string();
        assert!(error.contains("65537 bytes"), "{error}");
        let long = serde_json::to_string(&"x".repeat(MAX_PAYLOAD)).unwrap();
        assert!(serde_json::from_str::<Payload>(&long).is_err());
    }
}
