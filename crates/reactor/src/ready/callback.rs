//! A closure that is called once, without an allocation if it is small.
//!
//! # Rules
//!
//! * **C1** `data` holds a valid `F` (or `Box<F>`) from `new` until `call` or `drop`, whichever comes first, and the
//!   functions of `vtable` were made for exactly that type.
//! * **C2** `call` and `drop` of the `vtable` are the only uses of `data`; each consumes it, and only one of them happens, because
//!   a call puts the table of a callback that has nothing to do in its place first. It takes what it calls out of `data` before
//!   that runs, so that other code may put another callback there meanwhile.
//! * **C3** A type stored inline is no larger than `data` and no more strictly aligned.
//! * **C4** A callback is not `Send`; a `SendCallback` is made only from closures that are.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop, MaybeUninit, align_of, size_of};
use std::panic::Location;

type Data = MaybeUninit<[usize; 4]>;

/// A `FnOnce()`, stored inline up to four words, with the place in the program that made it.
pub(crate) struct Callback {
    data: Data,
    vtable: &'static VTable,
    place: &'static Location<'static>,
    not_send: PhantomData<*mut ()>,
}

struct VTable {
    call: unsafe fn(*mut Data),
    drop: unsafe fn(*mut Data),
}

/// Of a callback that was called.
static SPENT: VTable = VTable { call: nothing, drop: nothing };

unsafe fn nothing(_: *mut Data) {}

struct Inline<F>(PhantomData<F>);

impl<F: FnOnce() + 'static> Inline<F> {
    const FITS: bool = size_of::<F>() <= size_of::<Data>() && align_of::<F>() <= align_of::<Data>();
    const VTABLE: VTable = VTable { call: Self::call, drop: Self::drop };

    unsafe fn call(data: *mut Data) {
        // SAFETY: by C1 there is an `F` at `data`, and by C2 nobody uses it after this.
        let call = unsafe { data.cast::<F>().read() };
        call();
    }

    unsafe fn drop(data: *mut Data) {
        // SAFETY: by C1 there is an `F` at `data`, and by C2 nobody uses it after this.
        unsafe { data.cast::<F>().drop_in_place() };
    }
}

impl Callback {
    #[inline]
    pub(crate) fn new<F: FnOnce() + 'static>(call: F, place: &'static Location<'static>) -> Self {
        if Inline::<F>::FITS { Self::inline(call, place) } else { Self::inline(Box::new(call), place) }
    }

    #[inline]
    fn inline<F: FnOnce() + 'static>(call: F, place: &'static Location<'static>) -> Self {
        const { assert!(size_of::<Box<F>>() <= size_of::<Data>()) };
        debug_assert!(Inline::<F>::FITS);
        let mut data = Data::uninit();
        // SAFETY: by C3, which `new` has checked, an `F` fits here.
        unsafe { data.as_mut_ptr().cast::<F>().write(call) };
        Self { data, vtable: &Inline::<F>::VTABLE, place, not_send: PhantomData }
    }

    /// One that has nothing to do.
    fn spent() -> Self {
        Self { data: Data::uninit(), vtable: &SPENT, place: Location::caller(), not_send: PhantomData }
    }

    /// Where the program scheduled it.
    pub(crate) fn place(&self) -> &'static Location<'static> {
        self.place
    }

    /// Calls it where it is; another time nothing happens.
    #[inline]
    pub(crate) fn call(&mut self) {
        let vtable = mem::replace(&mut self.vtable, &SPENT);
        // SAFETY: C1, and C2: nobody else will find this table here.
        unsafe { (vtable.call)(&raw mut self.data) };
    }
}

impl Drop for Callback {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: C1, and C2: one that was called does nothing.
        unsafe { (self.vtable.drop)(&raw mut self.data) };
    }
}

/// Where one callback waits. It is called there, as to move it would cost more than to call it.
///
/// Nothing of it is dropped: who puts one here calls it or takes it out before the next one comes.
pub(crate) struct Waiting(Cell<ManuallyDrop<Callback>>);

impl Waiting {
    #[inline]
    pub(crate) fn put(&self, callback: Callback) {
        self.0.set(ManuallyDrop::new(callback));
    }

    pub(crate) fn take(&self) -> Callback {
        ManuallyDrop::into_inner(self.0.replace(ManuallyDrop::new(Callback::spent())))
    }

    /// Calls it. What it does may put another one here.
    #[inline]
    pub(crate) fn call(&self) {
        let callback = self.0.as_ptr().cast::<Callback>();
        // SAFETY: it is in a cell, into which nobody has a reference. C1, and C2, also for what comes here meanwhile.
        unsafe {
            let vtable = mem::replace(&mut (*callback).vtable, &SPENT);
            (vtable.call)(&raw mut (*callback).data);
        }
    }

    /// Where the program scheduled the one that was called last.
    pub(crate) fn place(&self) -> &'static Location<'static> {
        let callback = self.0.as_ptr().cast::<Callback>();
        // SAFETY: as above.
        unsafe { (*callback).place }
    }
}

impl Default for Waiting {
    fn default() -> Self {
        Self(Cell::new(ManuallyDrop::new(Callback::spent())))
    }
}

/// A [`Callback`] that may change threads before it is called.
pub(crate) struct SendCallback(Callback);

// SAFETY: by C4 what is inside is `Send`; everything else in a callback is a shared reference to static data.
unsafe impl Send for SendCallback {}

impl SendCallback {
    pub(crate) fn new<F: FnOnce() + Send + 'static>(call: F, place: &'static Location<'static>) -> Self {
        Self(Callback::new(call, place))
    }

    /// The callback, on the thread where it will be called.
    pub(crate) fn into_callback(self) -> Callback {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    fn here() -> &'static Location<'static> {
        Location::caller()
    }

    #[test]
    fn small_and_large_closures_run_once_and_drop_once() {
        let count = Rc::new(Cell::new(0));
        let (small, large) = (Rc::clone(&count), [Rc::clone(&count), Rc::clone(&count)]);
        let padding = [7_u64; 9];
        Callback::new(move || small.set(small.get() + 1), here()).call();
        let mut large = Callback::new(move || large[1].set(large[0].get() + padding.len()), here());
        assert_eq!((count.get(), Rc::strong_count(&count)), (1, 3));
        large.call();
        assert_eq!((count.get(), Rc::strong_count(&count)), (10, 1));
        large.call();
        assert_eq!(count.get(), 10, "a second call does nothing");
    }

    #[test]
    fn a_callback_that_is_not_called_drops_what_it_holds() {
        let held = Rc::new(());
        let copy = Rc::clone(&held);
        drop(Callback::new(move || drop(copy), here()));
        assert_eq!(Rc::strong_count(&held), 1);
    }

    #[test]
    fn strictly_aligned_closures_are_boxed() {
        #[repr(align(64))]
        struct Aligned(u8);
        let (aligned, seen) = (Aligned(9), Rc::new(Cell::new(0)));
        let copy = Rc::clone(&seen);
        let mut callback = Callback::new(
            move || {
                let aligned = &aligned;
                assert_eq!(std::ptr::from_ref(aligned) as usize % 64, 0);
                copy.set(aligned.0);
            },
            here(),
        );
        callback.call();
        assert_eq!(seen.get(), 9);
    }
}
