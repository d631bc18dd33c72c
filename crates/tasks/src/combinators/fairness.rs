//! The order in which rivals are asked, when it is not to favour any of them.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use marline_reactor::{ChoiceKind, Handle};

thread_local! {
    static STATE: Cell<u64> = Cell::new(seed());
}

/// Draws a number below `among`; 0 is the tame answer, and the only one where there is no choice. On a loop it comes from
/// the stream of the loop's choices, so that a run can be repeated; under another executor from a generator of the thread's.
pub(crate) fn fairness(among: usize) -> usize {
    if among < 2 {
        return 0;
    }
    if let Ok(handle) = Handle::current() {
        return handle.choose(ChoiceKind::Fairness, among);
    }
    // A thread that is ending has lost its state. Order matters to nobody then, but a panic would.
    let drawn = STATE.try_with(|state| {
        state.set(step(state.get()));
        state.get().wrapping_mul(0x2545_F491_4F6C_DD1D)
    });
    below(drawn.unwrap_or(0), among)
}

/// Seeds from the randomness that the standard library already drew for its hash maps. Zero is the one state
/// that the generator never leaves.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish() | 1
}

/// One step of Marsaglia's xorshift; the caller's multiplication makes it Vigna's xorshift64*.
fn step(mut x: u64) -> u64 {
    x ^= x >> 12;
    x ^= x << 25;
    x ^ (x >> 27)
}

/// Maps a number onto `0..among` through its high bits, which are the generator's better ones.
fn below(drawn: u64, among: usize) -> usize {
    ((u128::from(drawn) * among as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_below_the_limit_is_drawn_about_as_often() {
        let mut counts = [0u32; 5];
        for _ in 0..5000 {
            counts[fairness(5)] += 1;
        }
        assert!(counts.iter().all(|&count| (800..1200).contains(&count)), "{counts:?}");
    }

    #[test]
    fn where_there_is_no_choice_the_answer_is_zero() {
        assert_eq!((fairness(0), fairness(1)), (0, 0));
    }
}
