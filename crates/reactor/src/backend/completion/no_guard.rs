//! Free buffers are left as they are. Its twin is `guard.rs`.

/// How many free buffers are held back.
pub(super) const QUARANTINE: usize = 0;

pub(super) fn open(_: *mut u8, _: usize) {}

pub(super) fn shut(_: *mut u8, _: usize) {}
