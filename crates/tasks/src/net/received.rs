//! Bytes that were received and not read.

use std::cell::RefCell;

/// How many empty buffers are kept for whoever receives next, and how large they may be.
const POOL: usize = 64;
const POOLED: usize = 64 * 1024;

/// What a stream has received. Most streams have nothing most of the time, so that costs a word.
#[derive(Default)]
pub(super) struct Received(Option<Box<Buffer>>);

#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// Those before are read.
    start: usize,
}

impl Buffer {
    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

impl Received {
    /// Whether it has no buffer, and so no bytes: one look.
    #[inline]
    pub(super) fn is_nothing(&self) -> bool {
        self.0.is_none()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |buffer| buffer.bytes())
    }

    /// Takes up to `into.len()` bytes out.
    #[inline]
    pub(super) fn take(&mut self, into: &mut [u8]) -> usize {
        let count = into.len().min(self.bytes().len());
        into[..count].copy_from_slice(&self.bytes()[..count]);
        self.consume(count);
        count
    }

    /// `count` of the bytes were read.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        if let Some(buffer) = &mut self.0 {
            buffer.start = (buffer.start + count).min(buffer.bytes.len());
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        let Buffer { mut bytes, start } = self.0.map(|buffer| *buffer).unwrap_or_default();
        bytes.drain(..start);
        bytes
    }

    /// Puts bytes back that were taken out before.
    pub(super) fn put_front(&mut self, mut earlier: Self) {
        if let Some(buffer) = earlier.0.as_mut().filter(|buffer| !buffer.bytes().is_empty()) {
            buffer.bytes.extend_from_slice(self.bytes());
            *self = earlier;
        }
    }

    /// Puts bytes behind those that are there.
    #[inline]
    pub(super) fn push(&mut self, data: &[u8], pool: &Pool) {
        let buffer = self.0.get_or_insert_with(|| pool.take());
        if buffer.start == buffer.bytes.len() {
            buffer.start = 0;
            buffer.bytes.clear();
        }
        buffer.bytes.extend_from_slice(data);
    }
}

/// Buffers that nobody uses: a stream has one only while it has bytes that were not read.
#[derive(Default)]
#[allow(clippy::vec_box)]
pub(super) struct Pool(RefCell<Vec<Box<Buffer>>>);

impl Pool {
    fn take(&self) -> Box<Buffer> {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    /// Keeps the memory of a buffer that is used up. It is emptied by the one who uses it next.
    #[inline]
    pub(super) fn give_back(&self, received: Received) {
        if let Some(mut buffer) = received.0.filter(|buffer| buffer.bytes.capacity() <= POOLED) {
            let mut pool = self.0.borrow_mut();
            if pool.len() < POOL {
                buffer.start = buffer.bytes.len();
                pool.push(buffer);
            }
        }
    }
}
