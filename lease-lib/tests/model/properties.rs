//! What must hold in every world.

use stateright::Property;

use crate::contender::Contender;
use crate::explore::Exploration;
use crate::mutant::Mutant;
use crate::progress::all_are_served;
use crate::store::Foul;
use crate::world::World;

pub(crate) const ONE_HOLDER: &str = "at most one believes to hold";
pub(crate) const RECORD_STANDS: &str = "the record of whoever believes to hold stands";
pub(crate) const TOKENS_RISE: &str = "tokens rise in the order of the grants";
pub(crate) const UNTOUCHED: &str = "no write changes another attempt's record";
pub(crate) const NO_RETURN: &str = "what was lost or released is not believed again";
pub(crate) const NOTHING_LEFT: &str = "whoever is told that it is over has left nothing behind";
pub(crate) const MARK_STANDS: &str = "no write of a broken grant wipes out the mark";
pub(crate) const ALL_SERVED: &str = "whoever waits is granted it in the end";

pub(crate) fn all() -> Vec<Property<Exploration>> {
    vec![
        Property::always(ONE_HOLDER, |e: &Exploration, world: &World| believers(e, world).count() <= 1),
        Property::always(RECORD_STANDS, |e: &Exploration, world: &World| {
            believers(e, world).all(|contender| {
                world.store.record().is_some_and(|r| r.attempt == contender.nonce() && !r.reserved)
            })
        }),
        Property::always(TOKENS_RISE, |_, world: &World| world.foul != Some(Foul::TokenNotAbove)),
        Property::always(UNTOUCHED, |_, world: &World| world.foul != Some(Foul::TouchedAnother)),
        Property::always(NO_RETURN, |_, world: &World| world.foul != Some(Foul::Resurrected)),
        Property::always(NOTHING_LEFT, |_, world: &World| world.foul != Some(Foul::LeftBehind)),
        Property::always(MARK_STANDS, |_, world: &World| world.foul != Some(Foul::WipedMark)),
        Property::always(ALL_SERVED, |e: &Exploration, world: &World| {
            let ask =
                e.bounds.ask_progress_everywhere || (world.tick == e.bounds.horizon && world.is_quiet());
            !ask || all_are_served(&e.bounds, world)
        }),
    ]
}

/// Who believes to hold, by its own clock.
fn believers<'a>(e: &Exploration, world: &'a World) -> impl Iterator<Item = &'a Contender> {
    world.believers(Mutant::believes_at(&e.bounds, e.bounds.now(world.tick)))
}
