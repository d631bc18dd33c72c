//! Buffers that exist only while bytes are under way.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

thread_local! {
    /// The one that is kept. With more, each thread that ever copied would keep them.
    static SPARE: Cell<Option<Box<[u8; SIZE]>>> = const { Cell::new(None) };
}

/// How large they are. All are alike, so that one is a word to move.
const SIZE: usize = 128 * 1024;

/// A buffer, which is kept for the next one who needs it when it is dropped.
#[derive(Debug)]
pub(super) struct Scratch(Option<Box<[u8; SIZE]>>);

impl Scratch {
    /// No buffer.
    pub(super) const fn none() -> Self {
        Self(None)
    }

    /// 128 KiB, which hold anything.
    #[inline]
    pub(super) fn take() -> Self {
        // At the end of a thread there may be no more place for it.
        match SPARE.try_with(Cell::take) {
            Ok(Some(buffer)) => Self(Some(buffer)),
            _ => Self(make()),
        }
    }
}

/// By way of a vector, as an array would be made on the stack first.
#[cold]
fn make() -> Option<Box<[u8; SIZE]>> {
    vec![0; SIZE].into_boxed_slice().try_into().ok()
}

impl Deref for Scratch {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |buffer| &buffer[..])
    }
}

impl DerefMut for Scratch {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.as_mut().map_or(&mut [], |buffer| &mut buffer[..])
    }
}

impl Drop for Scratch {
    #[inline]
    fn drop(&mut self) {
        if let Some(buffer) = self.0.take() {
            // Another one that is kept meanwhile goes.
            let _ = SPARE.try_with(|spare| spare.set(Some(buffer)));
        }
    }
}
