//! Whether a state can only get better: what follows when the faults are over and everybody is given its turn.

use crate::actions::Action;
use crate::bounds::Bounds;
use crate::contender::Request;
use crate::world::World;

/// Whether everybody who waits is granted the lock in the end: no more faults, requests answered at once, holders
/// release, and the store is as late as it may be. What the network still carries arrives at once, or never.
pub(crate) fn all_are_served(bounds: &Bounds, world: &World) -> bool {
    let without_strays = || {
        let mut world = world.clone();
        world.strays.clear();
        world
    };
    served(bounds, world.clone()) && (world.strays.is_empty() || served(bounds, without_strays()))
}

fn served(bounds: &Bounds, mut world: World) -> bool {
    let mut waiting: Vec<usize> =
        (0..world.contenders.len()).filter(|i| world.contenders[*i].is_waiting()).collect();
    let nonces: Vec<String> = world.contenders.iter().map(|contender| contender.nonce()).collect();
    // Each may have to wait for one expiry of a record, and for one of a reservation.
    let turns = bounds.must_go(0, bounds.times().store_secs() + 4) * world.contenders.len() as u64;
    let end = world.tick + turns;
    while !waiting.is_empty() {
        while let Some(action) = fair(bounds, &world, &waiting) {
            world.act(bounds, action);
            let now = bounds.now(world.tick);
            waiting.retain(|i| {
                let contender = &world.contenders[*i];
                contender.nonce() == nonces[*i] && !contender.believes(now)
            });
        }
        if world.tick >= end {
            break;
        }
        let must_expire = world.store.expiry(bounds, world.tick).1;
        world.act(bounds, if must_expire { Action::Expire } else { Action::Tick });
    }
    waiting.is_empty()
}

/// What a fair world does next, short of letting time pass.
fn fair(bounds: &Bounds, world: &World, waiting: &[usize]) -> Option<Action> {
    if let Some(k) = world.strays.iter().position(|write| world.store.would_apply(bounds, write)) {
        return Some(Action::DeliverStray(k));
    }
    (0..world.contenders.len()).find_map(|i| {
        let contender = &world.contenders[i];
        match &contender.request {
            _ if contender.paused => Some(Action::Resume(i)),
            Some(Request::Sent(_)) => Some(Action::Deliver(i)),
            Some(Request::Answered { .. }) => None,
            Some(Request::Look { there: Some(_), .. }) => Some(Action::Find(i)),
            Some(Request::Look { there: None, .. }) => Some(Action::FindNothing(i)),
            None if contender.may_end() => Some(Action::Release(i)),
            None if waiting.contains(&i) && world.may_claim(contender) => Some(Action::Claim(i)),
            None => None,
        }
    })
}
