//! Which loops live on this thread, and which of them runs.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicU64, Ordering};

use super::Shell;

/// The number of a loop, never used again in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LoopId(u64);

impl LoopId {
    pub(crate) fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

thread_local! {
    /// The loops that were entered, the innermost last.
    static ENTERED: RefCell<Vec<Rc<Shell>>> = const { RefCell::new(Vec::new()) };
    /// Every loop of this thread.
    static KNOWN: RefCell<Vec<Weak<Shell>>> = const { RefCell::new(Vec::new()) };
}

/// While it lives, its loop is the current one.
pub(super) struct Entered {
    /// Whether there was a place to note it: a thread that ends has none, and no callbacks either.
    noted: bool,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if self.noted {
            drop(ENTERED.try_with(|entered| entered.borrow_mut().pop()));
        }
    }
}

pub(super) fn enter(shell: &Rc<Shell>) -> Entered {
    let noted = ENTERED.try_with(|entered| entered.borrow_mut().push(Rc::clone(shell))).is_ok();
    Entered { noted }
}

pub(super) fn register(shell: &Rc<Shell>) {
    // A thread that ends runs no loops, so nobody would look.
    let _ = KNOWN.try_with(|known| {
        let mut known = known.borrow_mut();
        known.retain(|other| other.strong_count() > 0);
        known.push(Rc::downgrade(shell));
    });
}

pub(super) fn current() -> Option<Rc<Shell>> {
    ENTERED.try_with(|entered| entered.borrow().last().cloned()).ok()?
}

/// Whether a callback of some loop is on this thread's stack.
pub(super) fn in_callback() -> bool {
    ENTERED.try_with(|entered| entered.borrow().iter().any(|shell| shell.in_turn.get())).unwrap_or(false)
}

pub(super) fn find(id: LoopId) -> Option<Rc<Shell>> {
    let innermost = ENTERED.try_with(|entered| {
        let entered = entered.borrow();
        entered.last().filter(|shell| shell.id == id).cloned()
    });
    if let Ok(Some(shell)) = innermost {
        return Some(shell);
    }
    let known = KNOWN.try_with(|known| {
        let known = known.borrow();
        known.iter().filter_map(Weak::upgrade).find(|shell| shell.id == id)
    });
    known.ok()?
}
