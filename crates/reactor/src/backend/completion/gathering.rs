//! Whether a wait gathers answers for some microseconds.
//!
//! That makes large batches of many connections' input, and a large batch costs a tenth less for each. But whoever gathers sleeps,
//! and where few connections are busy it would sleep before each batch: with 64 of them, echoes cost a tenth more of the processor, and
//! a fifth more time. How large the batches are does not tell the two apart, as they are small before anything is gathered. So
//! those are counted for whom the ring received anything of late, each once. Connections in bulk are not: each of them keeps the loop
//! busy for so long that a batch of few is as good.

use std::time::Duration;

/// So many connections make it worth while.
const MANY: usize = 192;
/// How many waits are of late.
const EPOCH: u8 = 16;
/// How slowly the best wait is forgotten: by a share of one to so many with each wait.
const FADING: usize = 16;

/// What the last waits brought.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// For how long at most; `None` if never.
    time: Option<Duration>,
    /// How much input the last wait brought, and the best of those before it.
    brought: usize,
    best: usize,
    /// Of how many connections, in this epoch and in the one before it.
    busy: usize,
    busy_before: usize,
    waits: u8,
    epoch: u8,
}

impl Gathering {
    pub(super) fn new(time: Option<Duration>) -> Self {
        // What is new was busy in epoch 0, which comes after all others.
        Self { time, epoch: 1, ..Self::default() }
    }

    /// A wait is over: what it brought is counted from here on.
    pub(super) fn begin(&mut self) {
        self.brought = 0;
        self.waits += 1;
        if self.waits == EPOCH {
            self.waits = 0;
            self.epoch = self.epoch.wrapping_add(1);
            self.busy_before = std::mem::take(&mut self.busy);
        }
    }

    /// Input came of a connection that was last `busy` in that epoch.
    #[inline]
    pub(super) fn note(&mut self, busy: &mut u8) {
        self.brought += 1;
        if *busy != self.epoch {
            self.busy += 1;
            *busy = self.epoch;
        }
    }

    /// How much input the next wait goes on for, and for how long at most.
    pub(super) fn want(&mut self, limit: Option<Duration>) -> Option<(usize, Duration)> {
        self.best = self.brought.max(self.best - self.best.div_ceil(FADING));
        let worth_while = self.busy.max(self.busy_before) >= MANY;
        let time = self.time.filter(|time| worth_while && limit.is_none_or(|limit| limit > *time))?;
        Some((self.best.max(1), time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_micros(50);

    /// Some connections, of which a part has input in each wait, one after the other.
    fn after_waits(connections: usize, each: usize) -> Option<usize> {
        let (mut gathering, mut epochs) = (Gathering::new(Some(TIME)), vec![0; connections]);
        let mut next = (0..connections).cycle();
        let mut want = None;
        for _ in 0..3 * EPOCH {
            gathering.begin();
            next.by_ref().take(each).for_each(|index| gathering.note(&mut epochs[index]));
            want = gathering.want(None).map(|(want, _)| want);
        }
        want
    }

    #[test]
    fn many_connections_are_waited_for_however_few_come_at_once() {
        assert_eq!(after_waits(1000, 40), Some(40));
        assert_eq!(after_waits(1000, 700), Some(700));
    }

    #[test]
    fn few_are_not_however_much_they_send() {
        assert_eq!(after_waits(64, 40), None);
        assert_eq!(after_waits(64, 64), None);
        assert_eq!(after_waits(1000, 1), None);
    }

    #[test]
    fn what_was_long_ago_counts_no_more() {
        let mut gathering = Gathering::new(Some(TIME));
        gathering.begin();
        (0..500).for_each(|_| gathering.note(&mut 0));
        assert_eq!(gathering.want(Some(TIME * 2)), Some((500, TIME)));
        assert_eq!(gathering.want(Some(TIME)), None, "a timer comes first");
        (0..2 * EPOCH).for_each(|_| gathering.begin());
        assert_eq!(gathering.want(None), None);
        assert_eq!(Gathering::new(None).want(None), None);
    }
}
