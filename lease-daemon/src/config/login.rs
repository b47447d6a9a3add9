//! How to be let in by NATS: flags and variables that the daemon and `lease --nats` have in common.

use std::path::PathBuf;

use clap::Args;

use super::secret::Secret;

/// The flags. None of them takes a secret: those come from files, or from the variables of [`Environment`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "To be let in by NATS")]
pub struct LoginArgs {
    /// The JetStream domain, if it is not that of the servers connected to
    #[arg(long = "nats-domain", env = "LEASE_NATS_DOMAIN", value_name = "NAME")]
    pub domain: Option<String>,
    /// A user's name; the password is in LEASE_NATS_PASSWORD or in a file
    #[arg(long = "nats-user", env = "LEASE_NATS_USER", value_name = "NAME")]
    pub user: Option<String>,
    /// A file with that user's password
    #[arg(long = "nats-password-file", env = "LEASE_NATS_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// A file with a token; or the token itself in LEASE_NATS_TOKEN
    #[arg(long = "nats-token-file", env = "LEASE_NATS_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// A credentials file (.creds) with a JWT and its seed
    #[arg(long = "nats-creds", env = "LEASE_NATS_CREDS", value_name = "FILE")]
    pub credentials_file: Option<PathBuf>,
    /// A file with the seed of an nkey; or the seed itself in LEASE_NATS_NKEY_SEED
    #[arg(long = "nats-nkey", env = "LEASE_NATS_NKEY", value_name = "FILE")]
    pub nkey_file: Option<PathBuf>,
    /// The certificates of those who may vouch for a server (PEM); TLS is demanded [default: the system's]
    #[arg(long = "nats-ca", env = "LEASE_NATS_CA", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The client's own TLS certificate (PEM); TLS is demanded
    #[arg(long = "nats-cert", env = "LEASE_NATS_CERT", value_name = "FILE")]
    pub cert_file: Option<PathBuf>,
    /// The private key that belongs to it (PEM)
    #[arg(long = "nats-key", env = "LEASE_NATS_KEY", value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Speak TLS before the server's greeting, for servers with `handshake_first`
    #[arg(long = "nats-tls-first", env = "LEASE_NATS_TLS_FIRST")]
    pub tls_first: bool,
}

/// Secrets that stand in the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `LEASE_NATS_PASSWORD`.
    pub password: Option<Secret>,
    /// `LEASE_NATS_TOKEN`.
    pub token: Option<Secret>,
    /// `LEASE_NATS_NKEY_SEED`.
    pub nkey_seed: Option<Secret>,
}

impl Environment {
    /// That of this process. What is empty counts as unset.
    pub fn read() -> Environment {
        let read = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty()).map(Secret::from);
        Environment {
            password: read("LEASE_NATS_PASSWORD"),
            token: read("LEASE_NATS_TOKEN"),
            nkey_seed: read("LEASE_NATS_NKEY_SEED"),
        }
    }
}
