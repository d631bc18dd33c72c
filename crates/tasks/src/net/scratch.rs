//! Buffers that exist only while bytes are under way.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

thread_local! {
    /// The one that is kept. With more, each thread that ever copied would keep them.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A buffer, which is kept for the next one who needs it when it is dropped.
#[derive(Debug)]
pub(super) struct Scratch(Vec<u8>);

impl Scratch {
    /// No buffer.
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    /// At least `size` bytes, which hold anything.
    pub(super) fn take(size: usize) -> Self {
        // At the end of a thread there may be no more place for it.
        let mut buffer = SPARE.try_with(Cell::take).unwrap_or_default();
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        Self(buffer)
    }
}

impl Deref for Scratch {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.0.is_empty() {
            return;
        }
        let buffer = std::mem::take(&mut self.0);
        let _ = SPARE.try_with(|spare| spare.set(buffer));
    }
}
