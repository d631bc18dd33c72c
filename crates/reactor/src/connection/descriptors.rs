//! Descriptors that are passed over a connection, in both directions.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::{Connection, Flags, Rare};
use crate::backend::Received;
use crate::backend::descriptors::MOST;
use crate::error::SendDescriptorError;
use crate::key::Key;
use crate::reactor::Shell;
use crate::transport::{Transport, WriteStatus};

impl Shell {
    /// Adds a descriptor to what waits.
    pub(crate) fn send_descriptor(
        self: &Rc<Self>,
        key: Key,
        descriptor: OwnedFd,
    ) -> Result<WriteStatus, SendDescriptorError> {
        if self.is_gone(key) || self.is_ended() {
            return Err(SendDescriptorError::closed(descriptor));
        }
        let filtered = self.ask(key, |connection| connection.is_filtered());
        if filtered || !self.backend().carries_descriptors(key) {
            return Err(SendDescriptorError::unsupported(descriptor));
        }
        let mut left = Some(descriptor);
        let status = self.write(key, |outgoing| {
            left = left.take().and_then(|descriptor| outgoing.push_descriptor(descriptor).err());
        });
        match left {
            None => Ok(status),
            Some(descriptor) if status == WriteStatus::Closed => Err(SendDescriptorError::closed(descriptor)),
            Some(descriptor) => Err(SendDescriptorError::full(descriptor)),
        }
    }

    /// Sets aside what came with descriptors: they are delivered first, and while they are the protocol may pause. Hands back
    /// what came without.
    pub(super) fn set_aside(&self, key: Key, received: Received) -> Option<Received> {
        let mut chunk = match received {
            Received::Chunk(chunk) if chunk.has_descriptors() => chunk,
            received => return Some(received),
        };
        let descriptors = chunk.take_descriptors();
        self.count_received(key, chunk.bytes().len());
        self.alter(key, |connection| {
            let rare = connection.rare();
            rare.passed().received.extend(descriptors);
            rare.unread.put_back(chunk.bytes());
        });
        self.release(chunk);
        None
    }

    /// Delivers descriptors, as long as the protocol wants them, and as many as came together at most.
    pub(super) fn deliver_descriptors(self: &Rc<Self>, key: Key, first: OwnedFd) -> bool {
        let mut next = Some(first);
        for _ in 0..MOST {
            let Some(descriptor) = next.take() else { break };
            self.call_protocol(key, |protocol, transport| {
                protocol.descriptor_received(transport, descriptor)
            });
            next = self.alter(key, Connection::next_descriptor).flatten();
        }
        if let Some(descriptor) = next {
            self.unread_descriptor(key, descriptor);
        }
        true
    }

    /// Puts a descriptor in front of everything that is not delivered yet.
    pub(crate) fn unread_descriptor(&self, key: Key, descriptor: OwnedFd) {
        self.alter(key, |connection| {
            if !connection.flags.any(Flags::LOST) {
                connection.rare().passed().received.push_front(descriptor);
            }
        });
        self.go_on_reading(key);
    }
}

/// What only connections have that descriptors are passed over.
#[derive(Default)]
pub(super) struct Passed {
    /// Descriptors to deliver before any bytes.
    received: VecDeque<OwnedFd>,
    /// How many are lent to the backend.
    lent: usize,
}

impl Rare {
    fn passed(&mut self) -> &mut Passed {
        self.passed.get_or_insert_default()
    }

    /// Closes what was not delivered.
    pub(super) fn drop_received_descriptors(&mut self) {
        if let Some(passed) = &mut self.passed {
            passed.received.clear();
        }
    }
}

impl Connection {
    fn passed(&self) -> Option<&Passed> {
        self.rare.as_ref()?.passed.as_deref()
    }

    /// The descriptor to deliver next, if the protocol wants it now.
    pub(super) fn next_descriptor(&mut self) -> Option<OwnedFd> {
        let wanted = self.is_reading() && !self.flags.any(Flags::UNMADE | Flags::BUSY);
        let rare = self.rare.as_mut().filter(|_| wanted)?;
        rare.passed.as_mut()?.received.pop_front()
    }

    pub(super) fn has_descriptors(&self) -> bool {
        self.passed().is_some_and(|passed| !passed.received.is_empty())
    }

    /// How many wait to be sent, apart from those that no byte follows.
    pub(crate) fn buffered_descriptors(&self) -> usize {
        let lent = self.passed().map_or(0, |passed| passed.lent);
        lent + self.outgoing.as_ref().map_or(0, |outgoing| outgoing.descriptors())
    }

    /// What weighs on flow control: bytes, and descriptors.
    pub(crate) fn weight(&self) -> usize {
        self.buffered() + self.buffered_descriptors() * Transport::DESCRIPTOR_WEIGHT
    }

    /// What waits to be sent, as flow control counts it.
    pub(crate) fn waiting(&self) -> usize {
        self.weight().max(usize::from(self.is_saying_end()))
    }

    /// How much more may wait; `None` if that is too much already.
    pub(crate) fn room(&self) -> Option<usize> {
        self.high.checked_sub(self.waiting())
    }

    /// What weighs on memory.
    pub(super) fn weight_in_memory(&self) -> usize {
        self.in_memory() + self.buffered_descriptors() * Transport::DESCRIPTOR_WEIGHT
    }

    /// Whether descriptors wait for a byte to travel with, which must not overtake them.
    pub(super) fn has_waiting_descriptors(&self) -> bool {
        self.outgoing.as_ref().is_some_and(|outgoing| !outgoing.is_void())
    }

    /// No byte will follow any more: what waits for one is closed.
    pub(super) fn drop_waiting_descriptors(&mut self) {
        if let Some(outgoing) = &mut self.outgoing {
            drop(outgoing.split_waiting());
        }
    }

    /// Notes how many descriptors are lent to the backend.
    pub(super) fn set_lent_descriptors(&mut self, count: usize) {
        if count > 0 || self.passed().is_some() {
            self.rare().passed().lent = count;
        }
    }
}
