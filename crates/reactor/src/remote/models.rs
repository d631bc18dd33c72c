//! Loom models of the sleep and wake flags: every interleaving is tried.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p marline-reactor --lib --release models`

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::coalesce::Coalesce;
use super::flag::SleepFlag;

/// A bell that stays rung until it is heard, as an eventfd does.
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    fn new() -> Self {
        Self { rung: Mutex::new(false), heard: Condvar::new() }
    }

    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.heard.notify_one();
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.heard.wait(rung).unwrap();
        }
        *rung = false;
    }
}

/// If a wake-up could be lost, the loop would wait for ever, which loom reports as a deadlock.
#[test]
fn no_post_is_missed_by_a_loop_that_goes_to_sleep() {
    loom::model(|| {
        let shared = Arc::new((SleepFlag::new(), Bell::new(), AtomicUsize::new(0)));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    shared.2.fetch_add(1, Ordering::SeqCst);
                    if shared.0.announce() {
                        shared.1.ring();
                    }
                })
            })
            .collect();
        let mut taken = 0;
        while taken < 2 {
            if shared.0.may_sleep() {
                shared.1.wait();
                shared.0.awake();
            }
            if shared.0.take_work() {
                taken += shared.2.swap(0, Ordering::SeqCst);
            }
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// Raises coalesce, but a raise that comes after the callback began leads to another run of it.
#[test]
fn a_raise_is_followed_by_a_run_that_sees_what_came_before_it() {
    loom::model(|| {
        let shared = Arc::new((Coalesce::new(), AtomicUsize::new(0), AtomicUsize::new(0)));
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            other.1.store(1, Ordering::SeqCst);
            if other.0.raise() {
                other.2.fetch_add(1, Ordering::SeqCst);
            }
        });
        shared.1.fetch_max(0, Ordering::SeqCst);
        if shared.0.raise() {
            shared.2.fetch_add(1, Ordering::SeqCst);
        }
        let mut seen = 0;
        while seen == 0 {
            if shared.2.load(Ordering::SeqCst) > 0 {
                shared.2.fetch_sub(1, Ordering::SeqCst);
                shared.0.lower();
                seen = shared.1.load(Ordering::SeqCst);
            } else {
                thread::yield_now();
            }
        }
        thread.join().unwrap();
    });
}
