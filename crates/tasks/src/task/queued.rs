//! Which tasks wait for their turn.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::table::TableKey;

const PAGE: usize = 64;

type Page = [AtomicBool; PAGE];

/// Whether a task was woken since its last poll began. The task carries it along, so that a wake, on whatever thread, sets it
/// without looking for anything.
pub(crate) struct Queued {
    page: Arc<Page>,
    index: usize,
}

impl Queued {
    /// Only lists read it, so it orders nothing.
    #[inline]
    pub(super) fn set(&self, queued: bool) {
        self.page[self.index].store(queued, Ordering::Relaxed);
    }
}

/// Those of all tasks of a loop, in pages, so that a task costs no allocation for it.
#[derive(Default)]
pub(super) struct QueuedTasks {
    pages: RefCell<Vec<Arc<Page>>>,
}

impl QueuedTasks {
    /// For the task that is made with this key.
    pub(super) fn of(&self, key: TableKey) -> Queued {
        let (page, index) = (key.index() / PAGE, key.index() % PAGE);
        let mut pages = self.pages.borrow_mut();
        while pages.len() <= page {
            pages.push(Arc::new([const { AtomicBool::new(false) }; PAGE]));
        }
        Queued { page: Arc::clone(&pages[page]), index }
    }

    pub(super) fn contains(&self, key: TableKey) -> bool {
        let pages = self.pages.borrow();
        pages.get(key.index() / PAGE).is_some_and(|page| page[key.index() % PAGE].load(Ordering::Relaxed))
    }
}
