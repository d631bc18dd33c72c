//! Whether many small steps together take long, for hardly any reading of the clock.

use std::time::Duration;

use crate::instant::Instant;

/// What others may wait for that could go on by themselves: their sends, or bytes that have arrived for a task. The work of a
/// hundred connections that echo is shorter.
pub(crate) const SHORT: Duration = Duration::from_micros(50);
/// The clock is read with the second step, the fourth, the eighth and so on, and then with each of so many.
const CHECK: usize = 64;

/// Whether the clock is read with this step.
pub(crate) fn looks(step: usize) -> bool {
    step > 1 && (step.is_power_of_two() || step % CHECK == 0)
}

/// After how many steps the clock is to be read next, where it is read after so many.
pub(crate) fn next_look(steps: usize) -> usize {
    steps + (steps + 1).min(CHECK)
}

#[derive(Debug, Default)]
pub(crate) struct Patience {
    steps: usize,
    since: Option<Instant>,
}

impl Patience {
    /// Counts a step. Whether those since the last answer of this kind have taken longer than that.
    pub(crate) fn ends(&mut self, longest: Duration, now: impl FnOnce() -> Instant) -> bool {
        self.steps += 1;
        if !looks(self.steps) {
            return false;
        }
        let now = now();
        let ends = now.since(*self.since.get_or_insert(now)) > longest;
        if ends {
            *self = Self { steps: 0, since: Some(now) };
        }
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps after which it ends, and how often the clock was read, where each takes so long.
    fn ends(steps: usize, each: Duration) -> (Vec<usize>, u32) {
        let (mut patience, mut ended, mut reads) = (Patience::default(), Vec::new(), 0);
        for step in 1..=steps {
            let now = || {
                reads += 1;
                Instant::ZERO + each * u32::try_from(step).expect("a small number")
            };
            if patience.ends(SHORT, now) {
                ended.push(step);
            }
        }
        (ended, reads)
    }

    #[test]
    fn who_is_told_when_to_look_looks_with_the_same_steps() {
        let mut told = Vec::new();
        let mut steps = 1;
        while steps < 1000 {
            told.push(steps + 1);
            steps = next_look(steps);
        }
        assert_eq!(told, (1..=1000).filter(|step| looks(*step)).collect::<Vec<_>>());
    }

    #[test]
    fn short_steps_cost_few_readings() {
        assert_eq!(ends(100, Duration::from_nanos(300)), (vec![], 6));
        assert_eq!(ends(1, Duration::from_secs(1)), (vec![], 0));
    }

    #[test]
    fn long_steps_end_it_soon() {
        assert_eq!(ends(10, Duration::from_micros(100)).0, [4, 6, 8, 10]);
    }

    #[test]
    fn many_short_steps_end_it_too() {
        assert_eq!(ends(1000, Duration::from_nanos(300)).0, [192, 384, 576, 768, 960]);
    }
}
