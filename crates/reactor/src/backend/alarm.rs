//! Time as an event, for hosts: a timerfd(2) that a multiplexer watches.
//!
//! It has the resolution of the system's timers, where a host's own wait may round to milliseconds. Nobody reads it:
//! registered edge-triggered, each expiry is an event, and setting it anew takes an expiry back that was not seen yet.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use super::SystemCalls;
use crate::instant::Instant;

#[derive(Debug)]
pub(super) struct Alarm {
    timer: OwnedFd,
    /// What it was last set to, in the future or the past.
    set: Option<Instant>,
}

impl Alarm {
    /// One that is not set. The multiplexer has to be told of its [descriptor](Self::descriptor).
    pub(super) fn new(calls: &mut SystemCalls) -> io::Result<Self> {
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        calls.others += 1;
        Ok(Self { timer, set: None })
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.timer.as_raw_fd()
    }

    /// Makes it go off at `until`, which is later than `now`, or never. It is never early: `now` was read before.
    pub(super) fn set(&mut self, until: Option<Instant>, now: Instant, calls: &mut SystemCalls) {
        let until = until.filter(|until| *until != Instant::FAR);
        let standing = self.set.filter(|set| *set > now);
        self.set = until;
        if until == standing {
            return;
        }
        calls.others += 1;
        let left = until.map_or(Duration::ZERO, |until| until.since(now));
        if let Err(error) = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once(left)) {
            // A timer of ours and a valid time leave no way to fail.
            tracing::error!(%error, "the alarm for a loop's host could not be set");
        }
    }
}

/// One expiry after `left`; zero disarms.
fn once(left: Duration) -> Itimerspec {
    let it_value = Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    };
    Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value }
}
