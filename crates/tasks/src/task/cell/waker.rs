//! The waker of a task, which is one more hold on it. The rules are those of the cell.
#![allow(unsafe_code)]

use std::mem::{self, ManuallyDrop};
use std::ptr::{self, NonNull};
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::TaskRef;
use crate::task::live::Header;

/// What the waker of a task does. Each function is given the pointer to a header (J1).
static VTABLE: RawWakerVTable = RawWakerVTable::new(clone_waker, wake_waker, wake_waker_by_ref, drop_waker);

#[inline]
pub(super) fn raw_waker(header: NonNull<Header>) -> RawWaker {
    RawWaker::new(header.as_ptr().cast_const().cast(), &VTABLE)
}

/// Whether this is the waker of a task of this crate, which runs no code of others.
#[inline]
pub(crate) fn is_of_task(waker: &Waker) -> bool {
    ptr::eq(waker.vtable(), &raw const VTABLE)
}

/// A clone of this waker, if it is of a task: what it does itself, without a look into its table.
#[inline]
pub(crate) fn clone_of_task(waker: &Waker) -> Option<Waker> {
    if !is_of_task(waker) {
        return None;
    }
    // SAFETY: J1; the waker goes on to own what it owns, and the clone owns what is added.
    let task = ManuallyDrop::new(unsafe { task_of(waker.data()) });
    let clone = ManuallyDrop::new(TaskRef::clone(&task));
    // SAFETY: J1.
    Some(unsafe { Waker::from_raw(raw_waker(clone.0)) })
}

/// Wakes, if this waker is of a task, and gives it back otherwise.
#[inline]
pub(crate) fn wake_task(waker: Waker) -> Result<(), Waker> {
    into_task(waker).map(TaskRef::wake)
}

/// The same, for a task that takes the input of a connection.
#[inline]
pub(crate) fn wake_task_next(waker: Waker) -> Result<(), Waker> {
    into_task(waker).map(TaskRef::wake_next)
}

#[inline]
fn into_task(waker: Waker) -> Result<TaskRef, Waker> {
    if !is_of_task(&waker) {
        return Err(waker);
    }
    let waker = ManuallyDrop::new(waker);
    // SAFETY: J1; the waker is used up.
    Ok(unsafe { task_of(waker.data()) })
}

/// # Safety
///
/// The data is that of a waker of a task (J1), and what is made of it owns what the waker owned.
#[inline]
unsafe fn task_of(data: *const ()) -> TaskRef {
    // SAFETY: J1: it points to a header.
    TaskRef(unsafe { NonNull::new_unchecked(data.cast_mut().cast()) })
}

unsafe fn clone_waker(data: *const ()) -> RawWaker {
    // SAFETY: J1; the waker goes on to own what it owns.
    let waker = ManuallyDrop::new(unsafe { task_of(data) });
    mem::forget(TaskRef::clone(&waker));
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake_waker(data: *const ()) {
    // SAFETY: J1; the waker is used up.
    unsafe { task_of(data) }.wake();
}

unsafe fn wake_waker_by_ref(data: *const ()) {
    // SAFETY: J1; the waker goes on to own what it owns.
    ManuallyDrop::new(unsafe { task_of(data) }).wake_by_ref();
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: J1; the waker is used up.
    drop(unsafe { task_of(data) });
}
