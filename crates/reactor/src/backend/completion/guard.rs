//! Free buffers cannot be touched: the kernel answers `EFAULT` in place of writing to one, and our own reads are fatal. To find
//! mistakes, with `--cfg marline_guard`; otherwise its twin `no_guard.rs` is compiled.

#![allow(unsafe_code)]

use rustix::mm::{MprotectFlags, mprotect};

/// How many free buffers are held back, so that late writes meet them.
pub(super) const QUARANTINE: usize = 3;

pub(super) fn open(place: *mut u8, len: usize) {
    protect(place, len, MprotectFlags::READ | MprotectFlags::WRITE);
}

pub(super) fn shut(place: *mut u8, len: usize) {
    protect(place, len, MprotectFlags::empty());
}

fn protect(place: *mut u8, len: usize, flags: MprotectFlags) {
    // SAFETY: this is a whole buffer of the pool's, which is free: nobody has a piece of it (B2).
    unsafe { mprotect(place.cast(), len, flags) }.expect("pages of the pool can be protected");
}
