//! What a user says of how NATS is reached, and which bucket is meant.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::nats_link::Reach;
use super::nats_secrets::{Secrets, invalid, read};
use super::nats_wire::Names;
use crate::ambient::System;
use crate::error::Error;

/// The longest name of a bucket.
const MAX_BUCKET: usize = 100;

/// How to connect, as whom, and which bucket to open.
///
/// There is one way to log in at a time: a user and password, a token, an NKey, or a credentials file. Credentials may
/// also stand in a URL. They are not shown by `Debug`, nor in any log or error. Files are read anew for each connection,
/// so that what they hold can be changed while processes run.
#[derive(Clone)]
pub struct NatsOptions {
    /// The bucket: 1 to 100 of `A-Z a-z 0-9 - _`. Default `leases`.
    pub bucket: String,
    /// Replicas of a bucket that has to be made; one with fewer is refused. Default: 3 in a cluster, 1 on a single
    /// server, and no demand on a bucket that exists.
    pub replicas: Option<usize>,
    /// An operator's word that nobody believes in a lease any more that was granted in an earlier life of the bucket,
    /// so that one made anew need not stay quiet. Default `false`.
    pub fresh: bool,
    /// The JetStream domain, if it is not that of the servers connected to.
    pub domain: Option<String>,
    /// A user's name.
    pub user: Option<String>,
    /// That user's password.
    pub password: Option<String>,
    /// A file with that user's password; line ends behind it do not count.
    pub password_file: Option<PathBuf>,
    /// A token.
    pub token: Option<String>,
    /// A file with a token; line ends behind it do not count.
    pub token_file: Option<PathBuf>,
    /// A file with a JWT and its seed (`.creds`).
    pub credentials_file: Option<PathBuf>,
    /// The seed of an NKey (`SU...`).
    pub nkey_seed: Option<String>,
    /// A file with the seed of an NKey, alone or as `nk` and `nsc` write it.
    pub nkey_file: Option<PathBuf>,
    /// TLS.
    pub tls: NatsTls,
    /// How far the servers' wall clocks may be apart or step. Default 2 s.
    pub slack: Duration,
}

/// How TLS is spoken. Anything that is set here demands it, as `tls://` in a URL does: without TLS nothing is sent then.
/// A server that demands it gets it in any case.
///
/// The server's certificate must name the host as it is connected to: as the URL has it, or, of other servers in the
/// cluster, as they advertise themselves (`client_advertise`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NatsTls {
    /// The certificates of those who may vouch for a server (PEM). Default: the system's.
    pub ca_file: Option<PathBuf>,
    /// This client's certificate, with those between it and its authority (PEM).
    pub cert_file: Option<PathBuf>,
    /// The private key that belongs to it (PEM).
    pub key_file: Option<PathBuf>,
    /// Speak TLS before the server's greeting, as its `handshake_first` wants it.
    pub first: bool,
}

impl NatsTls {
    /// Whether TLS is demanded.
    pub(super) fn demanded(&self) -> bool {
        *self != NatsTls::default()
    }

    /// These settings, if their files are there and hold what they should: the client takes one without any certificate
    /// for an empty list.
    ///
    /// # Errors
    /// [`Error::Denied`], naming the file.
    pub(super) async fn usable(&self) -> Result<NatsTls, Error> {
        let tls = self.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let files = [
                (&tls.ca_file, "TLS CA", "CERTIFICATE-----"),
                (&tls.cert_file, "TLS certificate", "CERTIFICATE-----"),
                (&tls.key_file, "TLS key", "PRIVATE KEY-----"),
            ];
            for (file, what, mark) in files {
                let Some(file) = file else { continue };
                if !read(file, what)?.contains(mark) {
                    let why =
                        format!("the {what} file {} is of no use: it has no PEM of that", file.display());
                    return Err(Error::Denied(why));
                }
            }
            Ok(tls)
        });
        looking
            .await
            .unwrap_or_else(|_| Err(Error::Denied("the TLS files were not read: shutting down".into())))
    }

    fn check(&self) -> Result<(), Error> {
        match (&self.cert_file, &self.key_file) {
            (Some(_), Some(_)) | (None, None) => Ok(()),
            (Some(cert), None) => Err(invalid(
                "TLS client certificate",
                format!("{} without its private key", cert.display()),
                "give both files",
            )),
            (None, Some(key)) => Err(invalid(
                "TLS client key",
                format!("{} without its certificate", key.display()),
                "give both files",
            )),
        }
    }
}

impl Default for NatsOptions {
    fn default() -> NatsOptions {
        NatsOptions {
            bucket: "leases".into(),
            replicas: None,
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
            tls: NatsTls::default(),
            slack: Duration::from_secs(2),
        }
    }
}

impl NatsOptions {
    pub(super) fn secrets(&self) -> Secrets {
        Secrets {
            user: self.user.clone(),
            password: self.password.clone(),
            password_file: self.password_file.clone(),
            token: self.token.clone(),
            token_file: self.token_file.clone(),
            credentials_file: self.credentials_file.clone(),
            nkey_seed: self.nkey_seed.clone(),
            nkey_file: self.nkey_file.clone(),
        }
    }

    /// Whether the options, and the URLs with them, make sense; nothing is sent, and no file is read.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`], without the secrets.
    pub fn check(&self, urls: &str) -> Result<(), Error> {
        self.names()?;
        Reach::new(urls, self, String::new(), Arc::new(System)).map(drop)
    }

    /// One token of a subject, which also makes a good file name.
    fn checked(setting: &'static str, value: &str) -> Result<(), Error> {
        let good = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        if (1..=MAX_BUCKET).contains(&value.len()) && value.bytes().all(good) {
            return Ok(());
        }
        let value = format!("{:?}", value.chars().take(MAX_BUCKET).collect::<String>());
        Err(invalid(setting, value, "allowed are 1 to 100 of A-Z a-z 0-9 - _"))
    }

    /// The names of what is in the bucket, if the options make sense.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`].
    pub(super) fn names(&self) -> Result<Names, Error> {
        NatsOptions::checked("bucket", &self.bucket)?;
        if let Some(domain) = &self.domain {
            NatsOptions::checked("domain", domain)?;
        }
        if let Some(replicas) = self.replicas.filter(|replicas| !(1..=5).contains(replicas)) {
            return Err(invalid("replicas", replicas.to_string(), "allowed is 1 to 5"));
        }
        self.tls.check()?;
        Ok(Names::new(&self.bucket, self.domain.as_deref()))
    }
}

impl fmt::Debug for NatsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsOptions")
            .field("bucket", &self.bucket)
            .field("replicas", &self.replicas)
            .field("fresh", &self.fresh)
            .field("domain", &self.domain)
            .field("credentials", &self.secrets())
            .field("tls", &self.tls)
            .field("slack", &self.slack)
            .finish()
    }
}
