//! One allocation for all that the wakers of a combinator's children share.
//!
//! A head stands in front of a slot for each child. The waker of a child is a pointer to its slot, with a count in the head
//! of how many there are, so that a thousand children have their wakers for one allocation, and the one that a child is
//! polled with costs nothing until it is cloned.
//!
//! Who was woken stands in a list that the slots make up. If it is known from the start that they are polled by index, and a word has
//! a bit for each, they are few, and such a word is there instead: to wake one is a single atomic operation then, and none is
//! needed when it is polled.
//!
//! # Rules
//!
//! * **L1** A block is `len` slots behind a head, in one allocation of the layout that [`layout`] computes from `len`, which
//!   never changes. Each pointer into it is made from the pointer to all of it, and the slot at `index` says `index`.
//! * **L2** The block lives as long as its count is not zero. The [`Block`] and every waker that was cloned own one each; the
//!   one that a child is polled with owns none, and is gone before the borrow of the `Block` ends.
//! * **L3** What is in it is shared by threads, and nothing else is done with it than what `&Head` and `&[Slot]` allow,
//!   until one owner is left, who has it alone.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::mem::{self, ManuallyDrop};
use std::process::abort;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, RawWaker, RawWakerVTable, Waker};

use parking_lot::Mutex;

use super::wakes::WHAT;
use crate::wake::wake;

/// No child. Others are named by their index and one.
const NONE: usize = 0;

pub(super) struct Head {
    owners: AtomicUsize,
    len: usize,
    /// Whether the woken are a set of bits.
    is_few: bool,
    /// The child that was woken last, with the one before it in its slot. Of few, a bit for each.
    woken: AtomicUsize,
    /// Taken by the first child that is woken after they were collected, since one wake of the parent is enough.
    parent: Mutex<Option<Waker>>,
}

pub(super) struct Slot {
    /// Whether waking the child would tell nothing new: it is among the woken already, or has finished. Not used for few.
    mark: AtomicBool,
    has_finished: AtomicBool,
    index: u32,
    /// Who was woken before it, if it is among the woken; who comes after it, if it stands in a line.
    link: AtomicU32,
}

/// Children of a block, one after the other, for the combinator alone.
#[derive(Debug)]
pub(super) struct Line {
    /// The first, with the next one in its slot. Of few, a bit for each.
    first: usize,
    /// Whether each has a higher index than the one before it.
    pub(super) ascends: bool,
}

impl Line {
    pub(super) const EMPTY: Self = Self { first: NONE, ascends: true };

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.first == NONE
    }
}

/// The combinator's own hold on the block.
pub(super) struct Block {
    head: NonNull<Head>,
}

// SAFETY: L3; heads and slots are `Send` and `Sync`, which is asserted below.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<Head>();
    is_shared::<Slot>();
};

impl Block {
    /// One for so many children, none of which can be woken before it is [polled](Self::lend). If they are `sorted`, those that
    /// were woken may come by index.
    pub(super) fn new(len: usize, sorted: bool) -> Self {
        // So many have no place in memory either.
        if len >= u32::MAX as usize {
            abort();
        }
        let layout = layout(len);
        // SAFETY: a head has a size.
        let Some(head) = NonNull::new(unsafe { alloc(layout) }.cast::<Head>()) else {
            handle_alloc_error(layout)
        };
        let (owners, woken) = (AtomicUsize::new(1), AtomicUsize::new(NONE));
        let is_few = sorted && len <= usize::BITS as usize;
        // SAFETY: L1: it has room for that.
        unsafe { head.write(Head { owners, len, is_few, woken, parent: Mutex::default() }) };
        for index in 0..number(len) {
            let (mark, has_finished) = (AtomicBool::new(false), AtomicBool::new(false));
            let slot = Slot { mark, has_finished, index, link: AtomicU32::new(0) };
            // SAFETY: as above.
            unsafe { slot_of(head, index as usize).write(slot) };
        }
        Self { head }
    }

    #[inline]
    fn head(&self) -> &Head {
        // SAFETY: L2, L3.
        unsafe { self.head.as_ref() }
    }

    #[inline]
    pub(super) fn slot(&self, index: usize) -> &Slot {
        assert!(index < self.head().len, "there is no child {index}");
        // SAFETY: L2, L3.
        unsafe { slot_of(self.head, index).as_ref() }
    }

