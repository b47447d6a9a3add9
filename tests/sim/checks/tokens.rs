//! Tokens rise strictly in the order of grants, and a resource that checks them never refuses who holds.

use std::collections::{BTreeMap, BTreeSet};

use super::records::{Holding, Share};

/// The tokens of each name (of a semaphore: of each slot), and the highest that its resource has seen.
#[derive(Default)]
pub struct Tokens {
    /// Of all grants, and of those that nobody shared.
    highest: BTreeMap<String, u64>,
    alone: BTreeMap<String, u64>,
    given: BTreeSet<(String, u64)>,
    resource: BTreeMap<String, u64>,
}

impl Tokens {
    /// A grant reached its user. One that came too late to be believed in may have been overtaken. Among readers there is
    /// no order; towards those who hold alone there is.
    pub fn told(&mut self, holding: &Holding, attempt: &str, believes: bool) -> Option<String> {
        let (of, token) = (holding.of(), holding.token);
        if !self.given.insert((of.clone(), token)) {
            return Some(format!("{attempt} was given a token that somebody had before"));
        }
        let before = match holding.share {
            Share::Shared => self.alone.get(&of),
            Share::Alone | Share::Slot => self.highest.get(&of),
        };
        if believes && before.is_some_and(|before| token <= *before) {
            return Some(format!("{attempt} holds {of} with a lower token than one before"));
        }
        if holding.share != Share::Shared {
            let alone = self.alone.entry(of.clone()).or_default();
            *alone = token.max(*alone);
        }
        let highest = self.highest.entry(of).or_default();
        *highest = token.max(*highest);
        (token >= 1 << 53).then(|| format!("{attempt} has a token that no double can hold"))
    }

    /// A write to what is protected. Readers are let in if nobody wrote with a higher token.
    pub fn fenced(&mut self, holding: &Holding) -> bool {
        let seen = self.resource.entry(holding.of()).or_default();
        let accepted = holding.token >= *seen;
        if holding.share != Share::Shared {
            *seen = holding.token.max(*seen);
        }
        accepted
    }

    /// The store has lost writes: nothing is known of the tokens before.
    pub fn forget(&mut self) {
        *self = Tokens::default();
    }
}
