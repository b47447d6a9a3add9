//! `[nats]`: the store, and how to be let in there.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use lease::Error;
use lease::store::{NatsOptions, NatsTls};
use serde::{Deserialize, Serialize, Serializer};

use super::Wrong;
use super::login::{Environment, LoginArgs};
use super::secret::{Secret, mask_urls};
use crate::wire::Span;

/// The slack of whoever says nothing: servers whose clocks are kept by NTP are much closer.
const SLACK: Duration = Duration::from_secs(2);
/// The smallest and the largest slack.
const SLACKS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));

/// Where and how locks are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Nats {
    /// The servers; without it, locks are kept in this process.
    #[serde(serialize_with = "masked", skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The bucket that the locks are kept in.
    pub bucket: String,
    /// Replicas of a bucket that has to be made; one with fewer is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u8>,
    /// How far the servers' wall clocks may be apart.
    pub slack: Span,
    /// An operator's word, for this start only, that nobody believes in what was granted in an earlier life of the bucket.
    #[serde(skip)]
    pub fresh: bool,
    /// The JetStream domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// A user's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// That user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// A token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// A `.creds` file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<PathBuf>,
    /// The seed of an nkey.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nkey_seed: Option<Secret>,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nkey_file: Option<PathBuf>,
    /// TLS. Anything in it demands TLS.
    #[serde(skip_serializing_if = "Tls::is_default")]
    pub tls: Tls,
}

/// `[nats.tls]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tls {
    /// Who may vouch for a server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The client's own certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// The key that belongs to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// TLS before the server's greeting.
    pub first: bool,
}

impl Tls {
    fn is_default(&self) -> bool {
        *self == Tls::default()
    }
}

/// The flags.
#[derive(Clone, Debug, Default, Args)]
pub struct NatsArgs {
    /// The NATS servers, with commas between several; without it, locks are kept in this process and hold on this
    /// host only
    #[arg(long = "nats", env = "LEASE_NATS", hide_env_values = true, value_name = "URL")]
    pub url: Option<String>,

    /// The bucket that the locks are kept in [default: leases]
    #[arg(long, env = "LEASE_BUCKET", value_name = "NAME")]
    pub bucket: Option<String>,

    /// Nobody believes any more in what was granted before the bucket was deleted and made anew: do not wait until the longest
    /// ttl that was used there is over
    #[arg(long)]
    pub fresh: bool,

    #[command(flatten)]
    #[allow(missing_docs, reason = "it would be shown as the help's text")]
    pub login: LoginArgs,
}

impl Default for Nats {
    fn default() -> Nats {
        Nats {
            url: None,
            bucket: "leases".to_owned(),
            replicas: None,
            slack: SLACK.into(),
            fresh: false,
            domain: None,
            user: None,
            password: None,
            password_file: None,
            token: None,
            token_file: None,
            credentials_file: None,
            nkey_seed: None,
            nkey_file: None,
            tls: Tls::default(),
        }
    }
}

/// What was said later counts, if anything was.
fn later<T: Clone>(setting: &mut Option<T>, said: &Option<T>) {
    if said.is_some() {
        setting.clone_from(said);
    }
}

/// The same for a secret and the file that has it: one of the two.
fn either(
    (secret, file): (&mut Option<Secret>, &mut Option<PathBuf>),
    said: &Option<Secret>,
    said_file: &Option<PathBuf>,
) {
    if said.is_some() || said_file.is_some() {
        secret.clone_from(said);
        file.clone_from(said_file);
    }
    if said_file.is_some() {
        *secret = None;
    }
}

impl Nats {
    pub(super) fn override_with(&mut self, args: &NatsArgs) {
        later(&mut self.url, &args.url);
        if let Some(bucket) = &args.bucket {
            self.bucket.clone_from(bucket);
        }
        self.fresh |= args.fresh;
        self.log_in_with(&args.login, &Environment::read());
    }

    /// Flags and environment have the last word: one way to log in that they name replaces any other.
    pub fn log_in_with(&mut self, args: &LoginArgs, environment: &Environment) {
        let by_user = args.user.is_some() || args.password_file.is_some() || environment.password.is_some();
        let by_token = args.token_file.is_some() || environment.token.is_some();
        let by_nkey = args.nkey_file.is_some() || environment.nkey_seed.is_some();
        if by_user || by_token || by_nkey || args.credentials_file.is_some() {
            if !by_user {
                (self.user, self.password, self.password_file) = (None, None, None);
            }
            if !by_token {
                (self.token, self.token_file) = (None, None);
            }
            if !by_nkey {
                (self.nkey_seed, self.nkey_file) = (None, None);
            }
            self.credentials_file.clone_from(&args.credentials_file);
        }
        later(&mut self.domain, &args.domain);
        later(&mut self.user, &args.user);
        either((&mut self.password, &mut self.password_file), &environment.password, &args.password_file);
        either((&mut self.token, &mut self.token_file), &environment.token, &args.token_file);
        either((&mut self.nkey_seed, &mut self.nkey_file), &environment.nkey_seed, &args.nkey_file);
        later(&mut self.tls.ca_file, &args.ca_file);
        later(&mut self.tls.cert_file, &args.cert_file);
        later(&mut self.tls.key_file, &args.key_file);
        self.tls.first |= args.tls_first;
    }

