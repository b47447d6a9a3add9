//! Settings that must not be seen: in no log, in no `--check`.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// What is shown instead.
const MASK: &str = "***";

/// A setting that nothing shows.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for whom it is meant.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

/// URLs, with commas between several, with what stands before an `@` masked: a password or a token may be there.
pub fn mask_urls(urls: &str) -> String {
    let mask = |url: &str| match url.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.rsplit_once('@').map(|(_, host)| host);
            host.map_or_else(|| url.to_owned(), |host| format!("{scheme}://{MASK}@{host}"))
        }
        None => url.rsplit_once('@').map_or_else(|| url.to_owned(), |(_, host)| format!("{MASK}@{host}")),
    };
    urls.split(',').map(mask).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_secret_is_shown() {
        let secret = Secret::from("hunter2");
        assert_eq!(format!("{secret:?} {}", serde_json::to_string(&secret).unwrap()), r#"*** "***""#);
        assert_eq!(secret.reveal(), "hunter2");
    }

    #[test]
    fn credentials_in_urls_are_masked() {
        for (url, shown) in [
            ("nats://me:hunter2@a:4222,tls://b", "nats://***@a:4222,tls://b"),
            ("token@host:1", "***@host:1"),
            ("nats://p@ss@host", "nats://***@host"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(mask_urls(url), shown);
        }
    }
}
