//! What is assumed, and not promised: once nothing is broken any more, servers find together again, and take writes. Where they do
//! not, by their own word and for everybody, progress is owed by nobody. Of runs in which they did, it need not be said.

use super::{Finding, Run};

/// Whether they do take writes, though they say that something is missing.
pub fn check(run: &Run) -> Finding {
    let mut finding =
        Finding::new("servers find together again", "assumed, not promised: contract §1").assumed();
    if let Some((at, missing)) = &run.unready {
        finding.examine();
        let lines = [at.line, run.healed.unwrap_or(*at).line];
        if is_out(run) {
            finding.violate(lines, format!("After healing the store took no write any more: {missing}."));
        } else {
            finding.show(lines, format!("It takes writes, and is not as it was: {missing}."));
        }
    }
    finding.done("servers were ready when the run was healed")
}

/// Whether there is anything to say.
pub fn concerns(run: &Run) -> bool {
    run.unready.is_some()
}

/// Whether servers were said not to be ready when the run was healed or before, and nothing was written since: not by clients that
/// wait, and not by those that came with the newest connection. Either alone excuses nothing.
pub fn is_out(run: &Run) -> bool {
    let Some(healed) = run.healed else { return false };
    let writes = || run.audit.in_order().any(|write| write.at.at_ns >= healed.at_ns);
    let grants =
        || run.operations.iter().any(|it| it.granted.as_ref().is_some_and(|it| it.at.at_ns >= healed.at_ns));
    run.unready.is_some() && !writes() && !grants()
}

/// Why a property that progress depends upon was not tested.
pub const OUT: &str = "the servers did not find together again, and took no write";
