//! For how long sends wait for the next wait, which submits them.
//!
//! One call for all of a turn's sends is what a ring is for. But where each callback takes long, as handshakes do, the peer of
//! the first would wait for the callbacks of all the others, and compute nothing meanwhile.

use std::time::Duration;

use crate::instant::Instant;

/// A turn of a hundred connections that echo is shorter.
const LONGEST: Duration = Duration::from_micros(50);
/// The clock is read with the second send, the fourth, the eighth and so on, and then with each of so many.
const CHECK: u32 = 64;

#[derive(Debug, Default)]
pub(super) struct Patience {
    sends: u32,
    since: Option<Instant>,
}

impl Patience {
    /// Everything was submitted.
    pub(super) fn begin(&mut self) {
        *self = Self::default();
    }

    /// Counts a send. Whether those that wait shall be submitted, as they have waited for long.
    pub(super) fn ends(&mut self, now: impl FnOnce() -> Instant) -> bool {
        self.sends += 1;
        let looks = self.sends > 1 && (self.sends.is_power_of_two() || self.sends % CHECK == 0);
        if !looks {
            return false;
        }
        let now = now();
        let ends = now.since(*self.since.get_or_insert(now)) > LONGEST;
        if ends {
            *self = Self { sends: 0, since: Some(now) };
        }
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sends after which there is a submission, and how often the clock was read, where each takes so long.
    fn submissions(sends: u32, each: Duration) -> (Vec<u32>, u32) {
        let (mut patience, mut ended, mut reads) = (Patience::default(), Vec::new(), 0);
        for send in 1..=sends {
            let now = || {
                reads += 1;
                Instant::ZERO + each * send
            };
            if patience.ends(now) {
                ended.push(send);
            }
        }
        (ended, reads)
    }

    #[test]
    fn short_callbacks_send_together() {
        assert_eq!(submissions(100, Duration::from_nanos(300)), (vec![], 6));
        assert_eq!(submissions(1, Duration::from_secs(1)), (vec![], 0));
    }

    #[test]
    fn long_callbacks_do_not_wait_for_each_other() {
        assert_eq!(submissions(10, Duration::from_micros(100)).0, [4, 6, 8, 10]);
    }

    #[test]
    fn many_callbacks_are_long_together() {
        assert_eq!(submissions(1000, Duration::from_nanos(300)).0, [192, 384, 576, 768, 960]);
    }

    #[test]
    fn a_wait_submits() {
        let mut patience = Patience::default();
        let at = |micros| move || Instant::ZERO + Duration::from_micros(micros);
        assert!(!patience.ends(at(0)) && !patience.ends(at(0)));
        patience.begin();
        assert!(!patience.ends(at(100)) && !patience.ends(at(100)) && !patience.ends(at(100)));
    }
}
