//! The name of one slot of the loop for one life of it.

use std::fmt;

/// Names a connection or a listener of one loop: a slot, and which of the slot's lives is meant.
///
/// A key is never given out twice by one loop (the generation wraps after four thousand million lives
/// of one slot), so a completion that comes late cannot reach whoever uses the slot now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// The key of the slot `index` in its life `generation`.
    #[must_use]
    pub const fn new(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }

    /// The slot. Backends may use it to index a table of their own: slots are dense and reused.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// Which life of the slot is meant.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.generation
    }

    /// The key as one number, for the user data that kernels carry around.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// The key that [`Key::to_u64`] made the number from.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        #[allow(clippy::cast_possible_truncation)]
        Self { index: number as u32, generation: (number >> 32) as u32 }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}
