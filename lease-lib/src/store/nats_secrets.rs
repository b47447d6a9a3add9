//! How to be let in: what a user gave, and what of it goes into one connection.
//!
//! Files are read for each connection, since passwords and credentials are renewed while processes run. What was read
//! is shown nowhere.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use nkeys::{KeyPair, KeyPairType};
use serde::Deserialize;

use crate::error::Error;

/// More than any file with credentials or certificates has; more of one is not read.
const LONGEST_FILE: u64 = 1024 * 1024;

/// How to be let in, as it was given.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Secrets {
    pub user: Option<String>,
    pub password: Option<String>,
    pub password_file: Option<PathBuf>,
    pub token: Option<String>,
    pub token_file: Option<PathBuf>,
    pub credentials_file: Option<PathBuf>,
    pub nkey_seed: Option<String>,
    pub nkey_file: Option<PathBuf>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masked = |secret: &Option<String>| secret.as_ref().map(|_| "***");
        f.debug_struct("Secrets")
            .field("user", &self.user)
            .field("password", &masked(&self.password))
            .field("password_file", &self.password_file)
            .field("token", &masked(&self.token))
            .field("token_file", &self.token_file)
            .field("credentials_file", &self.credentials_file)
            .field("nkey_seed", &masked(&self.nkey_seed))
            .field("nkey_file", &self.nkey_file)
            .finish()
    }
}

/// What one connection is opened with.
#[derive(Clone)]
pub(super) enum Login {
    /// Nothing: the server may let in anybody, or know the client by its TLS certificate.
    Nobody,
    /// A user and a password.
    User(String, String),
    /// A token.
    Token(String),
    /// The seed of an NKey.
    Nkey(String),
    /// The text of a `.creds` file.
    Credentials(String),
}

/// A login, and who that is for people: without any secret.
pub(super) struct Opened {
    pub login: Login,
    pub who: String,
}

pub(super) fn invalid(setting: &'static str, value: impl Into<String>, allowed: impl Into<String>) -> Error {
    Error::InvalidSetting { setting, value: value.into(), allowed: allowed.into() }
}

impl Secrets {
    /// Whether they make sense together.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`], without the secrets.
    pub(super) fn check(&self) -> Result<(), Error> {
        let both = |what, one: bool, file: bool| {
            if one && file {
                Err(invalid("NATS credentials", format!("{what} and a file with it"), "give one of the two"))
            } else {
                Ok(())
            }
        };
        both("a password", self.password.is_some(), self.password_file.is_some())?;
        both("a token", self.token.is_some(), self.token_file.is_some())?;
        both("an nkey seed", self.nkey_seed.is_some(), self.nkey_file.is_some())?;
        let has_password = self.password.is_some() || self.password_file.is_some();
        if has_password && self.user.is_none() {
            return Err(invalid("NATS credentials", "a password without a user", "give the user as well"));
        }
        let ways = [
            ("a user", self.user.is_some()),
            ("a token", self.token.is_some() || self.token_file.is_some()),
            ("a credentials file", self.credentials_file.is_some()),
            ("an nkey", self.nkey_seed.is_some() || self.nkey_file.is_some()),
        ];
        let given: Vec<&str> = ways.iter().filter(|(_, is_given)| *is_given).map(|(way, _)| *way).collect();
        if given.len() > 1 {
            return Err(invalid("NATS credentials", given.join(" and "), "give one way to log in"));
        }
        Ok(())
    }

    /// Reads what goes into the next connection. `now` is the unix time in seconds.
    ///
    /// # Errors
    /// [`Error::Denied`], naming the file that is of no use.
    pub(super) async fn open(&self, now: u64) -> Result<Opened, Error> {
        let secrets = self.clone();
        // A file may lie on a disk that hangs. Lost: the task is only cancelled when the runtime ends.
        let opened = tokio::task::spawn_blocking(move || secrets.open_now(now)).await;
        opened.unwrap_or_else(|_| Err(Error::Denied("the credentials were not read: shutting down".into())))
    }

    fn open_now(&self, now: u64) -> Result<Opened, Error> {
        if let Some(user) = &self.user {
            let password = given(self.password.as_ref(), self.password_file.as_deref(), "password")?;
            let login = Login::User(user.clone(), password.unwrap_or_default());
            return Ok(Opened { login, who: format!("user {user:?}") });
        }
        if let Some(token) = given(self.token.as_ref(), self.token_file.as_deref(), "token")? {
            let of = self.token_file.as_ref().map(|file| format!(" of {}", file.display()));
            return Ok(Opened {
                login: Login::Token(token),
                who: format!("the token{}", of.unwrap_or_default()),
            });
        }
        if let Some(seed) = given(self.nkey_seed.as_ref(), self.nkey_file.as_deref(), "nkey seed")? {
            let of = self.nkey_file.as_ref().map(|file| format!(" of {}", file.display()));
            let of = of.unwrap_or_default();
            let key = user_key(&seed).ok_or_else(|| {
                Error::Denied(format!("the nkey seed{of} is none of a user: such a seed begins with SU"))
            })?;
            let seed = key.seed().map_err(|error| Error::Denied(format!("the nkey seed{of}: {error}")))?;
            return Ok(Opened { login: Login::Nkey(seed), who: format!("nkey {}{of}", key.public_key()) });
        }
        if let Some(file) = &self.credentials_file {
            let text = read(file, "credentials")?;
            let shown = file.display();
            if user_key(&text).is_none() {
                let why = format!("{shown} is no credentials file: it needs a user's JWT and seed (SU...)");
                return Err(Error::Denied(why));
            }
            let who =
                format!("the credentials of {shown}{}", claims(&text).map_or("".into(), |c| c.who(now)));
            return Ok(Opened { login: Login::Credentials(text), who });
        }
        Ok(Opened { login: Login::Nobody, who: "a client without credentials".into() })
    }
}

