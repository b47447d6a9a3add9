//! An operator of NATS, with one account and users in it: what decentralised credentials (`.creds`) are made by.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

/// The keys of an operator, of its account for locks, and of the system's account.
#[derive(Debug)]
pub struct Operator {
    operator: KeyPair,
    account: KeyPair,
    system: KeyPair,
}

impl Default for Operator {
    fn default() -> Operator {
        Operator {
            operator: KeyPair::new_operator(),
            account: KeyPair::new_account(),
            system: KeyPair::new_account(),
        }
    }
}

impl Operator {
    /// What a server's configuration needs to trust it.
    pub fn config(&self) -> String {
        let limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
            "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
        });
        let system = json!({ "type": "account", "version": 2, "limits": {
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        }});
        let account = json!({ "type": "account", "version": 2, "limits": limits });
        let operator = json!({ "type": "operator", "version": 2 });
        let of = |key: &KeyPair, what: Value| signed(&self.operator, key, what, 0);
        format!(
            "operator: {}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{\n  {}: {}\n  {}: {}\n}}\n",
            of(&self.operator, operator),
            self.system.public_key(),
            self.account.public_key(),
            of(&self.account, account),
            self.system.public_key(),
            of(&self.system, system),
        )
    }

    /// The text of a credentials file for a new user of the account, and that user's public key.
    pub fn credentials(&self, lifetime: Option<Duration>) -> (String, String) {
        let user = KeyPair::new_user();
        let expires = lifetime.map_or(0, |lifetime| (now() + lifetime).as_secs());
        let what = json!({
            "type": "user", "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1,
        });
        let jwt = signed(&self.account, &user, what, expires);
        let seed = user.seed().unwrap_or_else(|error| panic!("no seed: {error}"));
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        (text, user.public_key())
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A JWT about `subject`, as servers read it. `expires` is unix time in seconds; 0 is never.
fn signed(by: &KeyPair, subject: &KeyPair, what: Value, expires: u64) -> String {
    let mut claims = json!({
        "jti": crate::run::random_name(), "iat": now().as_secs(), "iss": by.public_key(), "name": "lease-tests",
        "sub": subject.public_key(), "nats": what,
    });
    if expires > 0 {
        claims["exp"] = expires.into();
    }
    let encoded = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let text = format!("{}.{}", encoded(&header), encoded(&claims));
    let signature = by.sign(text.as_bytes()).unwrap_or_else(|error| panic!("cannot sign: {error}"));
    format!("{text}.{}", BASE64URL_NOPAD.encode(&signature))
}
