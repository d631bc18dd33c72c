//! Loom models of what the loop and the threads of a pool do to the same counts and tickets.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p marline-reactor --lib --release models`

use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::roll::{Handed, Roll};
use super::ticket::{Ticket, Work};
use crate::remote::sync::Mutex;

#[derive(Default)]
struct Crew {
    roll: Roll<()>,
    ran: Mutex<usize>,
}

impl Crew {
    /// A thread that is never patient: it leaves as soon as it may.
    fn attend(&self) {
        while let Some(()) = self.roll.next(Duration::ZERO) {
            assert!(self.roll.begin(|| true));
            *self.ran.lock() += 1;
            self.roll.done();
        }
    }
}

/// A thread that leaves just when work comes leaves none behind.
#[test]
fn no_job_is_left_in_the_queue_by_the_last_thread() {
    loom::model(|| {
        let (crew, mut threads) = (Arc::new(Crew::default()), Vec::new());
        for _ in 0..2 {
            match crew.roll.hand_in(1, 2, (), |()| false) {
                Handed::WantsThread => {
                    let crew = Arc::clone(&crew);
                    threads.push(thread::spawn(move || crew.attend()));
                }
                Handed::Waits => {}
                Handed::Full => unreachable!("there is room for both"),
            }
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let counts = crew.roll.counts();
        assert_eq!((counts.threads, counts.waiting, counts.running), (0, 0, 0));
        assert_eq!(*crew.ran.lock(), 2);
    });
}

/// A job is run or cancelled, never both and never neither.
#[test]
fn a_job_is_either_revoked_or_run() {
    loom::model(|| {
        let ran = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&ran);
        let ticket = Arc::new(Ticket::new(move || count.fetch_add(1, Ordering::Relaxed)));
        let work = Arc::clone(&ticket);
        let thread = thread::spawn(move || {
            if work.begin() {
                work.run();
            }
        });
        let revoked = ticket.revoke();
        thread.join().unwrap();
        assert_eq!(ran.load(Ordering::Relaxed), usize::from(!revoked));
    });
}
