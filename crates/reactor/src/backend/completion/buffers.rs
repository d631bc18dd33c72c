//! The pool of buffers that the kernel receives into.
//!
//! One region of memory, cut into buffers of one size. Each is, at any time, one of these:
//!
//! ```text
//!      provide                   the kernel says that it is done with it
//!  free ──────> the kernel's ────────────────────────────────────────────> ours
//!    ^          (some of it may be lent already, if it is incremental)       │
//!    └───────────────────────────────────────────────────────────────────────┘
//!                       the last piece of it that was lent is dropped
//! ```
//!
//! # Rules
//!
//! - **B1** The kernel writes into a buffer only from its being provided until the completion that does not say
//!   `IORING_CQE_F_BUF_MORE`, and never again into a part that a completion has told of. So what is [`Lent`] is only read,
//!   by us, and by nobody written.
//! - **B2** A buffer is provided again only when the kernel is done with it and no piece of it is lent: the count is kept by the
//!   pieces themselves, in their making and their drop.
//! - **B3** A piece lies within its buffer: the kernel's numbers are cut to what was provided.
//! - **B4** The region is unmapped with the last piece and the pool. The pool is dropped after the ring's last operation, or
//!   leaked (R6).
//! - **B5** What arrived for the core is no piece that counts. So as long as any of it may be shown the buffer is held, which is one
//!   piece of it with no bytes.

#![allow(unsafe_code)]

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::slice;
use std::sync::atomic::{AtomicU16, Ordering};

use super::guard;
use super::options::{Feature, Options};
use super::ring::{GROUP, Ring};
use io_uring::types::BufRingEntry;

/// As liburing calls it; the number is in no crate.
const PBUF_RING_INC: u16 = 2;

/// How the region is cut.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// Bytes of a buffer.
    size: usize,
    /// Buffers that are provided from the start.
    first: u16,
    /// Buffers at most: a power of two.
    most: u16,
}

/// Where the kernel fills buffers a piece at a time: large ones, of which no byte is wasted. All of them together fit the cache of a
/// core: sixteen times as many made 100 KiB messages a fifth more expensive. Whoever finds none waits for the next turn.
const INCREMENTAL: Cut = Cut { size: 64 * 1024, first: 4, most: 16 };
/// Where each receive takes a whole one.
const WHOLE: Cut = Cut { size: 16 * 1024, first: 64, most: 1024 };

/// No buffer's number.
const NONE: usize = usize::MAX;

/// The pool.
#[derive(Debug)]
pub(super) struct Buffers {
    region: Rc<Region>,
    entries: Map,
    tail: u16,
    /// How many buffers are in use. The rest of the region was never touched.
    used: u16,
    /// How many the kernel has.
    provided: u16,
    cut: Cut,
    /// Those that are held (B5), and the number of the last.
    held: Vec<Lent>,
    held_last: usize,
}

/// The memory, and whose each buffer is.
#[derive(Debug)]
struct Region {
    map: Map,
    size: usize,
    buffers: Box<[Buffer]>,
    /// Those that can be provided again.
    free: RefCell<VecDeque<u16>>,
}

#[derive(Debug, Default)]
struct Buffer {
    /// Pieces that are out.
    lent: Cell<u32>,
    /// Up to where the kernel has filled it.
    filled: Cell<usize>,
    kernels: Cell<bool>,
}

/// A piece of a buffer: received bytes, until it is dropped.
#[derive(Debug)]
pub(crate) struct Lent {
    region: Rc<Region>,
    buffer: u16,
    start: u32,
    len: u32,
}

impl Buffers {
    /// A pool that `ring` receives into.
    pub(super) fn new(ring: &Ring, options: &Options) -> io::Result<Self> {
        if options.allows(Feature::IncrementalBuffers) {
            match Self::register(ring, INCREMENTAL, PBUF_RING_INC) {
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
                made => return made,
            }
        }
        Self::register(ring, WHOLE, 0)
    }

    fn register(ring: &Ring, cut: Cut, flags: u16) -> io::Result<Self> {
        let entries = Map::new(usize::from(cut.most) * size_of::<BufRingEntry>())?;
        let address = entries.base.as_ptr() as u64;
        // SAFETY: the memory has room for so many entries, and is unmapped after the ring's last operation (B4).
        unsafe { ring.inner().submitter().register_buf_ring_with_flags(address, cut.most, GROUP, flags)? };
        let region = Rc::new(Region {
            map: Map::new(cut.size * usize::from(cut.most))?,
            size: cut.size,
            buffers: (0..cut.most).map(|_| Buffer::default()).collect(),
            free: RefCell::default(),
        });
        let mut pool =
            Self { region, entries, tail: 0, used: 0, provided: 0, cut, held: Vec::new(), held_last: NONE };
        pool.grow_to(cut.first);
        Ok(pool)
    }