/// A secret that was given itself, or in a file.
fn given(secret: Option<&String>, file: Option<&Path>, what: &str) -> Result<Option<String>, Error> {
    match (secret, file) {
        (Some(secret), _) => Ok(Some(secret.clone())),
        (None, Some(file)) => {
            let text = read(file, what)?;
            let secret = text.trim_end_matches(['\r', '\n']);
            if secret.is_empty() {
                return Err(Error::Denied(format!("the {what} file {} is empty", file.display())));
            }
            Ok(Some(secret.to_owned()))
        }
        (None, None) => Ok(None),
    }
}

/// The text of a small file.
pub(super) fn read(file: &Path, what: &str) -> Result<String, Error> {
    let unread = |why: &dyn fmt::Display| {
        Error::Denied(format!("the {what} file {} is of no use: {why}", file.display()))
    };
    let mut text = Vec::new();
    let reading =
        std::fs::File::open(file).and_then(|open| open.take(LONGEST_FILE + 1).read_to_end(&mut text));
    reading.map_err(|error| unread(&error))?;
    if text.len() as u64 > LONGEST_FILE {
        return Err(unread(&"it is longer than 1 MiB"));
    }
    String::from_utf8(text).map_err(|_| unread(&"it is no text"))
}

/// The first seed of a user in a text, whatever stands around it.
fn user_key(text: &str) -> Option<KeyPair> {
    let seed = text.split_whitespace().find(|word| word.starts_with("SU"))?;
    KeyPair::from_seed(seed).ok().filter(|key| key.key_pair_type() == KeyPairType::User)
}

/// What a user's JWT says of itself. That it says so proves nothing: the server decides.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    exp: u64,
}

impl Claims {
    fn who(&self, now: u64) -> String {
        let key: String = self.sub.chars().filter(char::is_ascii_alphanumeric).take(56).collect();
        let expired = if (1..=now).contains(&self.exp) {
            let ago = humantime::format_duration(Duration::from_secs(now - self.exp));
            format!(", which expired {ago} ago")
        } else {
            String::new()
        };
        format!(" (user {key}{expired})")
    }
}

fn claims(text: &str) -> Option<Claims> {
    // The header of every JWT begins so: `{"`.
    let jwt = text.split_whitespace().find(|word| word.starts_with("eyJ"))?;
    let body = BASE64URL_NOPAD.decode(jwt.split('.').nth(1)?.as_bytes()).ok()?;
    serde_json::from_slice(&body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(secrets: &Secrets) -> String {
        secrets.check().err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn one_way_at_a_time() {
        let some = || Some("s3cret".to_owned());
        let user = Secrets { user: Some("alice".into()), ..Secrets::default() };
        assert_eq!(why(&Secrets::default()), "");
        assert_eq!(why(&Secrets { password: some(), ..user.clone() }), "");
        for (bad, words) in [
            (Secrets { password: some(), ..Secrets::default() }, "a password without a user"),
            (Secrets { token: some(), ..user.clone() }, "a user and a token"),
            (Secrets { nkey_seed: some(), token: some(), ..Secrets::default() }, "a token and an nkey"),
            (Secrets { password: some(), password_file: Some("p".into()), ..user.clone() }, "a file with it"),
            (Secrets { credentials_file: Some("c".into()), ..user }, "a user and a credentials file"),
        ] {
            let said = why(&bad);
            assert!(said.contains(words) && !said.contains("s3cret"), "{said}");
        }
    }

    #[test]
    fn seeds_are_found_whatever_stands_around_them() {
        let key = KeyPair::new_user();
        let seed = key.seed().unwrap();
        for text in [seed.clone(), format!("-----BEGIN USER NKEY SEED-----\n{seed}\n------END")] {
            let secrets = Secrets { nkey_seed: Some(text), ..Secrets::default() };
            let opened = secrets.open_now(0).unwrap();
            assert!(matches!(&opened.login, Login::Nkey(found) if *found == seed));
            assert_eq!(opened.who, format!("nkey {}", key.public_key()));
        }
        let account = KeyPair::new_account().seed().unwrap();
        for bad in [account, "SUs3cret".to_owned(), String::new(), seed.to_lowercase()] {
            let secrets = Secrets { nkey_seed: Some(bad.clone()), ..Secrets::default() };
            let said = secrets.open_now(0).err().unwrap().to_string();
            assert!(said.contains("begins with SU") && (bad.is_empty() || !said.contains(&bad)), "{said}");
        }
    }

    #[test]
    fn a_jwt_says_who_it_is_for_and_until_when() {
        let body = BASE64URL_NOPAD.encode(br#"{"sub":"UABC","exp":100}"#);
        let text = format!("-----BEGIN\neyJh.{body}.c2ln\n---END");
        assert_eq!(claims(&text).unwrap().who(99), " (user UABC)");
        assert_eq!(claims(&text).unwrap().who(160), " (user UABC, which expired 1m ago)");
        for bad in ["", "eyJ", "eyJ.!.x", "eyJ.e30.x"] {
            assert!(claims(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn secrets_stay_out_of_sight() {
        let some = || Some("s3cret".to_owned());
        let all = Secrets { password: some(), token: some(), nkey_seed: some(), ..Secrets::default() };
        assert!(!format!("{all:?}").contains("s3cret"));
    }
}
