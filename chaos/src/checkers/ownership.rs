//! A token is the revision of the write that granted it, renewals carry it unchanged, and a bucket that is made again gives no
//! number again.

use std::collections::BTreeMap;

use super::audit::Revision;
use super::run::Held;
use super::{Finding, Run, store};
use crate::history::Kind;

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let source = "contract §2 Record; only a compare-and-set write decides";
    let mut finding = Finding::new("a token is its granting revision", source);
    if run.audit.revisions.is_empty() {
        return finding.done("the auditor read nothing");
    }
    for (before, again) in store::given_twice(run) {
        if store::is_another_bucket(run, before, again) {
            let number = again.revision;
            let sentence =
                format!("Revision {number} was written twice: by a bucket, and by the one made after it.");
            finding.violate([before.at.line, again.at.line], sentence);
        }
    }
    let failed_at = store::failed_at(run).unwrap_or(u64::MAX);
    let workers: Vec<&str> = run.lives.iter().map(|life| life.worker.as_str()).collect();
    let mut unseen = 0;
    for held in run.grants() {
        match run.audit.get(held.token) {
            None if run.audit.may_miss(held.token) => unseen += 1,
            None => {
                finding.examine();
                finding.violate(
                    [held.grant.at.line],
                    format!(
                        "{} holds {} by token {}, a revision that was never written.",
                        held.operation.title(),
                        held.name,
                        held.token
                    ),
                );
            }
            Some(write) => {
                finding.examine();
                // Of a number that was given again, any of its writes may have granted it.
                let earlier = run.audit.earlier(held.token);
                let is_his = |write: &&Revision| is_not_his(&held, write, &workers).is_none();
                if earlier.into_iter().any(|write| is_his(&write)) {
                    continue;
                }
                let Some(why) = is_not_his(&held, write, &workers) else { continue };
                let (lines, sentence) =
                    ([held.grant.at.line, write.at.line], format!("{}: {why}.", held.operation.title()));
                // A store whose replicas count differently shows the auditor another's write under it.
                if held.grant.at.at_ns >= failed_at {
                    finding.show(lines, sentence);
                } else {
                    finding.violate(lines, sentence);
                }
            }
        }
    }
    renewals(run, &mut finding);
    if unseen > 0 {
        finding.why = Some(format!("written where the auditor was not reading: {unseen} grants"));
    }
    finding.done("every grant was written where the auditor was not reading")
}

/// Why this revision does not make this grant.
fn is_not_his(held: &Held<'_>, write: &Revision, workers: &[&str]) -> Option<String> {
    let (name, key) = (held.name, write.key.as_str());
    let within = |space: &str| {
        let id =
            key.strip_prefix(space).and_then(|it| it.strip_prefix(name)).and_then(|it| it.strip_prefix('.'));
        id.is_some_and(|id| !id.contains('.'))
    };
    let right = match held.operation.kind {
        Kind::Lock | Kind::Multi => key.strip_prefix("lock.") == Some(name),
        Kind::Election => key.strip_prefix("elect.") == Some(name),
        Kind::Semaphore => within("sem."),
        Kind::Shared => within("read."),
        Kind::Group => within("group."),
    };
    let token = held.token;
    if !right {
        return Some(format!("its token {token} of {name} is a revision of {key}"));
    }
    let Some(record) = write.record() else {
        return Some(format!("its token {token} is the revision of a deletion, or of no record, of {key}"));
    };
    if record.is_reserved {
        return Some(format!("its token {token} only kept {key} free"));
    }
    if record.token.is_some_and(|it| it != token) {
        return Some(format!("its token {token} is a renewal of another grant of {key}"));
    }
    let another = workers.contains(&record.owner) && record.owner != held.operation.worker;
    another.then(|| format!("its token {token} was written for {}", record.owner))
}

/// As long as an attempt's record stands, its token stays that of the granting write.
fn renewals(run: &Run, finding: &mut Finding) {
    // By key: the attempt that holds, its last granting write, and its last write.
    let mut standing: BTreeMap<&str, (&str, u64, &Revision)> = BTreeMap::new();
    for write in run.audit.in_order() {
        let Some(record) = write.record().filter(|it| !it.is_reserved && !it.attempt.is_empty()) else {
            standing.remove(write.key.as_str());
            continue;
        };
        let before = standing.get(write.key.as_str()).filter(|it| it.0 == record.attempt).copied();
        let token = record.token.unwrap_or(write.revision);
        match (before, record.token) {
            (Some((_, granted, last)), Some(token)) => {
                finding.examine();
                if granted != token {
                    finding.violate(
                        [last.at.line, write.at.line],
                        format!("A renewal of {} carries token {token}, its grant was {granted}.", write.key),
                    );
                }
            }
            // A renewal whose grant was not seen says its token itself.
            (None, Some(token)) if token >= write.revision => {
                finding.violate(
                    [write.at.line],
                    format!("A renewal of {} carries a token from its future.", write.key),
                );
            }
            // A batch writes the record once for each guard: the last counts.
            _ => {}
        }
        standing.insert(write.key.as_str(), (record.attempt, token, write));
    }
}
