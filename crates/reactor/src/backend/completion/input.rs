//! What was received for one connection and not pulled yet.

use std::collections::VecDeque;

use super::buffers::Lent;
use crate::backend::Chunk;

/// Bytes in order: first those that were copied out of the pool, then pieces of it.
#[derive(Debug, Default)]
pub(super) struct Input {
    saved: Option<Box<Saved>>,
    /// The first of the pieces, which mostly is the only one, and those behind it.
    first: Option<Lent>,
    more: VecDeque<Lent>,
    /// How many bytes wait.
    len: usize,
}

/// What is copied for less than it costs to pass a piece on.
pub(super) const SMALL: usize = 2 * 1024;

/// So many pieces are copied together: a peer that sends single bytes would cost a multiple of them otherwise.
const MANY: usize = 256;

/// Bytes that waited for so long that the pool wanted its buffer back.
#[derive(Debug, Default)]
struct Saved {
    bytes: Vec<u8>,
    taken: usize,
}

impl Input {
    pub(super) fn push(&mut self, piece: Lent) {
        self.len += piece.len();
        if self.first.is_none() {
            self.first = Some(piece);
        } else {
            self.push_behind(piece);
        }
    }

    fn push_behind(&mut self, piece: Lent) {
        let last = self.more.back_mut().or(self.first.as_mut());
        if last.is_some_and(|last| last.join(&piece)) {
            return;
        }
        self.more.push_back(piece);
        if self.more.len() >= MANY {
            self.save();
        }
    }

    #[inline]
    fn pop(&mut self) -> Option<Lent> {
        let first = self.first.take();
        if !self.more.is_empty() {
            self.first = self.more.pop_front();
        }
        first
    }

    pub(super) fn is_empty(&self) -> bool {
        self.saved.is_none() && self.first.is_none()
    }

    /// Whether any bytes wait in the pool.
    pub(super) fn has_pieces(&self) -> bool {
        self.first.is_some()
    }

    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Takes the next bytes, as they lie.
    pub(super) fn take(&mut self) -> Option<Chunk> {
        let chunk = match self.saved.take() {
            Some(saved) => {
                let end = saved.bytes.len();
                Chunk::new(saved.bytes, saved.taken, end, 0)
            }
            None => Chunk::lent(self.pop()?),
        };
        self.len -= chunk.bytes().len();
        Some(chunk)
    }

    /// Copies everything into `memory`, if that is little, and in one piece: how many bytes.
    #[inline(always)]
    pub(super) fn take_small(&mut self, memory: &mut [u8]) -> Option<usize> {
        let few = self.len;
        if few > memory.len() || self.saved.is_some() || !self.more.is_empty() {
            return None;
        }
        let piece = self.first.take()?;
        self.len = 0;
        memory[..few].copy_from_slice(&piece.bytes()[..few]);
        Some(few)
    }

    /// Copies the next bytes into `memory`, as many as fit: how many.
    pub(super) fn take_into(&mut self, memory: &mut [u8]) -> usize {
        let mut filled = 0;
        if let Some(saved) = &mut self.saved {
            filled = copy(&saved.bytes[saved.taken..], memory);
            saved.taken += filled;
            if saved.taken == saved.bytes.len() {
                self.saved = None;
            }
        }
        while filled < memory.len() {
            let Some(piece) = &mut self.first else { break };
            let count = copy(piece.bytes(), &mut memory[filled..]);
            filled += count;
            piece.advance(count);
            if piece.bytes().is_empty() {
                self.pop();
            }
        }
        self.len -= filled;
        filled
    }

    /// Gives the pool its buffers back.
    pub(super) fn save(&mut self) {
        if self.first.is_none() {
            return;
        }
        let mut saved = self.saved.take().unwrap_or_default();
        for piece in self.first.take().into_iter().chain(self.more.drain(..)) {
            saved.bytes.extend_from_slice(piece.bytes());
        }
        self.more = VecDeque::new();
        self.saved = Some(saved);
    }
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let count = from.len().min(to.len());
    to[..count].copy_from_slice(&from[..count]);
    count
}
