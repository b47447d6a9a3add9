//! Running the checker over all of a bounded world.

use std::time::{Duration, Instant};

use stateright::{Checker, CheckerBuilder, HasDiscoveries, Model, Property};

use crate::actions::Action;
use crate::bounds::Bounds;
use crate::properties;
use crate::seen::{Seen, Sight};
use crate::story::story;
use crate::world::World;

pub(crate) struct Exploration {
    pub bounds: Bounds,
    seen: Seen,
}

impl Model for Exploration {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.bounds.contenders)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        world.possible(&self.bounds, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let next = world.after(&self.bounds, action);
        self.seen.step(&self.bounds, world, action, &next);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Exploration>> {
        properties::all()
    }
}

/// What a run came to.
pub(crate) struct Outcome {
    /// The properties that do not hold, each with the way to where it fails.
    pub failed: Vec<(&'static str, String)>,
    pub unseen: Vec<Sight>,
}

/// Explores everything within the bounds; depth first, which needs little memory.
pub(crate) fn explore(title: &str, bounds: Bounds, threads: usize) -> Outcome {
    println!("{title}: {bounds}");
    let checker = builder(bounds).threads(threads).finish_when(HasDiscoveries::AnyFailures);
    run(bounds, || checker.spawn_dfs().join())
}

/// Looks for the properties that a wrong protocol breaks; breadth first, for the shortest ways there.
pub(crate) fn refute(bounds: Bounds, wanted: &[&'static str], limit: Duration) -> Outcome {
    println!("{:?}: {bounds}", bounds.mutant);
    let wanted = HasDiscoveries::AllOf(wanted.iter().copied().collect());
    let checker = builder(bounds).finish_when(wanted).timeout(limit);
    run(bounds, || checker.spawn_bfs().join())
}

fn builder(bounds: Bounds) -> CheckerBuilder<Exploration> {
    Exploration { bounds, seen: Seen::default() }.checker()
}

#[expect(clippy::disallowed_methods, reason = "how long a run took is printed")]
fn run<C: Checker<Exploration>>(bounds: Bounds, join: impl FnOnce() -> C) -> Outcome {
    let begun = Instant::now();
    let checker = join();
    println!(
        "  {} states, {} unique, depth {}, {:.1} s",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
        begun.elapsed().as_secs_f32()
    );
    let mut failed: Vec<_> =
        checker.discoveries().into_iter().map(|(name, path)| (name, story(&bounds, path))).collect();
    failed.sort_by_key(|(name, _)| *name);
    for (name, story) in &failed {
        println!("  broken: {name}\n{story}");
    }
    Outcome { failed, unseen: checker.model().seen.missing(&bounds) }
}
