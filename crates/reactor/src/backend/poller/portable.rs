//! The events of any multiplexer, as mio tells them.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use super::{EVENTS, Event, WAKE, due, says};
use crate::key::Key;

/// What the last waits brought and nobody has looked at.
#[derive(Debug)]
pub(super) struct Events {
    /// mio's buffer, which can only be walked in one go. The core stops between any two events to run user code, so
    /// they are translated into `events` first.
    buffer: mio::Events,
    events: VecDeque<Event>,
}

impl Events {
    pub(super) fn new() -> Self {
        Self { buffer: mio::Events::with_capacity(EVENTS), events: VecDeque::with_capacity(EVENTS) }
    }

    /// Waits, and puts what happened behind what is still there. Whether it is all that fits.
    pub(super) fn wait(&mut self, poll: &mut mio::Poll, timeout: Option<Duration>) -> io::Result<bool> {
        match poll.poll(&mut self.buffer, timeout) {
            Ok(()) => {}
            // A signal came. The buffer then still holds the events of the wait before.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(false),
            Err(error) => return Err(error),
        }
        let events = self.buffer.iter().filter(|event| event.token() != WAKE);
        let before = self.events.len();
        self.events.extend(events.map(translate));
        // The waker and the alarm may have been among them.
        Ok(self.events.len() - before + 2 >= EVENTS)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Takes the next events that say no more than that there is input, and room for output: their keys, and how many they are.
    pub(super) fn take_usual(&mut self, keys: &[Cell<Key>]) -> usize {
        let is_usual = |event: &Event| event.says == says::READABLE.or(says::WRITABLE);
        let usual = self.events.iter().zip(keys).take_while(|(event, _)| is_usual(event));
        let count = usual.map(|(event, key)| key.set(event.key)).count();
        self.events.drain(..count);
        count
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

fn translate(event: &mio::event::Event) -> Event {
    Event {
        key: Key::from_u64(event.token().0 as u64),
        says: says::READABLE
            .when(event.is_readable())
            .or(says::WRITABLE.when(event.is_writable()))
            .or(says::ENDED.when(event.is_read_closed()))
            .or(says::HUNG_UP.when(event.is_write_closed()))
            .or(says::ERROR.when(event.is_error()))
            .or(says::URGENT.when(event.is_priority())),
        due: due::LOOK,
    }
}
