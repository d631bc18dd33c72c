//! One loop in its place, as the others see it: whether it takes work, and how many connections it was given.

use parking_lot::Mutex;

use crate::remote::Remote;

/// What the group knows of one loop. The next one in the same place has another.
pub(super) struct Place {
    pub(super) remote: Remote,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    /// Whether it takes new work.
    takes: bool,
    /// The connections that were handed over to it, and stand or are on their way, by the numbers of their feeds.
    loads: Vec<usize>,
}

impl Books {
    fn load(&mut self, feed: usize) -> &mut usize {
        if self.loads.len() <= feed {
            self.loads.resize(feed + 1, 0);
        }
        &mut self.loads[feed]
    }
}

impl Place {
    pub(super) fn new(remote: Remote) -> Self {
        Self { remote, books: Mutex::default() }
    }

    /// It takes work from now on.
    pub(super) fn open(&self) {
        self.books.lock().takes = true;
    }

    /// It takes no new work any more. What it was given before, it has in its queue already, or is counted.
    pub(super) fn shut(&self) {
        self.books.lock().takes = false;
    }

    pub(super) fn takes(&self) -> bool {
        self.books.lock().takes
    }

    /// How many connections of the feed it has, if it takes more.
    pub(super) fn open_load(&self, feed: usize) -> Option<usize> {
        let mut books = self.books.lock();
        books.takes.then(|| *books.load(feed))
    }

    pub(super) fn load(&self, feed: usize) -> usize {
        *self.books.lock().load(feed)
    }

    /// Counts one more, if it takes any, and has fewer than `limit`. A drain that begins after this waits for it.
    pub(super) fn offer(&self, feed: usize, limit: usize) -> bool {
        let mut books = self.books.lock();
        let takes = books.takes && *books.load(feed) < limit;
        *books.load(feed) += usize::from(takes);
        takes
    }

    /// Counts one more in any case.
    pub(super) fn add(&self, feed: usize) {
        *self.books.lock().load(feed) += 1;
    }

    pub(super) fn subtract(&self, feed: usize) {
        *self.books.lock().load(feed) -= 1;
    }
}