    /// Keeps the memory mapped for ever (R6).
    pub(super) fn leak(&mut self) {
        std::mem::forget(Rc::clone(&self.region));
        self.entries.len = 0;
    }

    /// How many buffers the kernel has.
    pub(super) fn provided(&self) -> usize {
        usize::from(self.provided)
    }

    /// Whether more than half of the buffers in use are ours.
    pub(super) fn is_low(&self) -> bool {
        self.provided < self.used / 2
    }

    /// There were too few.
    pub(super) fn grow(&mut self) {
        self.grow_to((self.used * 2).min(self.cut.most));
    }

    fn grow_to(&mut self, used: u16) {
        for number in self.used..used {
            self.provide(number);
        }
        self.used = used;
    }

    /// Provides again what came back.
    pub(super) fn refill(&mut self) {
        while self.region.free.borrow().len() > guard::QUARANTINE {
            let number = self.region.free.borrow_mut().pop_front();
            let Some(number) = number else { return };
            guard::open(self.region.place(number, 0), self.region.size);
            self.provide(number);
        }
    }

    fn provide(&mut self, number: u16) {
        let buffer = &self.region.buffers[usize::from(number)];
        buffer.filled.set(0);
        buffer.kernels.set(true);
        let base: *mut BufRingEntry = self.entries.base.as_ptr().cast();
        let at = usize::from(self.tail & (self.cut.most - 1));
        // SAFETY: the place lies within the ring of entries. The kernel looks at it only once the tail is past it, and is done
        // with what stood there before, as there are never more buffers than places.
        let entry = unsafe { &mut *base.add(at) };
        entry.set_addr(self.region.place(number, 0) as u64);
        #[allow(clippy::cast_possible_truncation)]
        entry.set_len(self.cut.size as u32);
        entry.set_bid(number);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail lies in the first entry, where the kernel reads it, and is a valid `u16`. It is only ever used
        // atomically.
        let tail = unsafe { &*BufRingEntry::tail(base).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
        self.provided += 1;
    }

    /// What a completion said of buffer `number`: `count` bytes more are in it, and whether the kernel goes on filling it.
    pub(super) fn take(&mut self, (number, goes_on): (u16, bool), count: usize) -> Option<Lent> {
        let (start, len) = self.fill(number, count, goes_on)?;
        let piece = self.region.lend(number, start, len);
        (len > 0).then_some(piece)
    }

    /// Where the bytes are, and how many.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)]
    fn fill(&mut self, number: u16, count: usize, goes_on: bool) -> Option<(u32, u32)> {
        let buffer = self.region.buffers.get(usize::from(number)).filter(|buffer| buffer.kernels.get())?;
        let start = buffer.filled.get();
        let len = count.min(self.cut.size - start);
        buffer.filled.set(start + len);
        if !goes_on {
            buffer.kernels.set(false);
            self.provided -= 1;
        }
        Some((start as u32, len as u32))
    }

    /// The same, for a buffer that is held from now on: where the bytes are, which are somewhere.
    #[inline(always)]
    pub(super) fn hold(&mut self, (number, goes_on): (u16, bool), count: usize) -> Option<NonNull<[u8]>> {
        let (start, len) = self.fill(number, count, goes_on)?;
        if self.held_last != usize::from(number) {
            self.begin_to_hold(number);
        }
        // SAFETY: it lies within its buffer, and that within the region (B3).
        let place =
            unsafe { self.region.map.base.add(usize::from(number) * self.region.size + start as usize) };
        Some(NonNull::slice_from_raw_parts(place, len as usize))
    }

    #[cold]
    fn begin_to_hold(&mut self, number: u16) {
        self.held.push(self.region.lend(number, 0, 0));
        self.held_last = usize::from(number);
    }

    /// What arrived counts from now on.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn lend(&self, bytes: NonNull<[u8]>) -> Option<Lent> {
        let offset =
            (bytes.as_ptr() as *const u8 as usize).checked_sub(self.region.map.base.as_ptr() as usize)?;
        let (number, start) = (offset / self.cut.size, offset % self.cut.size);
        self.region.buffers.get(number)?;
        Some(self.region.lend(number as u16, start as u32, bytes.len() as u32))
    }

