//! Tokens rise in real-time order: who asks after another was told is given a higher token. Among readers there is no
//! order; towards those who hold alone there is.
//!
//! Where a store lost what it had acknowledged and an operator accepted that, tokens may be given again: across that moment
//! it is shown, not held against anybody. On either side of it, and without it, they rise.

use super::run::Held;
use super::{Finding, Run};
use crate::history::Kind;

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let source = "contract §1.1; real-time order: Herlihy and Wing, Linearizability (1990)";
    let mut finding = Finding::new("tokens rise in real-time order", source);
    let age = |held: &Held<'_>| run.acceptances(held.grant.at.at_ns);
    for ((_, name), told) in run.by_name() {
        let mut asked = told.clone();
        asked.sort_by_key(|held| held.operation.asks);
        let mut told = told.iter().peekable();
        let (mut any, mut alone): (Option<&Held<'_>>, Option<&Held<'_>>) = (None, None);
        for later in asked {
            while let Some(held) = told.next_if(|held| held.grant.at.at_ns < later.operation.asks.at_ns) {
                let rank = |held: &Held<'_>| (age(held), held.token);
                let higher = |most: &Option<&Held<'_>>| most.is_none_or(|most| rank(held) > rank(most));
                if higher(&any) {
                    any = Some(held);
                }
                if held.operation.kind != Kind::Shared && higher(&alone) {
                    alone = Some(held);
                }
            }
            let before = if later.operation.kind == Kind::Shared { alone } else { any };
            let Some(before) = before else { continue };
            finding.examine();
            if later.token <= before.token {
                let (one, other) = (before.operation.title(), later.operation.title());
                let lines = [before.grant.at.line, later.operation.asks.line, later.grant.at.line];
                let sentence = format!(
                    "{one} had been told token {} of {name} when {other} asked, which was then given {}.",
                    before.token, later.token
                );
                if run.accepted_between(before, &later) {
                    finding.show(lines, format!("{sentence} Lost writes had been accepted in between."));
                } else {
                    finding.violate(lines, sentence);
                }
            }
        }
    }
    finding.done("no name was granted twice, one after the other")
}
