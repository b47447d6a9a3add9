//! One holder per token: no token of a name is ever granted twice. Where a store lost what it had acknowledged and an operator
//! accepted that, a token may be given again after it: that is shown.

use std::collections::BTreeMap;

use super::{Finding, Run};

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let source = "contract §1.1; sequencers: Burrows, The Chubby lock service (2006)";
    let mut finding = Finding::new("one holder per token", source);
    let mut given = BTreeMap::new();
    for held in run.grants() {
        finding.examine();
        let of = (held.operation.space(), held.name, held.token);
        if let Some(before) = given.insert(of, held) {
            let (name, token) = (held.name, held.token);
            let (one, other) = (before.operation.title(), held.operation.title());
            let lines = [before.grant.at.line, held.grant.at.line];
            let sentence = format!("Token {token} of {name} was granted to {one} and to {other}.");
            if run.accepted_between(&before, &held) {
                finding.show(lines, format!("{sentence} Lost writes had been accepted in between."));
            } else {
                finding.violate(lines, sentence);
            }
        }
        if held.token == 0 || held.token >= 1 << 53 {
            finding.violate(
                [held.grant.at.line],
                format!(
                    "{} was given the token {}, which not every language can hold.",
                    held.operation.title(),
                    held.token
                ),
            );
        }
    }
    finding.done("nothing was granted")
}
