//! A descriptor for a foreign loop that drives this one.
//!
//! The descriptor of a ring with `DEFER_TASKRUN` never wakes an epoll set that contains it; an eventfd that is registered with
//! the ring does. The kernel writes to it whenever a completion is made or can be fetched, and each wait reads it.
//!
//! What wakes a foreign source may be a write to an eventfd, and from within one the kernel puts off writing to another
//! (`eventfd_signal_allowed`), for milliseconds. So a host watches a set of two: that eventfd, and the multiplexer of
//! foreign sources itself. Each wait of a hosted loop looks at the latter, and the ring need not.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::event::{EventfdFlags, epoll, eventfd};

use super::Uring;
use super::ring::READABLE;
use super::tag::{Tag, What};
use crate::backend::{Alarm, Backend, SystemCalls};
use crate::instant::Instant;

/// What a host watches.
#[derive(Debug)]
pub(super) struct Host {
    /// Contains `event`, and the multiplexer of foreign sources once there is one.
    set: OwnedFd,
    event: OwnedFd,
    alarm: Alarm,
}

impl Host {
    fn new(calls: &mut SystemCalls) -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let alarm = Alarm::new(calls)?;
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        calls.others += 2;
        let this = Self { set, event, alarm };
        this.contain(&this.event, calls)?;
        Ok(this)
    }

    /// From now on the host is woken by `source`, too, for as long as it is readable.
    pub(super) fn contain(&self, source: &impl AsFd, calls: &mut SystemCalls) -> io::Result<()> {
        calls.registrations += 1;
        // Nobody asks the set what is readable.
        epoll::add(&self.set, source, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        Ok(())
    }

    fn raise(&self) {
        // A counter of ours that is read at each wait has room.
        if let Err(error) = rustix::io::write(&self.event, &1_u64.to_ne_bytes()) {
            tracing::error!(%error, "a loop's host could not be told");
        }
    }

    fn lower(&self) {
        // It is not raised, or it was read.
        let _ = rustix::io::read(&self.event, &mut [0_u8; 8]);
    }
}

impl Uring {
    /// From now on a host waits for what this returns.
    pub(super) fn be_hosted(&mut self) -> io::Result<OwnedFd> {
        if self.host.is_none() {
            let host = Host::new(&mut self.calls)?;
            if let Some(poller) = &self.foreign {
                host.contain(poller.registry(), &mut self.calls)?;
            }
            let for_others = host.event.try_clone()?;
            // The last that can fail: it could not be done twice.
            self.ring.inner().submitter().register_eventfd(host.event.as_raw_fd())?;
            self.calls.others += 2;
            self.waker.tell_host(for_others);
            self.host = Some(host);
            self.poll_alarm();
        }
        self.calls.others += 1;
        match &self.host {
            Some(host) => host.set.try_clone(),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(super) fn poll_alarm(&mut self) {
        let Some(host) = &self.host else { return };
        let fd = host.alarm.descriptor();
        self.ring.poll(fd, READABLE, Tag::own(What::Alarm), &mut self.calls);
    }

    /// The host waits until then, if there is one. What was asked for has to begin without a wait of ours.
    pub(super) fn rest(&mut self, until: Option<Instant>) {
        let now = self.now();
        let mut busy = until.is_some_and(|until| until <= now);
        if !busy {
            self.prepare();
            // The next wait meets an error again.
            busy = self.ring.has_unsubmitted() && self.ring.submit(&mut self.calls).is_err();
            // A receive that is cancelled keeps its socket, and the peer without its end, until this has run.
            if self.host.is_none() && self.ring.wants_enter() {
                busy |= self.ring.submit(&mut self.calls).is_err();
            }
        }
        // Nobody hears of a quiet send that succeeded, so another turn tells of it: the host may look at what is buffered.
        let quiet = !self.lists.quiet.is_empty() || !self.departures.is_empty();
        busy |= self.host.is_some() && (quiet || self.has_events() || self.is_late());
        let Some(host) = &mut self.host else { return };
        if busy {
            self.calls.others += 1;
            host.raise();
        } else {
            host.alarm.set(until, now, &mut self.calls);
        }
    }

    /// Whether the kernel has something for us.
    fn is_late(&mut self) -> bool {
        self.ring.has_answers() || self.ring.wants_enter()
    }

    /// After a wait: what the host was woken for is done.
    pub(super) fn end_wait(&mut self) {
        let Some(host) = &self.host else { return };
        self.calls.others += 1;
        host.lower();
        // What came between is not lost with it.
        if self.is_late() {
            self.calls.others += 1;
            self.host.iter().for_each(Host::raise);
        }
    }
}
