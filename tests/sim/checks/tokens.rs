//! Tokens rise strictly in the order of grants, and a resource that checks them never refuses who holds.

use std::collections::{BTreeMap, BTreeSet};

/// The tokens of each name, and the highest that its resource has seen.
#[derive(Default)]
pub struct Tokens {
    highest: BTreeMap<String, u64>,
    given: BTreeSet<(String, u64)>,
    resource: BTreeMap<String, u64>,
}

impl Tokens {
    /// A grant reached its user. One that came too late to be believed in may have been overtaken.
    pub fn told(&mut self, name: &str, token: u64, attempt: &str, believes: bool) -> Option<String> {
        if !self.given.insert((name.to_owned(), token)) {
            return Some(format!("{attempt} was given a token that somebody had before"));
        }
        let highest = self.highest.entry(name.to_owned()).or_default();
        if believes && token <= *highest {
            return Some(format!("{attempt} holds {name} with a lower token than one before"));
        }
        *highest = token.max(*highest);
        (token >= 1 << 53).then(|| format!("{attempt} has a token that no double can hold"))
    }

    /// A write to what `name` protects.
    pub fn fenced(&mut self, name: &str, token: u64) -> bool {
        let seen = self.resource.entry(name.to_owned()).or_default();
        let accepted = token >= *seen;
        *seen = token.max(*seen);
        accepted
    }

    /// The store has lost writes: nothing is known of the tokens before.
    pub fn forget(&mut self) {
        *self = Tokens::default();
    }
}
