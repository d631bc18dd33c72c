//! Bytes that a protocol gave back, or that were handed over to it.

use std::rc::Rc;
use std::sync::Arc;

use super::input::Pulled;
use crate::contain::contain;
use crate::error::EmptyReceiveBuffer;
use crate::key::Key;
use crate::lost::Reason;
use crate::reactor::Shell;
use crate::transport::Transport;

/// Bytes that were given back, or handed over.
#[derive(Default)]
pub(crate) struct Unread {
    bytes: Vec<u8>,
    start: usize,
}

/// What of the bytes being delivered was given back.
#[derive(Default)]
pub(crate) struct Delivery {
    /// The connection, and from where to where the bytes are in memory. They are only compared, never followed.
    current: Option<(Key, usize, usize)>,
    /// From which of the bytes on they were given back.
    kept: Option<usize>,
    /// Other bytes that were given back after that, and so come before them.
    front: Vec<u8>,
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
                if let Some(buffer) = protocol.receive_buffer() {
                    if !self.wants_input(key) {
                        return Pulled::Unwanted;
                    }
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

    pub(super) fn begin_delivery(&self, key: Key, bytes: &[u8]) {
        let start = bytes.as_ptr() as usize;
        let mut delivery = self.delivery.borrow_mut();
        delivery.current = Some((key, start, start + bytes.len()));
        delivery.kept = None;
    }

    fn kept(&self) -> Option<usize> {
        self.delivery.borrow().kept
    }

    fn finish_delivery(&self) -> Vec<u8> {
        let mut delivery = self.delivery.borrow_mut();
        delivery.current = None;
        delivery.kept = None;
        std::mem::take(&mut delivery.front)
    }

    #[inline]
    pub(super) fn end_delivery(&self, key: Key, bytes: &[u8]) {
        let mut delivery = self.delivery.borrow_mut();
        if delivery.kept.is_none() && delivery.front.is_empty() {
            delivery.current = None;
            return;
        }
        drop(delivery);
        self.take_given_back(key, bytes);
    }

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
        let mut delivery = self.delivery.borrow_mut();
        let (start, end) = (data.as_ptr() as usize, data.as_ptr() as usize + data.len());
        match delivery.current {
            Some((current, first, last))
                if current == key && delivery.kept.is_none() && start >= first && end == last =>
            {
                delivery.kept = Some(start - first);
            }
            Some((current, ..)) if current == key && delivery.kept.is_some() => {
                delivery.front.splice(..0, data.iter().copied());
            }
            _ => {
                drop(delivery);
                self.put_back(key, data);
            }
        }
    }

    fn put_back(&self, key: Key, data: &[u8]) {
        self.alter(key, |connection| connection.rare().unread.put_back(data));
        self.go_on_reading(key);
    }
}
