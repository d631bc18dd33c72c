//! What was received for one connection and not pulled yet.

use std::collections::VecDeque;

use super::buffers::Lent;
use crate::backend::Chunk;

/// Bytes in order: first those that were copied out of the pool, then pieces of it.
#[derive(Debug, Default)]
pub(super) struct Input {
    saved: Option<Box<Saved>>,
    pieces: VecDeque<Lent>,
}

/// Bytes that waited for so long that the pool wanted its buffer back.
#[derive(Debug)]
struct Saved {
    bytes: Vec<u8>,
    taken: usize,
}

impl Input {
    pub(super) fn push(&mut self, piece: Lent) {
        self.pieces.push_back(piece);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.saved.is_none() && self.pieces.is_empty()
    }

    /// Whether any bytes wait in the pool.
    pub(super) fn has_pieces(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        let saved = self.saved.as_ref().map_or(0, |saved| saved.bytes.len() - saved.taken);
        saved + self.pieces.iter().map(|piece| piece.bytes().len()).sum::<usize>()
    }

    /// Takes the next bytes, as they lie.
    pub(super) fn take(&mut self) -> Option<Chunk> {
        if let Some(saved) = self.saved.take() {
            let end = saved.bytes.len();
            return Some(Chunk::new(saved.bytes, saved.taken, end, 0));
        }
        self.pieces.pop_front().map(Chunk::lent)
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
            let Some(piece) = self.pieces.front_mut() else { break };
            let count = copy(piece.bytes(), &mut memory[filled..]);
            filled += count;
            piece.advance(count);
            if piece.bytes().is_empty() {
                self.pieces.pop_front();
            }
        }
        filled
    }

    /// Gives the pool its buffers back.
    pub(super) fn save(&mut self) {
        if self.pieces.is_empty() {
            return;
        }
        let len = self.len();
        let mut bytes = Vec::with_capacity(len);
        if let Some(saved) = self.saved.take() {
            bytes.extend_from_slice(&saved.bytes[saved.taken..]);
        }
        for piece in self.pieces.drain(..) {
            bytes.extend_from_slice(piece.bytes());
        }
        self.pieces = VecDeque::new();
        self.saved = Some(Box::new(Saved { bytes, taken: 0 }));
    }
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let count = from.len().min(to.len());
    to[..count].copy_from_slice(&from[..count]);
    count
}
