//! Which metrics and labels an expression names. That it can be parsed at all, Prometheus itself says.

use std::collections::{BTreeMap, BTreeSet};

/// What an expression names.
#[derive(Debug, Default, PartialEq)]
pub struct Names {
    /// Each metric, with the labels that it is selected by.
    pub metrics: BTreeMap<String, BTreeSet<String>>,
    /// Labels that results are grouped or matched by.
    pub groups: BTreeSet<String>,
}

const AGGREGATES: [&str; 12] = [
    "sum",
    "min",
    "max",
    "avg",
    "count",
    "group",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "quantile",
    "count_values",
];
const OPERATORS: [&str; 8] = ["and", "or", "unless", "bool", "offset", "atan2", "inf", "nan"];
const GROUPINGS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Takes an expression apart.
pub fn names(expression: &str) -> Names {
    let mut names = Names::default();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_alphabetic() || first == '_' || first == ':' {
            let (word, after) = word(rest);
            rest = after.trim_start();
            if GROUPINGS.contains(&word) && rest.starts_with('(') {
                let (list, after) = until(&rest[1..], ')');
                names
                    .groups
                    .extend(list.split(',').map(|label| label.trim().to_owned()).filter(|it| !it.is_empty()));
                rest = after;
            } else if !(rest.starts_with('(') || AGGREGATES.contains(&word) || OPERATORS.contains(&word)) {
                let labels = names.metrics.entry(word.to_owned()).or_default();
                if let Some(inside) = rest.strip_prefix('{') {
                    rest = matchers(inside, labels);
                }
            }
        } else if first == '[' {
            rest = until(rest, ']').1;
        } else if first == '"' {
            rest = until(&rest[1..], '"').1;
        } else if first.is_ascii_digit() {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.');
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    names
}

/// The labels within braces; gives what comes after them.
fn matchers<'a>(inside: &'a str, labels: &mut BTreeSet<String>) -> &'a str {
    let mut rest = inside;
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return after;
        }
        let (label, after) = word(rest);
        assert!(!label.is_empty(), "no label at {rest:?}");
        labels.insert(label.to_owned());
        let (_, value) = until(after, '"');
        rest = until(value, '"').1;
    }
}

fn word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    text.split_at(end)
}

/// What is before a letter, and what is after it.
fn until(text: &str, letter: char) -> (&str, &str) {
    text.split_once(letter).unwrap_or((text, ""))
}

#[test]
fn expressions_are_taken_apart() {
    let found = names(
        r#"histogram_quantile(0.5, sum by (le, op) (rate(a_bucket{x="y{", z=~"b|c"}[5m]))) / on (job) group_left () b > bool 3 * 2.5 or vector(0)"#,
    );
    let set = |labels: &[&str]| labels.iter().map(|it| (*it).to_owned()).collect::<BTreeSet<String>>();
    let metrics = [("a_bucket".to_owned(), set(&["x", "z"])), ("b".to_owned(), set(&[]))];
    assert_eq!(found, Names { metrics: metrics.into(), groups: set(&["job", "le", "op"]) });
    assert_eq!(names("up == 0 and on (job) rule:of:five{}").metrics.len(), 2);
}
