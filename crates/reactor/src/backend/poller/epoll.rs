//! The events of an epoll set, where mio registers: taken from the kernel's own list, one by one.
//!
//! mio's buffer can only be walked in one go, and the core stops between any two events to run user code, so each would have to
//! be translated and kept. Here nearly all are looked at where the kernel put them, and compared with what is usual.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;

use super::{EVENTS, Event, WAKE, due, says};
use crate::backend::bits::Bits;
use crate::key::Key;

/// What a connection says that bytes arrived on, and that takes some.
const USUAL: EventFlags = EventFlags::IN.union(EventFlags::OUT);

/// What the last waits brought and nobody has looked at.
pub(super) struct Events {
    buffer: Vec<epoll::Event>,
    /// How many of them were looked at.
    done: usize,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("left", &(self.buffer.len() - self.done)).finish()
    }
}

impl Events {
    pub(super) fn new() -> Self {
        Self { buffer: Vec::with_capacity(EVENTS), done: 0 }
    }

    /// Waits, and puts what happened behind what is still there. Whether it is all that fits.
    pub(super) fn wait(&mut self, poll: &mut mio::Poll, timeout: Option<Duration>) -> io::Result<bool> {
        self.buffer.drain(..self.done);
        self.done = 0;
        let room = EVENTS - self.buffer.len().min(EVENTS);
        if room == 0 {
            return Ok(true);
        }
        let timeout = timeout.map(whole_milliseconds);
        let into = rustix::buffer::spare_capacity(&mut self.buffer);
        match epoll::wait(poll.registry(), into, timeout.as_ref()) {
            Ok(count) => {
                // That somebody woke the loop is over with the wait. What stands between others is passed over.
                while self.buffer.last().is_some_and(|last| last.data.u64() == WAKE.0 as u64) {
                    self.buffer.pop();
                }
                Ok(count >= room)
            }
            // A signal came.
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.done == self.buffer.len()
    }

    /// Takes the next events that say no more than that there is input, and room for output: their keys, and how many they are.
    pub(super) fn take_usual(&mut self, keys: &[Cell<Key>]) -> usize {
        let is_usual = |event: &epoll::Event| {
            let flags = event.flags;
            flags == USUAL
        };
        let usual = self.buffer[self.done..].iter().zip(keys).take_while(|(event, _)| is_usual(event));
        let count = usual.map(|(event, key)| key.set(Key::from_u64(event.data.u64()))).count();
        self.done += count;
        count
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        loop {
            let event = *self.buffer.get(self.done)?;
            self.done += 1;
            if event.data.u64() != WAKE.0 as u64 {
                let says = translate(event.flags);
                return Some(Event { key: Key::from_u64(event.data.u64()), says, due: due::LOOK });
            }
        }
    }
}

/// Rounded up, so that no wait ends before its moment: epoll counts in milliseconds, and kernels that can do better are few.
fn whole_milliseconds(timeout: Duration) -> Timespec {
    let rounded = timeout.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128);
    let millis = i64::try_from(rounded).unwrap_or(i64::MAX);
    Timespec { tv_sec: millis / 1_000, tv_nsec: (millis % 1_000) * 1_000_000 }
}

/// What the kernel says, in the words of mio, which knows several kernels.
fn translate(flags: EventFlags) -> Bits {
    let any = |bits: EventFlags| flags.intersects(bits);
    let ended = any(EventFlags::HUP) || flags.contains(EventFlags::IN | EventFlags::RDHUP);
    let hung_up =
        any(EventFlags::HUP) || flags.contains(EventFlags::OUT | EventFlags::ERR) || flags == EventFlags::ERR;
    says::READABLE
        .when(any(EventFlags::IN | EventFlags::PRI))
        .or(says::WRITABLE.when(any(EventFlags::OUT)))
        .or(says::ENDED.when(ended))
        .or(says::HUNG_UP.when(hung_up))
        .or(says::ERROR.when(any(EventFlags::ERR)))
        .or(says::URGENT.when(any(EventFlags::PRI)))
}
