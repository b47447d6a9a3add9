//! When what is broken: each track breaks one thing at a time, chosen by the seed, heals it, and waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::field::Field;
use crate::failure::Failure;
use crate::history::{Phase, What};
use crate::nemesis::{Blow, Nemesis, named};
use crate::random::Random;
use crate::scenario::Scenario;

/// Breaks and heals for that long; returns when everything is healed.
///
/// # Errors
/// If something could not be broken or healed as it was meant.
pub(super) async fn run(
    field: &Arc<Field>,
    scenario: &Scenario,
    seed: u64,
    length: Duration,
) -> Result<(), Failure> {
    let until = Instant::now() + length;
    let mut all = Vec::new();
    for (index, names) in scenario.tracks.iter().enumerate() {
        let nemeses: Vec<&'static dyn Nemesis> = names.iter().filter_map(|name| named(name)).collect();
        let random = Random::new(seed, &format!("track {index}"));
        all.push(tokio::spawn(track(Arc::clone(field), nemeses, random, until)));
    }
    if all.is_empty() {
        tokio::time::sleep(length).await;
    }
    let mut result = Ok(());
    for track in all {
        let ended = track.await.map_err(|error| Failure::internal(format!("a track: {error}")));
        result = result.and(ended.and_then(|ended| ended));
    }
    result
}

async fn track(
    field: Arc<Field>,
    nemeses: Vec<&'static dyn Nemesis>,
    mut random: Random,
    until: Instant,
) -> Result<(), Failure> {
    // Each comes once, in an order of the seed, before one comes again: a short run tries as many as it can.
    let mut left: Vec<&'static dyn Nemesis> = Vec::new();
    while Instant::now() < until {
        if left.is_empty() {
            left.clone_from(&nemeses);
        }
        let index = usize::try_from(random.below(left.len() as u64)).unwrap_or_default();
        let nemesis = left.swap_remove(index);
        let (low, high) = nemesis.lasts_ms();
        let (lasts, quiet) = (random.millis(low, high), random.millis(1_500, 5_000));
        if let Some(target) = nemesis.choose(&field, &mut random).await {
            blow(&field, nemesis, target, lasts).await?;
        }
        tokio::time::sleep(quiet.min(until.saturating_duration_since(Instant::now()))).await;
    }
    Ok(())
}

async fn blow(field: &Field, nemesis: &dyn Nemesis, target: String, lasts: Duration) -> Result<(), Failure> {
    let blow = Blow { id: field.next_fault(), target };
    let title = format!("{} {}", nemesis.name(), blow.target);
    let say = |phase| {
        let (nemesis, target) = (nemesis.name().to_owned(), blow.target.clone());
        field.sink.runner(What::Fault { fault: blow.id, nemesis, target, phase });
    };
    // Said before it begins and after it has ended: nothing of it is outside.
    say(Phase::Begins);
    field.sink.in_force().insert(title.clone());
    let begun = nemesis.begin(field, &blow).await;
    if begun.is_ok() {
        tokio::time::sleep(lasts).await;
    }
    // Also what began only in part.
    let healed = nemesis.heal(field, &blow).await;
    field.sink.in_force().remove(&title);
    say(Phase::Ends);
    begun.and(healed)
}
