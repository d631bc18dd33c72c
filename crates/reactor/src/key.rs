//! The name of one slot of the loop for one life of it.

use std::fmt;

/// Names a connection or a listener of one loop: a slot, and which of the slot's lives is meant.
///
/// A key is never given out twice by one loop (the generation wraps after four thousand million lives
/// of one slot), so a completion that comes late cannot reach whoever uses the slot now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(
    /// The slot in the lower half, its life in the upper one: one number goes through every call in one register.
    u64,
);

impl Key {
    /// No slot's: as slots are counted up from zero, memory ends long before this one.
    pub(crate) const NOBODY: Self = Self(u64::MAX);

    /// The key of the slot `index` in its life `generation`.
    #[must_use]
    pub const fn new(index: u32, generation: u32) -> Self {
        Self((generation as u64) << 32 | index as u64)
    }

    /// The slot. Backends may use it to index a table of their own: slots are dense and reused.
    #[must_use]
    pub const fn index(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }

    /// Which life of the slot is meant.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The key as one number, for the user data that kernels carry around.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        self.0
    }

    /// The key that [`Key::to_u64`] made the number from.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index(), self.generation())
    }
}
