//! What is kept under the locks behaves as one register: the writes that were accepted, what they replaced and what was
//! read are linearizable, for each resource.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Finding, Run};
use crate::history::Answer;
use crate::linear::{self, Action, Call, Judgement};

/// How long all resources together may take.
const LIMIT: Duration = Duration::from_secs(20);

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let source = "Wing and Gong (1993); Lowe, Testing for Linearizability (2017)";
    let mut finding = Finding::new("what is protected is linearizable", source);
    let mut resources: BTreeMap<&str, Vec<Call>> = BTreeMap::new();
    for operation in &run.operations {
        for it in &operation.uses {
            let answer = it.used.map_or(Answer::Unknown, |used| used.answer);
            let action = match (answer, it.used.and_then(|used| used.before)) {
                (Answer::Refused, _) => continue,
                (Answer::Accepted, Some(before)) => Action::Swap { to: it.value, before },
                _ => Action::Write(it.value),
            };
            let end = it.used.filter(|used| used.answer == Answer::Accepted).map(|used| used.at.at_ns);
            let call = Call { begin: it.at.at_ns, end, action, line: it.at.line };
            resources.entry(&it.resource).or_default().push(call);
        }
        for it in &operation.reads {
            if let Some((at, value)) = it.saw {
                let (begin, end, line) = (it.at.at_ns, Some(at.at_ns), at.line);
                let call = Call { begin, end, action: Action::Read(value), line };
                resources.entry(&it.resource).or_default().push(call);
            }
        }
    }
    let mut left = LIMIT;
    let mut undecided = Vec::new();
    for (resource, calls) in resources {
        if !calls.iter().any(|call| call.action.observes()) {
            continue;
        }
        let from = std::time::Instant::now();
        let judgement = linear::check(&calls, left);
        left = left.saturating_sub(from.elapsed());
        match judgement {
            Judgement::Valid => finding.examine(),
            Judgement::Unknown => undecided.push(resource),
            Judgement::Invalid { stuck } => {
                finding.examine();
                let lines: Vec<usize> =
                    stuck.iter().filter_map(|index| calls.get(*index)).map(|it| it.line).collect();
                let what = format!("No order of the operations on {resource} explains what was seen");
                finding.violate(lines, format!("{what}: none gets past these."));
            }
        }
    }
    if !undecided.is_empty() {
        finding.why = Some(format!("not decided in time: {}", undecided.join(", ")));
    }
    finding.done("nothing was read, and no write says what it replaced")
}