    /// Calls `poll` with the waker of this child, which may be woken from now on. Before the first time nobody can have woken it, so there
    /// is nothing to forget then; and to forget may take a processor as long as most polls.
    #[inline]
    pub(super) fn lend<R>(
        &self,
        index: usize,
        is_first: bool,
        poll: impl FnOnce(&mut Context<'_>) -> R,
    ) -> R {
        let slot = self.slot(index);
        if !is_first {
            self.head().forget(slot);
        }
        let raw = RawWaker::new(slot_of(self.head, index).as_ptr().cast_const().cast(), &VTABLE);
        // SAFETY: L1, as the table wants it, and L2: it is not dropped, and `self` is borrowed as long as it is lent.
        let waker = ManuallyDrop::new(unsafe { Waker::from_raw(raw) });
        poll(&mut Context::from_waker(&waker))
    }

    /// Takes the woken children out, as they were woken; few by their indices.
    #[inline]
    pub(super) fn collect(&self) -> Line {
        let mut next = self.head().woken.swap(NONE, Ordering::AcqRel);
        if self.head().is_few {
            return Line { first: next, ascends: true };
        }
        let mut line = Line::EMPTY;
        while next != NONE {
            let index = next - 1;
            // Whose mark is set, and who is not among the woken, is nobody's but the combinator's.
            next = self.slot(index).link.load(Ordering::Relaxed) as usize;
            self.put_first(&mut line, index);
        }
        line
    }

    /// Puts a child whom no wake names meanwhile to the front. Few stand by their indices, and may be named meanwhile.
    #[inline]
    pub(super) fn put_first(&self, line: &mut Line, index: usize) {
        if self.head().is_few {
            line.first |= 1 << index;
            return;
        }
        self.slot(index).link.store(number(line.first), Ordering::Relaxed);
        line.ascends &= line.first == NONE || index + 1 < line.first;
        line.first = index + 1;
    }

    /// Takes the first child out.
    #[inline]
    pub(super) fn take_first(&self, line: &mut Line) -> Option<usize> {
        let first = line.first;
        if first == NONE {
            return None;
        }
        if self.head().is_few {
            line.first &= first - 1;
            return Some(first.trailing_zeros() as usize);
        }
        line.first = self.slot(first - 1).link.load(Ordering::Relaxed) as usize;
        Some(first - 1)
    }

    /// Where the parent is, if no waker of a child's is anywhere: then no other thread can look there.
    #[inline]
    fn own_parent(&mut self) -> Option<&mut Option<Waker>> {
        if self.head().owners.load(Ordering::Acquire) > 1 {
            return None;
        }
        // SAFETY: L2: the one owner is borrowed, so that nothing is lent either, and nobody else has a reference.
        Some(unsafe { self.head.as_mut() }.parent.get_mut())
    }

    /// Whether this is the parent that the next child to be woken wakes.
    #[inline]
    pub(super) fn knows_parent(&mut self, parent: &Waker) -> bool {
        let is_it = |known: &Option<Waker>| known.as_ref().is_some_and(|known| known.will_wake(parent));
        match self.own_parent() {
            Some(known) => is_it(known),
            // It was taken by the first who was woken.
            None => self.sleeps() && is_it(&self.head().parent.lock()),
        }
    }

    /// Puts another parent in its place, or none.
    #[inline]
    pub(super) fn replace_parent(&mut self, parent: Option<Waker>) -> Option<Waker> {
        match self.own_parent() {
            Some(place) => mem::replace(place, parent),
            None => mem::replace(&mut *self.head().parent.lock(), parent),
        }
    }

    /// Whether no child was woken since they were collected.
    #[inline]
    fn sleeps(&self) -> bool {
        self.head().woken.load(Ordering::Relaxed) == NONE
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: L2: it owns one.
        unsafe { give_up(self.head) };
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").field("len", &self.head().len).finish_non_exhaustive()
    }
}

impl Slot {
    /// Nobody has to poll it any more.
    #[inline]
    pub(super) fn finish(&self) {
        self.mark.store(true, Ordering::Release);
        self.has_finished.store(true, Ordering::Relaxed);
    }

    /// Who is none of the combinator's may learn it late.
    #[inline]
    pub(super) fn has_finished(&self) -> bool {
        self.has_finished.load(Ordering::Relaxed)
    }
}

impl Head {
    /// Notes that the child was woken, and wakes the parent if it is the first.
    #[inline]
    fn wake(&self, slot: &Slot) {
        let before = if self.is_few { self.note_bit(slot) } else { self.note_last(slot) };
        if before == Some(NONE) {
            self.wake_parent();
        }
    }

    #[inline(never)]
    fn wake_parent(&self) {
        let parent = self.parent.lock().take();
        if let Some(parent) = parent {
            wake(parent, WHAT);
        }
    }

