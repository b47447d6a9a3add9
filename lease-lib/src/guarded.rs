//! Guarded values: written under a lease, and refused by the store itself once that has ended.

use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::ambient::sleep_until;
use crate::error::Error;
use crate::keeper::Order;
use crate::lease::Lease;
use crate::name::Name;
use crate::protocol::{Guarded, MARKER_SECS, Outcome, Status, key};
use crate::store::{Body, Revision};
use crate::token::Token;

/// The longest guarded value, in bytes: as text with its envelope it stays below what a NATS server takes by default.
pub const MAX_GUARDED: usize = 524_288;
/// The pause before a value that changed while it was looked at is read again.
const PAUSE: Duration = Duration::from_millis(50);

/// A value that was written under a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuardedValue {
    /// The value.
    pub value: Bytes,
    /// The token of the grant under which it was written.
    pub token: Token,
    /// The revision of the write.
    pub revision: Revision,
}

/// How it is stored: JSON that `nats kv get` shows, with the value as it is where it is text.
#[derive(Debug, Serialize, Deserialize)]
struct Envelope {
    v: u32,
    token: Token,
    /// The record of the grant.
    under: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl Envelope {
    fn seal(token: Token, under: &str, value: &[u8]) -> Bytes {
        let (text, base64) = match std::str::from_utf8(value) {
            Ok(text) => (Some(text.to_owned()), None),
            Err(_) => (None, Some(BASE64.encode(value))),
        };
        let envelope = Envelope { v: 1, token, under: under.to_owned(), text, base64 };
        // A struct of strings and numbers always encodes.
        serde_json::to_vec(&envelope).unwrap_or_default().into()
    }

    fn open(text: &[u8]) -> Option<(Bytes, Token)> {
        let envelope: Envelope = serde_json::from_slice(text).ok().filter(|it: &Envelope| it.v == 1)?;
        let value = match (envelope.text, envelope.base64) {
            (Some(text), None) => Bytes::from(text),
            (None, Some(base64)) => Bytes::from(BASE64.decode(base64.as_bytes()).ok()?),
            _ => return None,
        };
        Some((value, envelope.token))
    }
}

impl Lease {
    /// Writes a value of at most 512 KiB under `key` (a name of its own, not the lock's), which the store takes only while
    /// this grant stands: once it has expired, was released, handed over or broken, it is refused, however late it
    /// arrives. No clock is involved.
    ///
    /// It is one atomic batch with a renewal, so it also renews. A lost answer is asked for again, and then what stands in
    /// the store must be read: should reads come from a server that was left behind meanwhile, renewals wait for that,
    /// and the lease may expire, early enough as always. Values are kept until they are overwritten or deleted.
    /// Whoever writes a key without a lease, or under another, is not refused: let one lock guard a key. Calls are served
    /// one after the other. Dropping the future does not take it back.
    ///
    /// ```
    /// # async fn run() -> Result<(), lease::Error> {
    /// let space = lease::Space::embedded();
    /// let lease = space.lock("import").acquire().await?;
    /// lease.put("import/position", "row 4711").await?;
    /// let position = lease.get("import/position").await?.expect("just written");
    /// assert_eq!((&position.value[..], position.token), (&b"row 4711"[..], lease.token()));
    /// lease.release().await?;
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidName`], [`Error::InvalidSetting`] if the value is too long, [`Error::TooMany`] if 64 such calls wait
    /// already: nothing was sent. [`Error::Lost`] if it was not written because the grant has ended. [`Error::Unknown`] if
    /// the lease ended before the store said whether it was written. [`Error::Denied`] if the store refuses the key.
    pub async fn put(&self, key: &str, value: impl AsRef<[u8]>) -> Result<(), Error> {
        let (key, value) = (data(key)?, value.as_ref());
        if value.len() > MAX_GUARDED {
            return Err(Error::InvalidSetting {
                setting: "value",
                value: format!("of {} bytes", value.len()),
                allowed: format!("allowed are {MAX_GUARDED} bytes"),
            });
        }
        let body = Body::Put(Envelope::seal(self.token(), self.record_key(), value));
        self.finish(Guarded::Put { key, body, ttl_secs: 0 }).await
    }

    /// Deletes a value, as [`Lease::put`] writes one.
    ///
    /// # Errors
    /// As [`Lease::put`].
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        let body = Body::Delete(Bytes::from_static(b"{}"));
        self.finish(Guarded::Put { key: data(key)?, body, ttl_secs: MARKER_SECS }).await
    }

    /// Reads a value, as it was at a moment after the call while this grant stood. `None` if there is none.
    ///
    /// What is read may be old; so it is proven, in one atomic batch with a renewal, that the key still has the revision
    /// that was read. It costs a read and a batch, and is repeated while others write the key.
    ///
    /// # Errors
    /// As [`Lease::put`]; and [`Error::InvalidSetting`] if what is there was not written by [`Lease::put`].
    pub async fn get(&self, key: &str) -> Result<Option<GuardedValue>, Error> {
        let name = data(key)?;
        let core = self.core();
        loop {
            // Unreadable says nothing; the lease bounds how long it is tried.
            if let Ok(entry) = core.asked("read", core.store.read(&name)).await {
                let revision = entry.as_ref().map_or(0, |entry| entry.revision);
                match self.guarded(Guarded::Unchanged { key: name.clone(), revision }).await? {
                    Outcome::Done => {
                        let Some((entry, value)) = entry.as_ref().and_then(|e| Some((e, e.value()?))) else {
                            return Ok(None);
                        };
                        let (value, token) = Envelope::open(value).ok_or_else(|| Error::InvalidSetting {
                            setting: "value",
                            value: format!("of {key}"),
                            allowed: "what is there was not written under a lease".into(),
                        })?;
                        return Ok(Some(GuardedValue { value, token, revision: entry.revision }));
                    }
                    Outcome::Changed => {}
                    outcome => return Err(self.refused(outcome)),
                }
            }
            if !matches!(self.status(), Status::Held | Status::Jeopardy) {
                return Err(self.why_not());
            }
            sleep_until(core.ambient.as_ref(), core.now() + PAUSE).await;
        }
    }

    async fn finish(&self, what: Guarded) -> Result<(), Error> {
        match self.guarded(what).await? {
            Outcome::Done => Ok(()),
            outcome => Err(self.refused(outcome)),
        }
    }

    async fn guarded(&self, what: Guarded) -> Result<Outcome, Error> {
        let (tell, told) = oneshot::channel();
        let before = self.core().guard.trust();
        let sent = self.order(Order::Guard(what, tell)).await;
        match told.await {
            // Not the store's word but the guard's, which refuses what was under way while the store was found to be
            // another, whatever became of it. The answer may well have said that it was written.
            Ok(Outcome::Refused) if sent && !self.core().guard.is_trusted(before) => Ok(Outcome::Unknown),
            Ok(outcome) if sent => Ok(outcome),
            _ if matches!(self.status(), Status::Held | Status::Jeopardy) => Err(Error::TooMany {
                what: "guarded writes of one lease at once",
                limit: crate::keeper::MOST_GUARDS,
            }),
            _ => Err(self.why_not()),
        }
    }

    fn refused(&self, outcome: Outcome) -> Error {
        match outcome {
            Outcome::Refused => Error::Denied("it takes no such value: too long, or not permitted".into()),
            Outcome::Not => self.why_not(),
            Outcome::Done | Outcome::Changed | Outcome::Unknown => {
                Error::Unknown("the lease ended before the store answered the guarded write")
            }
        }
    }
}

fn data(name: &str) -> Result<String, Error> {
    Name::new(name).map(|name| key::data(name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_come_back_as_they_were() {
        for value in [&b""[..], b"text", "\u{2028}\"\\".as_bytes(), b"\xff\x00\xfe", &[0x80; 1000]] {
            let sealed = Envelope::seal(Token::new(7), "lock.a", value);
            assert!(serde_json::from_slice::<serde_json::Value>(&sealed).is_ok(), "readable as JSON");
            assert_eq!(Envelope::open(&sealed), Some((Bytes::copy_from_slice(value), Token::new(7))));
        }
    }

    #[test]
    fn what_is_no_guarded_value_is_not_taken_for_one() {
        for text in [
            "",
            "{}",
            "text",
            r#"{"v":2,"token":1,"under":"x","text":"y"}"#,
            r#"{"v":1,"token":1,"under":"x"}"#,
        ] {
            assert_eq!(Envelope::open(text.as_bytes()), None, "{text}");
        }
        let bad = r#"{"v":1,"token":1,"under":"x","base64":"!"}"#;
        assert_eq!(Envelope::open(bad.as_bytes()), None);
    }
}
