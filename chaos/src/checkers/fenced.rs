//! The fenced resource accepts no old token: once it took a write with one, no write sent later with a lower one; and where
//! the store itself guards what is written, it does not have what it refused. What
//! readers write fences nobody; a semaphore's tokens are ordered for each slot only, so its uses are left out.

use std::collections::BTreeMap;

use super::operation::{Operation, Use, Used};
use super::{Finding, Run, store};
use crate::history::{Answer, Kind};

type Accepted<'a> = (&'a Operation, &'a Use, Used);

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let source = "contract §1.1; Kleppmann, How to do distributed locking (2016)";
    let mut finding = Finding::new("the resource accepts no old token", source);
    let mut resources: BTreeMap<&str, Vec<Accepted<'_>>> = BTreeMap::new();
    for operation in run.operations.iter().filter(|it| it.kind != Kind::Semaphore) {
        for it in &operation.uses {
            if let Some(used) = it.used.filter(|used| used.answer == Answer::Accepted) {
                resources.entry(&it.resource).or_default().push((operation, it, used));
            }
        }
    }
    for (resource, mut sent) in resources {
        let mut taken: Vec<_> = sent.iter().filter(|it| it.0.kind != Kind::Shared).copied().collect();
        taken.sort_by_key(|it| it.2.at);
        sent.sort_by_key(|it| it.1.at);
        let mut taken = taken.into_iter().peekable();
        let mut highest: Option<Accepted<'_>> = None;
        for (operation, write, used) in sent {
            finding.examine();
            while let Some(it) = taken.next_if(|it| it.2.at.at_ns < write.at.at_ns) {
                if highest.is_none_or(|most| it.1.token > most.1.token) {
                    highest = Some(it);
                }
            }
            if let Some((by, before, accepted)) = highest.filter(|most| write.token < most.1.token) {
                let lines = [before.at.line, accepted.at.line, write.at.line, used.at.line];
                let what = format!(
                    "{resource} took a write of {} with token {}, though it had taken one of {} with token {}.",
                    operation.title(),
                    write.token,
                    by.title(),
                    before.token
                );
                // What the store itself guards it forgets with the grants, where it was made to lose what it had acknowledged.
                let is_in_store = resource.starts_with("data.");
                let (from, to) = (accepted.at.at_ns, write.at.at_ns);
                if is_in_store && (run.is_beyond(from, to, 0) || store::has_forked(run, from, to)) {
                    finding.show(lines, format!("{what} The store had lost that one."));
                } else {
                    finding.violate(lines, what);
                }
            }
        }
    }
    guarded(run, &mut finding);
    finding.done("nothing was written under a lock")
}

/// What the store itself guards, it has only if it took it: a write that was refused is not there.
fn guarded(run: &Run, finding: &mut Finding) {
    let mut refused = BTreeMap::new();
    for operation in &run.operations {
        for it in &operation.uses {
            if let Some(used) = it.used.filter(|used| used.answer == Answer::Refused) {
                refused.insert((it.resource.as_str(), it.value), (operation, it, used));
            }
        }
    }
    for write in run.audit.in_order().filter(|write| write.key.starts_with("data.") && !write.is_deletion) {
        let Some(value) = write.text("text").and_then(|text| text.parse::<u64>().ok()) else { continue };
        finding.examine();
        if let Some((operation, it, used)) = refused.get(&(write.key.as_str(), value)) {
            finding.violate(
                [it.at.line, used.at.line, write.at.line],
                format!(
                    "{} was told that its write of {value} to {} (token {}) is refused, and the store has it.",
                    operation.title(),
                    write.key,
                    it.token
                ),
            );
        }
    }
}
