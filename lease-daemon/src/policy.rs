//! Who may do what: rules that map users and groups to names and operations.
//!
//! | operation | requests |
//! |---|---|
//! | `hold` | `hold`, `acquire`, `campaign`, `join`; writing and deleting a guarded value, whose key counts as a name. Includes `observe`: whoever stands in line is told who is in the way |
//! | `observe` | `GET` of a lock, semaphore, election or group, its history, its watch, a group's barrier; reading a guarded value. Lists and watches of many show the names that may be observed |
//! | `break` | `DELETE` of a grant by its token, and setting a semaphore's limit, which others rely on. For every name (`>`): accepting that the store lost writes |
//!
//! What is done by a lease's id (renew, release, say a value, hand over) needs no rule: the id belongs to the user who
//! was granted it, and is refused to any other, root included. Without any rule whoever can connect may do everything:
//! then the socket's mode and group decide who that is.

use std::collections::BTreeSet;
use std::fmt;

use lease::Filter;
use serde::{Deserialize, Serialize};

use crate::config::Wrong;
use crate::config::accounts;
use crate::config::policy as written;
use crate::peer::Peer;

/// What can be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// To take it, to stand in line for it, to see it.
    Hold,
    /// To see it.
    Observe,
    /// To end another's grant by force.
    Break,
}

impl Operation {
    /// The word in the configuration and in the audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Operation::Hold => "hold",
            Operation::Observe => "observe",
            Operation::Break => "break",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The rules, with users and groups resolved to numbers.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// `None`: everybody may do everything.
    rules: Option<Vec<Rule>>,
}

#[derive(Clone, Debug)]
struct Rule {
    everybody: bool,
    users: BTreeSet<u32>,
    groups: BTreeSet<u32>,
    names: Vec<Filter>,
    allow: BTreeSet<Operation>,
}

/// Why something is denied, for the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No rule is about this client.
    Stranger,
    /// No rule about this client is about this name.
    Name,
    /// There are rules about both, but none allows that.
    Operation,
}

impl Denied {
    /// A few words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Denied::Stranger => "no rule is about this user or its groups",
            Denied::Name => "no rule about this user covers the name",
            Denied::Operation => "no rule about this user and the name allows the operation",
        }
    }
}

impl Policy {
    /// Resolves what is written.
    ///
    /// # Errors
    /// Which rule is wrong, and why.
    pub fn new(written: Option<&[written::Rule]>) -> Result<Policy, Wrong> {
        let Some(written) = written else { return Ok(Policy::default()) };
        if written.is_empty() {
            let why = "write a rule, or leave it out: then whoever can connect may do everything";
            return Err(Wrong::new("policy", "[]", why));
        }
        let rules = written
            .iter()
            .enumerate()
            .map(|(index, rule)| Rule::new(index, rule))
            .collect::<Result<_, _>>()?;
        Ok(Policy { rules: Some(rules) })
    }

    /// How many rules there are; none if everybody may do everything.
    pub fn rules(&self) -> Option<usize> {
        self.rules.as_ref().map(Vec::len)
    }

    /// Whether `peer` may do this with the lock, or whatever it is, of that name.
    ///
    /// # Errors
    /// Why not.
    pub fn allows(&self, peer: &Peer, operation: Operation, name: &str) -> Result<(), Denied> {
        self.decide(peer, operation, |filter| filter.matches(name))
    }

    /// Whether `peer` may do this with whatever name there is: a rule about every name must say so.
    ///
    /// # Errors
    /// Why not.
    pub fn allows_all(&self, peer: &Peer, operation: Operation) -> Result<(), Denied> {
        let all = Filter::all();
        self.decide(peer, operation, |filter| *filter == all)
    }

    fn decide(
        &self,
        peer: &Peer,
        operation: Operation,
        covers: impl Fn(&Filter) -> bool,
    ) -> Result<(), Denied> {
        let Some(rules) = &self.rules else { return Ok(()) };
        let mut denied = Denied::Stranger;
        for rule in rules.iter().filter(|rule| rule.is_about(peer)) {
            if !rule.names.iter().any(&covers) {
                denied = if denied == Denied::Stranger { Denied::Name } else { denied };
            } else if rule.permits(operation) {
                return Ok(());
            } else {
                denied = Denied::Operation;
            }
        }
        Err(denied)
    }

    /// Whether there is any name that `peer` may observe.
    pub fn shows_anything(&self, peer: &Peer) -> bool {
        let Some(rules) = &self.rules else { return true };
        rules.iter().any(|rule| rule.is_about(peer) && rule.permits(Operation::Observe))
    }
}

impl Rule {
    fn new(index: usize, written: &written::Rule) -> Result<Rule, Wrong> {
        let wrong =
            |key: &str, found: &str, why: String| Wrong::new(format!("policy.{index}.{key}"), found, why);
        let mut rule = Rule {
            everybody: false,
            users: BTreeSet::new(),
            groups: BTreeSet::new(),
            names: Vec::new(),
            allow: written.allow.iter().copied().collect(),
        };
        for written::Account(user) in &written.users {
            if user == "*" {
                rule.everybody = true;
            } else {
                rule.users.insert(accounts::uid(user).map_err(|why| wrong("users", user, why))?);
            }
        }
        for written::Account(group) in &written.groups {
            rule.groups.insert(accounts::gid(group).map_err(|why| wrong("groups", group, why))?);
        }
        if written.users.is_empty() && written.groups.is_empty() {
            let why = "name users or groups; users = [\"*\"] is everybody who can connect";
            return Err(wrong("users", "[]", why.to_owned()));
        }
        for name in &written.names {
            let filter = Filter::new(name.as_str());
            rule.names.push(filter.map_err(|error| {
                wrong("names", name, format!("{error}; between dots also * for any, and > at the end"))
            })?);
        }
        if rule.names.is_empty() {
            return Err(wrong("names", "[]", "name locks, or give a filter such as payments.>".to_owned()));
        }
        if rule.allow.is_empty() {
            return Err(wrong("allow", "[]", "allowed are hold, observe, break".to_owned()));
        }
        Ok(rule)
    }

