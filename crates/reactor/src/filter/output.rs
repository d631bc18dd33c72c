//! The room for what a protocol reads.

use std::fmt;
use std::io;

/// Room for what a filter makes of the bytes that came. It is the protocol's own memory, where the protocol
/// [offers](crate::Protocol::receive_buffer) some.
pub struct Output<'a> {
    room: &'a mut [u8],
    len: usize,
}

impl<'a> Output<'a> {
    pub(crate) const fn new(room: &'a mut [u8]) -> Self {
        Self { room, len: 0 }
    }

    /// Puts as many of these bytes into it as there is room for, and answers how many.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let room = self.room();
        let count = bytes.len().min(room.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.len += count;
        count
    }

    /// The room that is left, to be written to. What was written counts once it was said to be [filled](Self::filled).
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.room[self.len..]
    }

    /// So many bytes at the front of the [room](Self::room) are output now. More than there is room for counts as all of it.
    pub fn filled(&mut self, count: usize) {
        self.len = self.len.saturating_add(count).min(self.room.len());
    }

    /// The output so far.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.room[..self.len]
    }

    /// Takes back what is behind the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// How many bytes of output there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no output.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes there was room for at first.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.room.len()
    }

    /// Whether there is no room left.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.len == self.room.len()
    }
}

/// Writes as much as there is room for, and answers 0 when there is none.
impl io::Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.push(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("len", &self.len).field("room", &(self.room.len() - self.len)).finish()
    }
}
