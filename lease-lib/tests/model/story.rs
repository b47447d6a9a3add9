//! A way through the world, for a person to read: who did what when, and what it led to.

use std::fmt::Write as _;

use lease::protocol::Slot;
use stateright::Path;

use crate::actions::Action;
use crate::bounds::Bounds;
use crate::contender::{Contender, Phase, Request};
use crate::mutant::Mutant;
use crate::store::{Answer, author};
use crate::world::World;

/// One action a line, each with the world after it.
pub(crate) fn story(bounds: &Bounds, path: Path<World, Action>) -> String {
    let mut story = String::new();
    let mut done: Option<String> = None;
    for (world, action) in path.into_vec() {
        if let Some(done) = done {
            // Writing to a string does not fail.
            let _ = writeln!(story, "    {done:44} {}", scene(bounds, &world));
        }
        done = action.map(|action| deed(&world, action));
    }
    story
}

/// What happens.
fn deed(world: &World, action: Action) -> String {
    let name = |i: usize| world.contenders[i].nonce();
    match action {
        Action::Tick => "a second passes".into(),
        Action::TickWithout(i) => format!("a second passes, {} stands still", name(i)),
        Action::Resume(i) => format!("{} goes on", name(i)),
        Action::Expire => "the store removes what has expired".into(),
        Action::Claim(i) => format!("{} claims what it read", name(i)),
        Action::ClaimBlindly(i) => format!("{} claims on an old read of nothing", name(i)),
        Action::Deliver(i) => format!("the store takes {}'s request", name(i)),
        Action::LoseRequest(i) => format!("{}'s request is lost, or late", name(i)),
        Action::LoseAnswer(i) => format!("{}'s request is taken, the answer lost", name(i)),
        Action::DoubleRequest(i) => format!("the network doubles {}'s request", name(i)),
        Action::RefuseInFlight(i) => format!("{} is refused: a write is in flight", name(i)),
        Action::RefuseLagging(i) => format!("{} is refused by a server left behind", name(i)),
        Action::Find(i) => format!("{} reads the revision", name(i)),
        Action::FindNothing(i) => format!("{} finds it overwritten", name(i)),
        Action::FailToRead(i) => format!("{} cannot read it", name(i)),
        Action::Release(i) => format!("{} gives back", name(i)),
        Action::HandOver(i, j) => format!("{} hands over to {}", name(i), name(j)),
        Action::Crash(i) => format!("{} dies", name(i)),
        Action::DeliverStray(k) => format!("a stray request of {} is applied", author(&world.strays[k])),
        Action::Mark => "an operator breaks the grant".into(),
        Action::Remove => "an operator removes the record".into(),
    }
}

/// A world in one line.
fn scene(bounds: &Bounds, world: &World) -> String {
    let stored = match world.store.slot() {
        Slot::Free { revision: 0, .. } => "absent".to_owned(),
        Slot::Free { revision, .. } => format!("free@{revision}"),
        Slot::Taken { revision, record, ttl_secs, .. } => format!(
            "{}{}{}@{revision} ttl {ttl_secs}",
            if record.reserved { "kept for " } else { "" },
            record.attempt,
            if record.broken.is_some() { " broken" } else { "" }
        ),
        Slot::Shared { revision, .. } => format!("shared@{revision}"),
        Slot::Foreign { revision } => format!("foreign@{revision}"),
    };
    let people: Vec<String> = world.contenders.iter().map(|c| person(bounds, world, c)).collect();
    let strays: Vec<&str> = world.strays.iter().map(|write| write.id.as_str()).collect();
    let strays = if strays.is_empty() { String::new() } else { format!(" | stray: {}", strays.join(", ")) };
    let foul = world.foul.map_or(String::new(), |foul| format!(" | {foul:?}!"));
    format!("{} s [{stored}] {}{strays}{foul}", world.tick, people.join(" | "))
}

fn person(bounds: &Bounds, world: &World, c: &Contender) -> String {
    let now = Mutant::believes_at(bounds, bounds.now(world.tick));
    let phase = match &c.phase {
        Phase::Idle if c.attempt == 0 => return format!("{}: done", c.name),
        Phase::Idle => "waits".to_owned(),
        Phase::Claiming { claim, .. } if claim.is_open() => "claims, open".to_owned(),
        Phase::Claiming { .. } => "claims".to_owned(),
        Phase::Holding(hold) => format!("{:?}, token {}", hold.status(now), hold.token()),
    };
    let request = match &c.request {
        None => String::new(),
        Some(Request::Sent(write)) => format!(", sends {} for {}", write.id, write.expect),
        Some(Request::Answered { answer: Answer::Applied { revision, duplicate }, .. }) => {
            format!(", \"{revision}{}\" comes", if *duplicate { ", a duplicate" } else { "" })
        }
        Some(Request::Answered { answer: Answer::Conflict { current }, .. }) => {
            format!(", \"no, {current}\" comes")
        }
        Some(Request::Look { revision, .. }) => format!(", reads {revision}"),
    };
    let voided = if c.voided { ", void" } else { "" };
    format!("{}: {phase}{voided}{request}{}", c.nonce(), if c.paused { ", still" } else { "" })
}
