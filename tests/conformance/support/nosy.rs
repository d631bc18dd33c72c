//! Wakers that run what a test likes when they are cloned, woken or dropped.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ptr;
use std::rc::Rc;
use std::task::{RawWaker, RawWakerVTable, Waker};

/// What is done with a waker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Clone,
    Wake,
    Drop,
}

type Hook = Rc<dyn Fn(Act)>;

thread_local! {
    static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
}

/// While it lives, `hook` runs whenever something is done with a nosy waker on this thread.
pub struct Nosy {
    _private: (),
}

impl Nosy {
    pub fn new(hook: impl Fn(Act) + 'static) -> Self {
        HOOK.set(Some(Rc::new(hook)));
        Self { _private: () }
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        HOOK.take();
    }
}

/// One of these wakers. Those with different numbers wake different people.
pub fn nosy(number: usize) -> Waker {
    // SAFETY: [W1] the pointer is a number, which nobody follows, and the functions of the table may be called from any
    // thread and any number of times.
    unsafe { Waker::new(ptr::without_provenance(number), &TABLE) }
}

static TABLE: RawWakerVTable = RawWakerVTable::new(
    |number| {
        tell(Act::Clone);
        RawWaker::new(number, &TABLE)
    },
    |_| tell(Act::Wake),
    |_| tell(Act::Wake),
    |_| tell(Act::Drop),
);

fn tell(act: Act) {
    let hook = HOOK.try_with(|hook| hook.borrow().clone()).ok().flatten();
    if let Some(hook) = hook {
        hook(act);
    }
}
