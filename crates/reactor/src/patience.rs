//! Whether many small steps together take long, for hardly any reading of the clock.

use std::time::Duration;

use crate::instant::Instant;

/// What others may wait for that could go on by themselves: their sends, or bytes that have arrived for a task. The work of a
/// hundred connections that echo is shorter.
pub(crate) const SHORT: Duration = Duration::from_micros(50);
/// After so many steps the clock is read at the latest.
const MOST: u32 = 64;
/// It is read more often where steps take so many nanoseconds between two readings, seldom again where they take half of that at most,
/// and very seldom where four times as many are short as well.
const LONG: u64 = 500_000;
#[allow(clippy::cast_possible_truncation)]
const NOTHING: u64 = SHORT.as_nanos() as u64 / 4;

/// Tells with which steps the clock is read: the second, the fourth, the twelfth, the 44th, and then each 64th; more often where
/// steps are long, with each if need be.
#[derive(Debug)]
pub(crate) struct Looks {
    /// The step with which it is read next.
    next: u32,
    gap: u32,
    /// When it was read last; [`Instant::FAR`] if it was not.
    last: Instant,
}

impl Looks {
    #[inline]
    pub(crate) const fn from(first: u32) -> Self {
        Self { next: first, gap: 1, last: Instant::FAR }
    }

    #[inline]
    pub(crate) fn is_time(&self, step: u32) -> bool {
        step >= self.next
    }

    /// It was read with this step.
    pub(crate) fn looked(&mut self, step: u32, now: Instant) {
        let took = now.as_nanos().saturating_sub(self.last.as_nanos());
        // Of the first steps nobody knows how long they took.
        let took_nothing = took <= NOTHING && self.last != Instant::FAR;
        self.last = now;
        if took > LONG {
            self.gap = (self.gap / 2).max(1);
        } else if took <= LONG / 2 {
            self.gap = (if took_nothing { 4 } else { 2 } * self.gap).min(MOST);
        }
        self.next = step + self.gap;
    }

    /// Sees to it that it is read with that step, if it comes to it.
    pub(crate) fn come_before(&mut self, step: u32) {
        self.next = self.next.min(step);
    }
}

#[derive(Debug)]
pub(crate) struct Patience {
    looks: Looks,
    /// When the clock was read for the first time; [`Instant::FAR`] if it was not.
    since: Instant,
    steps: u32,
}

impl Default for Patience {
    #[inline]
    fn default() -> Self {
        Self::since(Instant::FAR)
    }
}

impl Patience {
    #[inline]
    const fn since(since: Instant) -> Self {
        Self { looks: Looks::from(2), since, steps: 0 }
    }

    /// Counts a step. Whether those since the last answer of this kind have taken longer than `longest` says that they may at
    /// this moment.
    #[inline]
    pub(crate) fn ends(
        &mut self,
        longest: impl FnOnce(Instant) -> Duration,
        now: impl FnOnce() -> Instant,
    ) -> bool {
        self.step();
        self.has_ended(longest, now)
    }

    /// Counts a step: how many there were.
    #[inline]
    pub(crate) fn step(&mut self) -> u32 {
        self.steps += 1;
        self.steps
    }

    /// The same for so many.
    pub(crate) fn count(&mut self, steps: u32) {
        self.steps += steps;
    }

    pub(crate) fn steps(&self) -> u32 {
        self.steps
    }

    /// What [`ends`](Self::ends) answers with the last step. It may be asked with fewer than all, but with [`next`](Self::next).
    #[inline]
    pub(crate) fn has_ended(
        &mut self,
        longest: impl FnOnce(Instant) -> Duration,
        now: impl FnOnce() -> Instant,
    ) -> bool {
        self.looks.is_time(self.steps) && self.look(longest, now())
    }

    /// It reads the clock again two steps from now, and soon after that.
    pub(crate) fn look_soon(&mut self) {
        self.looks = Looks { next: self.steps + 2, gap: 1, ..self.looks };
    }

    /// The step with which it reads the clock next.
    pub(crate) fn next(&self) -> u32 {
        self.looks.next
    }

    #[inline(never)]
    fn look(&mut self, longest: impl FnOnce(Instant) -> Duration, now: Instant) -> bool {
        self.looks.looked(self.steps, now);
        self.since = self.since.min(now);
        // A duration in between would be divided, and put together again.
        let ends = u128::from(now.as_nanos() - self.since.as_nanos()) > longest(now).as_nanos();
        if ends {
            *self = Self::since(now);
        }
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps after which it ends, and those with which the clock was read, where each takes so long as is said.
    fn ends(steps: usize, each: impl Fn(usize) -> Duration) -> (Vec<usize>, Vec<usize>) {
        let (mut patience, mut ended, mut read) = (Patience::default(), Vec::new(), Vec::new());
        let mut time = Instant::ZERO;
        for step in 1..=steps {
            time += each(step);
            let now = || {
                read.push(step);
                time
            };
            if patience.ends(|_| SHORT, now) {
                ended.push(step);
            }
        }
        (ended, read)
    }

    #[test]
    fn short_steps_cost_few_readings() {
        let quick = |_| Duration::from_nanos(300);
        assert_eq!(ends(100, quick), (vec![], vec![2, 4, 12, 44]));
        assert_eq!(ends(1, |_| Duration::from_secs(1)), (vec![], vec![]));
    }

    #[test]
    fn long_steps_end_it_soon() {
        assert_eq!(ends(10, |_| Duration::from_micros(100)).0, [4, 6, 8, 10]);
    }

    #[test]
    fn many_short_steps_end_it_too() {
        assert_eq!(ends(1000, |_| Duration::from_nanos(300)).0, [172, 344, 516, 688, 860]);
    }

    #[test]
    fn it_looks_soon_again_when_asked_to() {
        let (mut patience, mut read) = (Patience::default(), Vec::new());
        for step in 1..=40 {
            patience.ends(
                |_| SHORT,
                || {
                    read.push(step);
                    Instant::ZERO
                },
            );
            if step == 20 {
                patience.look_soon();
            }
        }
        assert_eq!(read, [2, 4, 12, 22, 26]);
    }

    #[test]
    fn where_steps_become_long_the_clock_is_read_with_each_and_where_they_become_short_seldom() {
        let mut looks = Looks::from(1);
        let (mut now, mut read) = (Instant::ZERO, Vec::new());
        for step in 1..=600 {
            now += Duration::from_micros(if (100..300).contains(&step) { 600 } else { 0 });
            if looks.is_time(step) {
                looks.looked(step, now);
                read.push(step);
            }
        }
        assert_eq!(read[..10], [1, 3, 11, 43, 107, 139, 155, 163, 167, 169]);
        assert!(read.windows(2).any(|pair| pair == [250, 251]), "{read:?}");
        assert!(read.last().is_some_and(|last| 600 - last < MOST), "{read:?}");
        assert!(read.iter().filter(|step| **step > 300).count() < 15, "{read:?}");
    }
}