    /// Who was woken before this one, unless that is no news.
    #[inline]
    fn note_bit(&self, slot: &Slot) -> Option<usize> {
        if slot.has_finished() {
            return None;
        }
        Some(self.woken.fetch_or(1 << slot.index, Ordering::AcqRel))
    }

    /// Its poll begins, which is for all wakes until now. Before it, so that no wake during the poll is lost; with an operation that
    /// reads, so that what was written before a wake is seen in the poll. If it is the bit of one of few, the parent may have been
    /// woken for that one, and finds nothing then.
    #[inline]
    fn forget(&self, slot: &Slot) {
        if !self.is_few {
            slot.mark.swap(false, Ordering::AcqRel);
            return;
        }
        let bit = 1 << slot.index;
        if self.woken.load(Ordering::Relaxed) & bit != 0 {
            self.woken.fetch_and(!bit, Ordering::AcqRel);
        }
    }

    #[inline]
    fn note_last(&self, slot: &Slot) -> Option<usize> {
        if slot.mark.swap(true, Ordering::AcqRel) {
            return None;
        }
        let mut before = self.woken.load(Ordering::Relaxed);
        loop {
            slot.link.store(number(before), Ordering::Relaxed);
            let pushed = self.woken.compare_exchange_weak(
                before,
                slot.index as usize + 1,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            match pushed {
                Ok(_) => return Some(before),
                Err(now) => before = now,
            }
        }
    }
}

/// A number of one child, or of all: [`Block::new`] sees to it that there are no more.
#[inline]
#[allow(clippy::cast_possible_truncation)]
fn number(number: usize) -> u32 {
    number as u32
}

fn layout(len: usize) -> Layout {
    const { assert!(align_of::<Head>() >= align_of::<Slot>()) };
    let slots = Layout::array::<Slot>(len);
    let whole = slots.and_then(|slots| Layout::new::<Head>().extend(slots));
    // More children than that have no place in memory either.
    whole.map_or_else(|_| abort(), |(layout, _)| layout)
}

/// The slot at `index`, which is in the block.
#[inline]
fn slot_of(head: NonNull<Head>, index: usize) -> NonNull<Slot> {
    // SAFETY: L1: slots begin where the head ends, as they are aligned no more strictly.
    unsafe { head.add(1).cast::<Slot>().add(index) }
}

/// The head of the block of this slot.
///
/// # Safety
///
/// The pointer is of a waker of the block (L1), which lives.
#[inline]
unsafe fn head_of(slot: NonNull<Slot>) -> NonNull<Head> {
    // SAFETY: L1.
    unsafe { slot.sub((*slot.as_ptr()).index as usize).cast::<Head>().sub(1) }
}

/// Ends the hold of an owner.
///
/// # Safety
///
/// The caller is one of the owners (L2), and none any more.
unsafe fn give_up(head: NonNull<Head>) {
    // SAFETY: L2.
    let owners = unsafe { &head.as_ref().owners };
    // Who is alone needs no atomic operation: nobody else could add one.
    if owners.load(Ordering::Acquire) == 1 || owners.fetch_sub(1, Ordering::AcqRel) == 1 {
        // SAFETY: L2: nobody else is left. Slots have nothing to drop.
        unsafe {
            let layout = layout(head.as_ref().len);
            head.drop_in_place();
            dealloc(head.as_ptr().cast(), layout);
        }
    }
}

/// What the waker of a child does. Each function is given the pointer to a slot of a block that lives (L1, L2).
static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake_owned, wake_lent, forget);

#[inline]
fn slot_in(data: *const ()) -> NonNull<Slot> {
    // SAFETY: no waker is made of a null pointer.
    unsafe { NonNull::new_unchecked(data.cast_mut().cast()) }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: L1, L2.
    let head = unsafe { head_of(slot_in(data)).as_ref() };
    // A program that forgets so many wakers has to end before the count begins anew.
    if head.owners.fetch_add(1, Ordering::Relaxed) > usize::MAX / 2 {
        abort();
    }
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake_owned(data: *const ()) {
    // SAFETY: as here; the waker is used up.
    unsafe {
        wake_lent(data);
        forget(data);
    }
}

unsafe fn wake_lent(data: *const ()) {
    let slot = slot_in(data);
    // SAFETY: L1, L2.
    let (head, slot) = unsafe { (head_of(slot).as_ref(), slot.as_ref()) };
    head.wake(slot);
}

unsafe fn forget(data: *const ()) {
    // SAFETY: L1, L2: a waker that is dropped is one that was cloned.
    unsafe { give_up(head_of(slot_in(data))) };
}

#[cfg(test)]
mod tests;