    /// What the library is told.
    pub fn options(&self) -> NatsOptions {
        let reveal = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.reveal().to_owned());
        NatsOptions {
            bucket: self.bucket.clone(),
            replicas: self.replicas.map(usize::from),
            fresh: self.fresh,
            slack: self.slack.0,
            domain: self.domain.clone(),
            user: self.user.clone(),
            password: reveal(&self.password),
            password_file: self.password_file.clone(),
            token: reveal(&self.token),
            token_file: self.token_file.clone(),
            credentials_file: self.credentials_file.clone(),
            nkey_seed: reveal(&self.nkey_seed),
            nkey_file: self.nkey_file.clone(),
            tls: NatsTls {
                ca_file: self.tls.ca_file.clone(),
                cert_file: self.tls.cert_file.clone(),
                key_file: self.tls.key_file.clone(),
                first: self.tls.first,
            },
        }
    }

    pub(super) fn check(&self) -> Result<(), Wrong> {
        if self.url.as_ref().is_some_and(|url| url.trim().is_empty()) {
            return Err(Wrong::new(
                "nats.url",
                "",
                "give a URL, or leave it out for locks on this host only",
            ));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if self.bucket.is_empty() || !self.bucket.bytes().all(allowed) {
            let why = "a bucket's name has A-Z a-z 0-9 - _ and is not empty";
            return Err(Wrong::new("nats.bucket", &self.bucket, why));
        }
        Wrong::unless_within("nats.slack", &self.slack, &SLACKS.0.into(), &SLACKS.1.into())?;
        // Without servers nothing of it is used, but it may still make no sense.
        match self.options().check(self.url.as_deref().unwrap_or("nats://localhost")) {
            Err(Error::InvalidSetting { setting, value, allowed }) => {
                Err(Wrong::new(key(setting), value.trim_matches('"'), format!("{setting}: {allowed}")))
            }
            _ => Ok(()),
        }
    }
}

/// Where in the file the library's setting is.
fn key(setting: &str) -> &'static str {
    match setting {
        "NATS URL" => "nats.url",
        "bucket" => "nats.bucket",
        "domain" => "nats.domain",
        "replicas" => "nats.replicas",
        "TLS client certificate" => "nats.tls.cert-file",
        "TLS client key" => "nats.tls.key-file",
        _ => "nats",
    }
}

fn masked<S: Serializer>(url: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    url.as_deref().map(mask_urls).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Nats {
        toml::from_str(text).unwrap()
    }

    fn secret(text: &str) -> Option<Secret> {
        Some(Secret::from(text))
    }

    #[test]
    fn a_way_to_log_in_that_is_named_later_replaces_the_one_before() {
        let mut nats = file("user = 'a'\npassword = 'b'\ndomain = 'hub'\n");
        let args = LoginArgs { token_file: Some("/t".into()), ..LoginArgs::default() };
        nats.log_in_with(&args, &Environment::default());
        let left = Nats { domain: Some("hub".into()), token_file: Some("/t".into()), ..Nats::default() };
        assert_eq!(nats, left);
        // The rest of the same way stays, but for the other form of the same secret.
        let mut nats = file("user = 'a'\npassword-file = '/p'\ncredentials-file = '/c'\n");
        nats.log_in_with(
            &LoginArgs::default(),
            &Environment { password: secret("x"), ..Environment::default() },
        );
        assert_eq!(nats, Nats { user: Some("a".into()), password: secret("x"), ..Nats::default() });
        // A flag counts more than a variable.
        let args = LoginArgs { password_file: Some("/q".into()), ..LoginArgs::default() };
        nats.log_in_with(&args, &Environment { password: secret("y"), ..Environment::default() });
        assert_eq!((nats.password, nats.password_file), (None, Some("/q".into())));
        let mut nats = file("nkey-seed = 'SU'\n");
        nats.log_in_with(&LoginArgs::default(), &Environment::default());
        assert_eq!(nats.nkey_seed, secret("SU"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_key() {
        for (text, key) in [
            ("user = 'a'\ntoken = 'b'\n", "nats = \"a user and a token\""),
            ("password = 'b'\n", "nats = \"a password without a user\""),
            ("url = 'http://a'\n", "nats.url = "),
            ("domain = 'a.b'\n", "nats.domain = \"a.b\""),
            ("replicas = 6\n", "nats.replicas = \"6\""),
            ("slack = '500ms'\n", "nats.slack = \"0.5s\""),
            ("slack = '2h'\n", "nats.slack = \"2h\""),
            ("[tls]\nkey-file = '/k'\n", "nats.tls.key-file = \"/k without its certificate\""),
        ] {
            let said = file(text).check().unwrap_err().to_string();
            assert!(said.starts_with(key), "{said}");
        }
        let all = "user = 'a'\npassword = 'hunter2'\n[tls]\nca-file = '/a'\ncert-file = '/c'\nkey-file = '/k'\nfirst = true\n";
        let nats = file(all);
        assert_eq!(nats.check(), Ok(()));
        let shown = format!("{nats:?} {}", toml::to_string(&nats).unwrap());
        assert!(!shown.contains("hunter2") && shown.contains("key-file = \"/k\""), "{shown}");
    }
}
