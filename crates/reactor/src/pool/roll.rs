//! The queue, how many threads and jobs there are, and which thread leaves.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::remote::sync::{Condvar, Mutex};

/// The queue and the counts that the loop and the threads share.
///
/// Both change them under the one lock, so jobs begin in their order, and none is left behind by the last thread that leaves.
pub(super) struct Roll<J> {
    book: Mutex<Book<J>>,
    news: Condvar,
}

struct Book<J> {
    queue: VecDeque<J>,
    counts: Counts,
    is_closed: bool,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) threads: usize,
    pub(super) waiting: usize,
    pub(super) running: usize,
}

/// What becomes of a job that is handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Handed {
    /// It waits for a thread that is there.
    Waits,
    /// It waits for a thread that the caller has to start.
    WantsThread,
    /// There is no room.
    Full,
}

impl<J> Default for Roll<J> {
    fn default() -> Self {
        let book = Book { queue: VecDeque::new(), counts: Counts::default(), is_closed: false };
        Self { book: Mutex::new(book), news: Condvar::default() }
    }
}

impl<J> Roll<J> {
    /// Hands a job in, if there are not more than `threads` that run and `queue` that wait.
    ///
    /// Revoked jobs stay in the queue until a thread passes. If none does, they are taken out here when they pile up.
    pub(super) fn hand_in(
        &self,
        threads: usize,
        queue: usize,
        job: J,
        is_revoked: impl Fn(&J) -> bool,
    ) -> Handed {
        let most = threads.saturating_add(queue);
        let mut book = self.book.lock();
        let mut revoked = VecDeque::new();
        if book.queue.len() > most.saturating_mul(2) {
            let (out, kept) = std::mem::take(&mut book.queue).into_iter().partition(is_revoked);
            (revoked, book.queue) = (out, kept);
        }
        let handed = book.hand_in(threads, most, job);
        drop(book);
        drop(revoked);
        if handed != Handed::Full {
            self.news.notify_one();
        }
        handed
    }

    /// A thread that was wanted could not be started: whether there are others to do its work.
    pub(super) fn no_thread(&self) -> bool {
        let mut book = self.book.lock();
        book.counts.threads -= 1;
        book.counts.threads > 0
    }

    /// The next job for a thread, which waits for one at most so long. With `None` the thread is counted no more, and leaves.
    pub(super) fn next(&self, idle: Duration) -> Option<J> {
        let begun = Instant::now();
        let mut book = self.book.lock();
        let mut is_late = false;
        loop {
            if let Some(job) = book.queue.pop_front() {
                return Some(job);
            }
            if is_late || book.is_closed {
                book.counts.threads -= 1;
                return None;
            }
            (book, is_late) = self.news.wait_for(book, idle.saturating_sub(begun.elapsed()));
        }
    }

    /// Lets threads leave as soon as the queue is empty.
    pub(super) fn close(&self) {
        self.book.lock().is_closed = true;
        self.news.notify_all();
    }

    /// A thread begins a job, unless `begin` finds that it was revoked.
    pub(super) fn begin(&self, begin: impl FnOnce() -> bool) -> bool {
        let mut book = self.book.lock();
        let begun = begin();
        if begun {
            book.counts.waiting -= 1;
            book.counts.running += 1;
        }
        begun
    }

    /// A job that had begun is done.
    pub(super) fn done(&self) {
        self.book.lock().counts.running -= 1;
    }

    /// A job that waited was revoked.
    pub(super) fn revoked(&self) {
        self.book.lock().counts.waiting -= 1;
    }

    pub(super) fn counts(&self) -> Counts {
        self.book.lock().counts
    }
}

impl<J> Book<J> {
    fn hand_in(&mut self, threads: usize, most: usize, job: J) -> Handed {
        let counts = &mut self.counts;
        if counts.waiting + counts.running >= most {
            return Handed::Full;
        }
        self.queue.push_back(job);
        counts.waiting += 1;
        if counts.threads < threads.min(counts.waiting + counts.running) {
            counts.threads += 1;
            return Handed::WantsThread;
        }
        Handed::Waits
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    /// A job with its number, and whether it is revoked.
    type Numbered = (usize, bool);

    fn attend(roll: &Roll<Numbered>) -> Vec<usize> {
        let mut ran = Vec::new();
        while let Some((number, is_revoked)) = roll.next(Duration::from_secs(30)) {
            if roll.begin(|| !is_revoked) {
                ran.push(number);
                roll.done();
            }
        }
        ran
    }

    #[test]
    fn jobs_begin_in_order_while_revoked_ones_are_taken_out() {
        const JOBS: usize = 30_000;
        let roll = Arc::new(Roll::default());
        let mut thread = None;
        for number in 0..JOBS {
            let is_revoked = number % 8 > 0;
            loop {
                match roll.hand_in(1, 4, (number, is_revoked), |job: &Numbered| job.1) {
                    Handed::Full => {
                        thread::yield_now();
                        continue;
                    }
                    Handed::WantsThread => {
                        let roll = Arc::clone(&roll);
                        thread = Some(thread::spawn(move || attend(&roll)));
                    }
                    Handed::Waits => {}
                }
                break;
            }
            if is_revoked {
                roll.revoked();
            }
        }
        roll.close();
        let ran = thread.expect("a thread").join().expect("it ends");
        assert_eq!(ran, (0..JOBS).step_by(8).collect::<Vec<_>>());
        let counts = roll.counts();
        assert_eq!((counts.threads, counts.waiting, counts.running), (0, 0, 0));
    }
}