    /// Nothing of what arrived is there any more.
    #[inline]
    pub(super) fn let_go(&mut self) {
        self.held.clear();
        self.held_last = NONE;
    }

    /// What holds what arrived.
    pub(super) fn take_held(&mut self) -> Vec<Lent> {
        self.held_last = NONE;
        std::mem::take(&mut self.held)
    }

    #[cfg(test)]
    pub(super) fn holds_nothing(&self) -> bool {
        self.held.is_empty() && self.region.buffers.iter().all(|buffer| buffer.lent.get() == 0)
    }

    /// What owns the memory.
    pub(super) fn memory(&self) -> Rc<dyn Any> {
        Rc::<Region>::clone(&self.region)
    }
}

impl Region {
    fn place(&self, number: u16, start: usize) -> *mut u8 {
        self.map.base.as_ptr().wrapping_add(usize::from(number) * self.size + start)
    }

    fn lend(self: &Rc<Self>, number: u16, start: u32, len: u32) -> Lent {
        let lent = &self.buffers[usize::from(number)].lent;
        lent.set(lent.get() + 1);
        Lent { region: Rc::clone(self), buffer: number, start, len }
    }

    fn give_back(&self, number: u16) {
        let buffer = &self.buffers[usize::from(number)];
        buffer.lent.set(buffer.lent.get() - 1);
        if buffer.lent.get() == 0 && !buffer.kernels.get() {
            guard::shut(self.place(number, 0), self.size);
            self.free.borrow_mut().push_back(number);
        }
    }
}

impl Lent {
    pub(crate) fn bytes(&self) -> &[u8] {
        let place = self.region.place(self.buffer, self.start as usize);
        // SAFETY: the piece lies within its buffer (B3), the region is mapped while it lives (B4), all of it was written by the kernel
        // (or is zero, as mapped), and nobody writes to it any more (B1, B2).
        unsafe { slice::from_raw_parts(place, self.len as usize) }
    }

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// Takes over what follows it in the same buffer: whether `next` does. That is to be dropped then.
    pub(super) fn join(&mut self, next: &Self) -> bool {
        let follows = self.buffer == next.buffer
            && self.start + self.len == next.start
            && Rc::ptr_eq(&self.region, &next.region);
        if follows {
            // This piece keeps the buffer from being provided again, as the other did (B2).
            self.len += next.len;
        }
        follows
    }

    /// Takes bytes off the front.
    pub(super) fn advance(&mut self, count: usize) {
        #[allow(clippy::cast_possible_truncation)]
        let count = count.min(self.len as usize) as u32;
        self.start += count;
        self.len -= count;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.region.give_back(self.buffer);
    }
}

/// Anonymous memory. Its pages exist once they are used.
#[derive(Debug)]
struct Map {
    base: NonNull<u8>,
    len: usize,
}

impl Map {
    fn new(len: usize) -> io::Result<Self> {
        let (access, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
        );
        // By way of the C library, so that sanitizers know of it.
        // SAFETY: a fresh mapping, at a place of the kernel's choice, is nobody else's.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, len })
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        if self.len == 0 {
            return;
        }
        // SAFETY: it was mapped with this length, and whoever could point into it is gone (B4).
        let _ = unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

#[cfg(all(test, marline_guard))]
mod tests {
    use std::io::Write;

    use super::super::tests::Rig;
    use super::*;
    use crate::backend::{Backend, Received};

    /// The guard bites: the kernel does not write to a buffer that should not have been left to it.
    #[test]
    fn a_receive_into_a_buffer_that_is_shut_is_refused() {
        for options in [Options::default(), Options::default().without(Feature::IncrementalBuffers)] {
            let Some(mut rig) = Rig::with(&options) else { return };
            let (key, mut peer) = rig.connection();
            let pool = &rig.backend.buffers;
            (0..pool.used).for_each(|number| guard::shut(pool.region.place(number, 0), pool.region.size));
            peer.write_all(b"nowhere").unwrap();
            rig.input(key);
            let received = rig.backend.receive(key, None);
            let Received::Failed(error) = received else { panic!("{received:?}") };
            assert_eq!(error.raw_os_error(), Some(libc::EFAULT));
        }
    }
}
