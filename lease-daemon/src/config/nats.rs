//! `[nats]`: the store.

use clap::Args;
use serde::{Deserialize, Serialize, Serializer};

use super::Wrong;
use super::secret::mask_urls;

/// Where and how locks are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Nats {
    /// The servers; without it, locks are kept in this process.
    #[serde(serialize_with = "masked", skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The bucket that the locks are kept in.
    pub bucket: String,
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
}

impl Default for Nats {
    fn default() -> Nats {
        Nats { url: None, bucket: "leases".to_owned() }
    }
}

impl Nats {
    pub(super) fn override_with(&mut self, args: &NatsArgs) {
        if args.url.is_some() {
            self.url.clone_from(&args.url);
        }
        if let Some(bucket) = &args.bucket {
            self.bucket.clone_from(bucket);
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
        Ok(())
    }
}

fn masked<S: Serializer>(url: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    url.as_deref().map(mask_urls).serialize(serializer)
}
