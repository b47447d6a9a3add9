//! A store that went back is noticed: where the power of all servers failed, and numbers were given twice since, somebody is
//! refused for that before an operator accepts it. Of runs in which that power did not fail, it need not be said.

use super::fault::Band;
use super::{Finding, Run, store};

/// What numbers that were given twice show, and who was told of it.
pub fn check(run: &Run) -> Finding {
    let mut finding = Finding::new("a store that went back is noticed", "contract §1.6; lease doctor");
    for (band, until) in losses(run) {
        let from = band.from.at_ns;
        let lost = store::given_twice(run).filter(|(before, again)| {
            !store::is_another_bucket(run, before, again) && (from..until).contains(&again.at.at_ns)
        });
        let Some((before, again)) = lost.min_by_key(|(_, again)| again.at) else { continue };
        finding.examine();
        if !run.noticed.iter().any(|at| (from..until).contains(&at.at_ns)) {
            let number = again.revision;
            finding.violate(
                [band.from.line, before.at.line, again.at.line],
                format!("Revision {number} was given twice, and nobody was refused until that was accepted."),
            );
        }
    }
    finding.done("no acknowledged write was seen to be lost")
}

/// Whether there is anything to say.
pub fn concerns(run: &Run) -> bool {
    losses(run).next().is_some()
}

/// Each time that all power failed while writes were not synced, and until when that was not accepted.
fn losses(run: &Run) -> impl Iterator<Item = (&Band, u64)> {
    let failed = run.faults.iter().filter(|band| band.nemesis.starts_with("power-all") && band.is_beyond());
    failed.map(|band| (band, run.next_acceptance(band.from.at_ns).unwrap_or(u64::MAX)))
}
