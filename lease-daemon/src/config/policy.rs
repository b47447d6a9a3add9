//! `[[policy]]`: who may do what, as it is written. [`crate::policy`] is what it means.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::policy::Operation;

/// One rule. Everything that no rule allows is denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rule {
    /// Users by name or number; `*` for everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<Account>,
    /// Groups by name or number, of which a client's process has one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Account>,
    /// The names that it is about: filters such as `payments.>`, `jobs.*`, `>`.
    pub names: Vec<String>,
    /// What is allowed.
    pub allow: Vec<Operation>,
}

/// A user or a group: a name, or a number with or without quotes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Account(pub String);

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Account, D::Error> {
        struct Either;
        impl de::Visitor<'_> for Either {
            type Value = Account;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name, or a number from 0 to 4294967295")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Account, E> {
                Ok(Account(name.to_owned()))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Account, E> {
                let number = u32::try_from(number);
                let number =
                    number.map_err(|_| E::invalid_value(de::Unexpected::Other("another number"), &self))?;
                Ok(Account(number.to_string()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}
