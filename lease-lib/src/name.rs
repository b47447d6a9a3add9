//! Names of locks, and filters over them.

use crate::error::Error;

/// The longest name, in bytes.
pub const MAX_NAME: usize = 200;

/// A valid name: 1 to 200 of `A-Z a-z 0-9 - _ = / .`, with no empty token between dots.
///
/// That is what NATS takes as a key, so a name is readable in `nats kv ls` as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Checks `name`.
    ///
    /// # Errors
    /// [`Error::InvalidName`] with what is wrong and what is allowed.
    pub fn new(name: impl Into<String>) -> Result<Name, Error> {
        let name = name.into();
        match fault(&name, false) {
            None => Ok(Name(name)),
            Some(why) => Err(Error::InvalidName { name: shorten(&name), why }),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pattern over names: `*` stands for one token between dots, a final `>` for one or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(String);

impl Filter {
    /// Checks `filter`.
    ///
    /// # Errors
    /// [`Error::InvalidName`] with what is wrong and what is allowed.
    pub fn new(filter: impl Into<String>) -> Result<Filter, Error> {
        let filter = filter.into();
        match fault(&filter, true) {
            None => Ok(Filter(filter)),
            Some(why) => Err(Error::InvalidName { name: shorten(&filter), why }),
        }
    }

    /// The filter that every name matches.
    pub fn all() -> Filter {
        Filter(">".into())
    }

    /// The filter as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it selects `name`.
    pub fn matches(&self, name: &str) -> bool {
        matches(&self.0, name)
    }
}

/// Whether `subject` matches `filter`, both dotted, by the rules of NATS subjects.
pub(crate) fn matches(filter: &str, subject: &str) -> bool {
    let (mut filter, mut subject) = (filter.split('.'), subject.split('.'));
    loop {
        match (filter.next(), subject.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

fn fault(text: &str, wild: bool) -> Option<&'static str> {
    if text.is_empty() {
        return Some("it is empty; a name has 1 to 200 characters");
    }
    if text.len() > MAX_NAME {
        return Some("it is longer than 200 bytes");
    }
    unfit(text, wild)
}

/// What makes a text (or, if `wild`, a filter) unfit for the end of a subject. A key is longer than a name: this has no
/// bound.
pub(crate) fn unfit(text: &str, wild: bool) -> Option<&'static str> {
    let mut tokens = text.split('.').peekable();
    while let Some(token) = tokens.next() {
        if token.is_empty() {
            return Some("it has an empty token: no dot at the start or the end, and no two dots in a row");
        }
        if wild && (token == "*" || (token == ">" && tokens.peek().is_none())) {
            continue;
        }
        if !token.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_=/".contains(&c)) {
            return Some("allowed are 1 to 200 of A-Z a-z 0-9 - _ = / . with no empty token between dots");
        }
    }
    None
}

/// What an error message shows of a name that may be a megabyte of anything.
fn shorten(text: &str) -> String {
    if text.chars().count() <= 64 {
        text.into()
    } else {
        text.chars().take(61).chain("...".chars()).collect()
    }
}

#[cfg(test)]
#[path = "name_props.rs"]
mod props;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "orders.42", "A-Z_=/x", "a.b.c", &"n".repeat(200)] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "a*", "*", ">", "ü", "a\n", "a\0", &"n".repeat(201)]
        {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn filters() {
        for good in ["a", ">", "*", "a.*", "a.>", "*.b.>", "payments.*"] {
            assert!(Filter::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a*", ">.a", "a.>.b", "a..b", "*a"] {
            assert!(Filter::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn matching_is_that_of_nats_subjects() {
        assert!(
            matches("a.*", "a.b") && matches("a.>", "a.b.c") && matches(">", "a") && matches("a.b", "a.b")
        );
        assert!(
            !matches("a.*", "a") && !matches("a.*", "a.b.c") && !matches("a.>", "a") && !matches("a", "b")
        );
    }
}
