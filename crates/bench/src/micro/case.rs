//! What is measured.

use std::time::Duration;

/// How many sleeps wait while another is set and cancelled, and how many end at one instant.
pub const LIVE: u64 = 10_000;
/// How many tasks are spawned, calls scheduled or items sent before anybody looks for them.
pub const BATCH: u64 = 1_000;
/// Within which time random sleeps end.
pub const SPREAD: Duration = Duration::from_secs(1);

/// One kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// A task is spawned and awaited, again and again.
    SpawnAwait,
    /// [`BATCH`] tasks are spawned, then awaited in the same order.
    SpawnJoin,
    /// Two tasks that wake each other; an operation is one wake and one poll.
    WakePingPong,
    /// A task yields while no other is ready.
    Yield1,
    /// A hundred tasks yield in turn.
    Yield100,
    /// Ten thousand tasks yield in turn.
    Yield10000,
    /// [`BATCH`] calls (where there are none: tasks that nobody joins) are scheduled, then run.
    CallSoon,
    /// A sleep of seconds is set and cancelled.
    TimerCancel,
    /// The same while [`LIVE`] others wait.
    TimerCancelAmong,
    /// Tasks that sleep until random times within a second, all at once, from spawning to joining.
    Sleeps,
    /// Tasks that sleep until the same instant, [`LIVE`] at once.
    Expiry,
    /// A thread is asked something and answers; the loop sleeps meanwhile. An operation is the round trip.
    ThreadWake,
    /// A thread sends as fast as it can.
    ThreadFlood,
    /// Futures that are ready after one yield, gathered ten at a time; an operation is one future.
    Gather10,
    /// As before, a thousand at a time.
    Gather1000,
    /// As before, ten thousand at a time.
    Gather10000,
    /// A future that is ready after one yield, beside one that never is.
    Select2,
    /// The same beside 63 that never are.
    Select64,
    /// A value handed to a waiting task, once for each pair of ends; what lets the other task send is one wake more.
    Oneshot,
    /// Two tasks that send to each other; an operation is one item.
    ChannelPingPong,
    /// [`BATCH`] items are sent, then received by another task; an operation is one item.
    ChannelHandOver,
}

/// What is known of a case before it runs.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Which one.
    pub case: Case,
    /// Its name on the command line.
    pub name: &'static str,
    /// Its name in tables.
    pub title: &'static str,
    /// How many operations are timed: they take the faster contestants some 50 ms.
    pub count: u64,
    /// How many operations the warm-up has, and the shorter run of those whose instructions are counted.
    pub few: u64,
}

/// Every case, in the order of tables.
pub const ALL: [Plan; 21] = [
    plan(Case::SpawnAwait, "spawn-await", "spawn and await", 400_000, 10_000),
    plan(Case::SpawnJoin, "spawn-join", "spawn and join of 1 000", 400_000, 10_000),
    plan(Case::WakePingPong, "wake", "wake ping-pong", 1_000_000, 10_000),
    plan(Case::Yield1, "yield-1", "yield, 1 task", 1_000_000, 10_000),
    plan(Case::Yield100, "yield-100", "yield, 100 tasks", 2_000_000, 10_000),
    plan(Case::Yield10000, "yield-10000", "yield, 10 000 tasks", 1_000_000, 100_000),
    plan(Case::CallSoon, "call-soon", "call soon, 1 000 at a time", 1_000_000, 10_000),
    plan(Case::TimerCancel, "timer", "timer: set and cancel", 200_000, 10_000),
    plan(Case::TimerCancelAmong, "timer-among", "timer: the same among 10 000", 100_000, 10_000),
    plan(Case::Sleeps, "sleeps", "100 000 sleeps within a second", 100_000, 10_000),
    plan(Case::Expiry, "expiry", "10 000 sleeps end at once", 50_000, 10_000),
    plan(Case::ThreadWake, "thread-wake", "round trip with a thread", 8_000, 500),
    plan(Case::ThreadFlood, "thread-flood", "flood from a thread", 500_000, 10_000),
    plan(Case::Gather10, "gather-10", "gather of 10", 500_000, 10_000),
    plan(Case::Gather1000, "gather-1000", "gather of 1 000", 500_000, 10_000),
    plan(Case::Gather10000, "gather-10000", "gather of 10 000", 500_000, 20_000),
    plan(Case::Select2, "select-2", "select of 2", 500_000, 10_000),
    plan(Case::Select64, "select-64", "select of 64", 50_000, 1_000),
    plan(Case::Oneshot, "oneshot", "oneshot", 300_000, 10_000),
    plan(Case::ChannelPingPong, "channel", "channel ping-pong", 500_000, 10_000),
    plan(Case::ChannelHandOver, "channel-1000", "channel hand-over of 1 000", 1_000_000, 10_000),
];

const fn plan(case: Case, name: &'static str, title: &'static str, count: u64, few: u64) -> Plan {
    Plan { case, name, title, count, few }
}

impl Case {
    /// What is known of it.
    #[must_use]
    pub fn plan(self) -> Plan {
        ALL[self as usize]
    }

    /// The one with this name on the command line.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        ALL.iter().find(|plan| plan.name == name).map(|plan| plan.case)
    }

    /// Whether waiting is part of it, so that the time on the wall says something too.
    #[must_use]
    pub fn waits(self) -> bool {
        matches!(self, Self::Sleeps | Self::ThreadWake)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_at_its_place_and_is_found_by_its_name() {
        for plan in ALL {
            assert_eq!(plan.case.plan().name, plan.name);
            assert_eq!(Case::find(plan.name), Some(plan.case));
            assert_eq!(plan.count % plan.few, 0, "{}", plan.name);
        }
        assert_eq!(Case::find("none"), None);
    }
}
