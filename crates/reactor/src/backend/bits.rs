//! A small set of named bits.

/// A set of up to sixteen things that are so or are not so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits(u16);

impl Bits {
    pub(super) const NONE: Self = Self(0);

    /// The set of bit `number` alone.
    pub(super) const fn bit(number: u8) -> Self {
        Self(1 << number)
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// `self` if `so`, else nothing.
    pub(super) const fn when(self, so: bool) -> Self {
        if so { self } else { Self::NONE }
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it has, of `bits`, exactly `those`.
    #[cfg_attr(not(all(target_os = "linux", feature = "io-uring")), allow(dead_code))]
    pub(super) const fn has_of(self, bits: Self, those: Self) -> bool {
        self.0 & bits.0 == those.0
    }

    /// Whether any of `bits` is in the set.
    pub(super) const fn has(self, bits: Self) -> bool {
        self.0 & bits.0 != 0
    }

    pub(super) const fn insert(&mut self, bits: Self) {
        self.0 |= bits.0;
    }

    pub(super) const fn remove(&mut self, bits: Self) {
        self.0 &= !bits.0;
    }

    /// Takes the lowest bit out of the set.
    pub(super) const fn pop(&mut self) -> Option<Self> {
        if self.0 == 0 {
            return None;
        }
        let lowest = self.0 & self.0.wrapping_neg();
        self.0 &= !lowest;
        Some(Self(lowest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_out_lowest_first() {
        let mut bits = Bits::bit(5).or(Bits::bit(1)).or(Bits::bit(3).when(false));
        assert!(bits.has(Bits::bit(5)) && !bits.has(Bits::bit(3)));
        assert_eq!(bits.pop(), Some(Bits::bit(1)));
        assert_eq!(bits.pop(), Some(Bits::bit(5)));
        assert_eq!((bits.pop(), bits.is_empty()), (None, true));
    }
}
