//! Buffers that exist only while bytes are under way.

use std::cell::RefCell;

/// How many are kept on a thread.
const KEPT: usize = 8;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of at least `size` bytes, which hold anything.
pub(super) fn take(size: usize) -> Vec<u8> {
    let mut buffer = SPARE.with(|spare| spare.borrow_mut().pop()).unwrap_or_default();
    if buffer.len() < size {
        buffer.resize(size, 0);
    }
    buffer
}

/// Keeps a buffer for the next one who needs it.
pub(super) fn keep(buffer: Vec<u8>) {
    SPARE.with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < KEPT {
            spare.push(buffer);
        }
    });
}
