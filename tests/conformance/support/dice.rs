//! What decides for a test that leaves something to chance.

use std::cell::Cell;

use marline_reactor::{ChoiceKind, Choices, Handle};

use super::World;

/// Numbers that follow from a seed.
pub enum Dice {
    OfTheWorld(Handle),
    Own(Choices),
}

impl Dice {
    /// A seeded world decides by its own seed. Others have dice with this one, because tame worlds would do the same always.
    pub fn of(world: &World, seed: u64) -> Self {
        if world.is_seeded() { Self::OfTheWorld(world.handle()) } else { Self::Own(Choices::seeded(seed)) }
    }

    pub fn below(&self, limit: usize) -> usize {
        match self {
            _ if limit == 0 => 0,
            Self::OfTheWorld(handle) => handle.choose(ChoiceKind::Event, limit),
            Self::Own(choices) => choices.choose(ChoiceKind::Event, limit),
        }
    }

    pub fn one_in(&self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// Counts what chance brought about.
pub fn bump(counter: &Cell<usize>) {
    counter.set(counter.get() + 1);
}
