//! Bytes that a protocol gave back, or that were handed over to it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::input::Pulled;
use crate::contain::contain;
use crate::error::EmptyReceiveBuffer;
use crate::key::Key;
use crate::lost::Reason;
use crate::protocol::Protocol;
use crate::reactor::Shell;
use crate::transport::Transport;

/// Bytes that were given back, or handed over.
#[derive(Default)]
pub(crate) struct Unread {
    bytes: Vec<u8>,
    start: usize,
}

/// What of the bytes being delivered was given back.
pub(crate) struct Delivery {
    /// The connection, and from where to where the bytes are in memory. They are only compared, never followed.
    current: Cell<Key>,
    start: Cell<usize>,
    end: Cell<usize>,
    /// Whether some were given back, and from which on.
    returned: Cell<bool>,
    kept: Cell<usize>,
    /// Other bytes that were given back after that, and so come before them.
    front: RefCell<Vec<u8>>,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            current: Cell::new(Key::NOBODY),
            start: Cell::default(),
            end: Cell::default(),
            returned: Cell::default(),
            kept: Cell::default(),
            front: RefCell::default(),
        }
    }
}

impl Unread {
    pub(super) fn is_empty(&self) -> bool {
        self.start >= self.bytes.len()
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len().saturating_sub(self.start)
    }

    /// Puts `data` behind what is there.
    pub(super) fn put_behind(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(data);
    }

    /// All of it.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.drain(..self.start.min(self.bytes.len()));
        self.bytes
    }

    /// Puts `data` in front of what is there.
    pub(super) fn put_back(&mut self, data: &[u8]) {
        if self.is_empty() {
            self.bytes.clear();
            self.bytes.extend_from_slice(data);
        } else {
            self.bytes.splice(..self.start, data.iter().copied());
        }
        self.start = 0;
    }
}

impl Shell {
    pub(super) fn deliver_unread(self: &Rc<Self>, key: Key, mut unread: Unread) -> bool {
        let Some(mut protocol) = self.check_out(key) else {
            return false;
        };
        let transport = Transport::new(Rc::clone(self), key);
        let outcome = self.timed_protocol(key, &mut *protocol, |protocol| {
            contain(|| {
                let buffer = protocol.receive_buffer();
                if !self.wants_input(key) {
                    return Pulled::Unwanted;
                }
                if let Some(buffer) = buffer {
                    let rest = &unread.bytes[unread.start..];
                    let count = rest.len().min(buffer.len());
                    if count == 0 {
                        return Pulled::EmptyBuffer;
                    }
                    buffer[..count].copy_from_slice(&rest[..count]);
                    unread.start += count;
                    protocol.buffer_filled(&transport, count);
                    return Pulled::Data;
                }
                let start = std::mem::replace(&mut unread.start, unread.bytes.len());
                self.begin_delivery(key, &unread.bytes[start..]);
                protocol.data_received(&transport, &unread.bytes[start..]);
                unread.start = start + self.kept().unwrap_or(unread.bytes.len() - start);
                Pulled::Data
            })
        });
        self.restore_unread(key, unread);
        match outcome {
            Ok(Pulled::EmptyBuffer) => {
                self.failed(key, Reason::Failed(Arc::new(EmptyReceiveBuffer)));
            }
            Ok(_) => {}
            Err(panic) => drop(self.failed(key, Reason::Panicked(panic))),
        }
        self.check_in(key, protocol);
        true
    }

    /// Puts back what is left after a delivery of unread bytes, behind what was put in front of it meanwhile.
    fn restore_unread(&self, key: Key, unread: Unread) {
        let front = self.finish_delivery();
        self.alter(key, |connection| {
            let place = &mut connection.rare().unread;
            if place.is_empty() {
                *place = unread;
            } else {
                let put_meanwhile = std::mem::replace(place, unread);
                place.put_back(&put_meanwhile.bytes[put_meanwhile.start..]);
            }
            if !front.is_empty() {
                place.put_back(&front);
            }
        });
    }

    /// Shows the protocol bytes, which it may give back meanwhile.
    #[inline(always)]
    pub(super) fn deliver_bytes(
        &self,
        protocol: &mut dyn Protocol,
        key: Key,
        transport: &Transport,
        bytes: &[u8],
    ) {
        self.begin_delivery(key, bytes);
        protocol.data_received(transport, bytes);
        self.end_delivery(key, bytes);
    }

    #[inline]
    pub(super) fn begin_delivery(&self, key: Key, bytes: &[u8]) {
        let start = bytes.as_ptr() as usize;
        self.delivery.current.set(key);
        self.delivery.start.set(start);
        self.delivery.end.set(start + bytes.len());
    }

    fn kept(&self) -> Option<usize> {
        self.delivery.returned.get().then(|| self.delivery.kept.get())
    }

    fn finish_delivery(&self) -> Vec<u8> {
        self.delivery.current.set(Key::NOBODY);
        self.delivery.returned.set(false);
        self.delivery.front.take()
    }

    #[inline]
    pub(super) fn end_delivery(&self, key: Key, bytes: &[u8]) {
        if self.delivery.returned.get() {
            return self.take_given_back(key, bytes);
        }
        self.delivery.current.set(Key::NOBODY);
    }

    #[cold]
    fn take_given_back(&self, key: Key, bytes: &[u8]) {
        let kept = self.kept();
        let front = self.finish_delivery();
        if let Some(kept) = kept {
            self.put_back(key, &bytes[kept.min(bytes.len())..]);
        }
        if !front.is_empty() {
            self.put_back(key, &front);
        }
    }

    /// Gives bytes back. If they are the end of what is being delivered, that is only noted.
    pub(crate) fn unread(&self, key: Key, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        let delivery = &self.delivery;
        let (start, end) = (data.as_ptr() as usize, data.as_ptr() as usize + data.len());
        if delivery.current.get() != key {
            self.put_back(key, data);
        } else if delivery.returned.get() {
            delivery.front.borrow_mut().splice(..0, data.iter().copied());
        } else if start >= delivery.start.get() && end == delivery.end.get() {
            delivery.returned.set(true);
            delivery.kept.set(start - delivery.start.get());
        } else {
            self.put_back(key, data);
        }
    }

    fn put_back(&self, key: Key, data: &[u8]) {
        self.alter(key, |connection| connection.rare().unread.put_back(data));
        self.go_on_reading(key);
    }
}