    fn is_about(&self, peer: &Peer) -> bool {
        self.everybody
            || self.users.contains(&peer.uid)
            || self.groups.contains(&peer.gid)
            || peer.groups.iter().any(|group| self.groups.contains(group))
    }

    fn permits(&self, operation: Operation) -> bool {
        // Whoever stands in line is told who is in the way.
        self.allow.contains(&operation)
            || (operation == Operation::Observe && self.allow.contains(&Operation::Hold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::policy::Account;

    fn rule(users: &[&str], groups: &[&str], names: &[&str], allow: &[Operation]) -> written::Rule {
        let accounts = |list: &[&str]| list.iter().map(|name| Account((*name).to_owned())).collect();
        written::Rule {
            users: accounts(users),
            groups: accounts(groups),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            allow: allow.to_vec(),
        }
    }

    fn peer(uid: u32, gid: u32, groups: &[u32]) -> Peer {
        Peer { uid, gid, pid: None, groups: groups.into() }
    }

    use Operation::{Break, Hold, Observe};

    #[test]
    fn without_rules_everybody_may_do_everything() {
        let policy = Policy::new(None).unwrap();
        assert!(
            policy.allows(&peer(1, 1, &[]), Break, "a").is_ok() && policy.shows_anything(&peer(1, 1, &[]))
        );
    }

    #[test]
    fn what_no_rule_allows_is_denied_to_root_too() {
        let policy = Policy::new(Some(&[
            rule(&["1001"], &[], &["payments.>", "jobs"], &[Hold]),
            rule(&[], &["50"], &["payments.*"], &[Observe, Break]),
            rule(&["*"], &[], &["public.*"], &[Observe]),
        ]));
        let policy = policy.unwrap();
        let owner = peer(1001, 1001, &[]);
        for (who, operation, name, expected) in [
            (&owner, Hold, "payments.a.b", Ok(())),
            (&owner, Observe, "payments.a.b", Ok(())),
            (&owner, Break, "payments.a", Err(Denied::Operation)),
            (&owner, Hold, "payments", Err(Denied::Name)),
            (&owner, Hold, "jobs", Ok(())),
            (&owner, Hold, "public.a", Err(Denied::Operation)),
            (&peer(2, 50, &[]), Break, "payments.a", Ok(())),
            (&peer(2, 2, &[7, 50]), Break, "payments.a", Ok(())),
            (&peer(2, 2, &[7, 50]), Break, "payments.a.b", Err(Denied::Name)),
            (&peer(2, 2, &[50]), Hold, "payments.a", Err(Denied::Operation)),
            (&peer(0, 0, &[0]), Hold, "payments.a", Err(Denied::Name)),
            (&peer(0, 0, &[0]), Observe, "public.a", Ok(())),
        ] {
            assert_eq!(policy.allows(who, operation, name), expected, "{who:?} {operation} {name}");
        }
        let narrow = Policy::new(Some(&[rule(&["1"], &[], &["a"], &[Break])])).unwrap();
        assert_eq!(narrow.allows(&peer(0, 0, &[]), Hold, "a"), Err(Denied::Stranger));
        assert!(!narrow.shows_anything(&peer(1, 1, &[])) && !narrow.shows_anything(&peer(0, 0, &[])));
    }

    #[test]
    fn every_name_is_what_a_rule_about_every_name_allows() {
        let policy = Policy::new(Some(&[
            rule(&["1"], &[], &["*", "payments.>"], &[Break]),
            rule(&["2"], &[], &["a", ">"], &[Break]),
            rule(&["3"], &[], &[">"], &[Hold]),
        ]));
        let policy = policy.unwrap();
        assert_eq!(policy.allows_all(&peer(1, 1, &[]), Break), Err(Denied::Name));
        assert_eq!(policy.allows_all(&peer(2, 2, &[]), Break), Ok(()));
        assert_eq!(policy.allows_all(&peer(3, 3, &[]), Break), Err(Denied::Operation));
        assert_eq!(policy.allows_all(&peer(4, 4, &[]), Break), Err(Denied::Stranger));
        assert_eq!(Policy::default().allows_all(&peer(4, 4, &[]), Break), Ok(()));
    }

    #[test]
    fn rules_that_mean_nothing_are_refused_by_number_and_key() {
        let good = || rule(&["0"], &[], &["a"], &[Hold]);
        for (bad, key) in [
            (rule(&[], &[], &["a"], &[Hold]), "policy.1.users"),
            (rule(&["no-such-user"], &[], &["a"], &[Hold]), "policy.1.users"),
            (rule(&[], &["no-such-group"], &["a"], &[Hold]), "policy.1.groups"),
            (rule(&["0"], &[], &[], &[Hold]), "policy.1.names"),
            (rule(&["0"], &[], &["a*"], &[Hold]), "policy.1.names"),
            (rule(&["0"], &[], &["a"], &[]), "policy.1.allow"),
        ] {
            assert_eq!(Policy::new(Some(&[good(), bad])).unwrap_err().key, key);
        }
        assert_eq!(Policy::new(Some(&[])).unwrap_err().key, "policy");
    }
}
