//! Loom models of the door: every interleaving is tried, on the parts that programs use.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p marline-reactor --lib --release models`

use std::sync::Arc;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::{Arrived, Remote, Signal};
use crate::backend::Wakeup;
use crate::key::Key;
use crate::reactor::LoopId;

/// A bell that stays rung until it is heard, as an eventfd does.
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    fn new() -> Arc<Self> {
        Arc::new(Self { rung: Mutex::new(false), heard: Condvar::new() })
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.heard.wait(rung).unwrap();
        }
        *rung = false;
    }
}

impl Wakeup for Bell {
    fn wake(&self) {
        *self.rung.lock().unwrap() = true;
        self.heard.notify_one();
    }
}

/// The loop's side, reduced to sleeping and taking.
struct Loop {
    remote: Remote,
    bell: Arc<Bell>,
}

impl Loop {
    fn new() -> Self {
        let bell = Bell::new();
        Self { remote: Remote::new(LoopId::fresh(), usize::MAX, bell.clone()), bell }
    }

    /// Sleeps until there is something to take, and takes it. If a wake-up could be lost this waits for ever, which
    /// loom reports as a deadlock.
    fn turn(&self) -> Arrived {
        let shared = self.remote.shared();
        let mut arrived = Arrived::default();
        if shared.may_sleep() {
            self.bell.wait();
            shared.awake();
        }
        shared.take(&mut arrived);
        arrived
    }
}

fn key() -> Key {
    Key::new(0, 1)
}

/// Threads that each post so many calls, until the loop ran them all. A thread may find the loop awake, about to
/// sleep, or asleep.
fn posting(threads: usize, posts: usize) {
    let (this, ran) = (Loop::new(), Arc::new(AtomicUsize::new(0)));
    let threads: Vec<_> = (0..threads)
        .map(|_| {
            let (remote, ran) = (this.remote.clone(), Arc::clone(&ran));
            thread::spawn(move || {
                for _ in 0..posts {
                    let ran = Arc::clone(&ran);
                    assert!(remote.post(move || _ = ran.fetch_add(1, Ordering::Relaxed)).is_ok());
                }
            })
        })
        .collect();
    while ran.load(Ordering::Relaxed) < threads.len() * posts {
        this.turn().posts.into_iter().for_each(|post| post.into_callback().call());
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn no_post_is_missed_by_a_loop_that_goes_to_sleep() {
    loom::model(|| posting(1, 2));
}

/// With two threads there are too many orders to try them all, so each thread is interrupted twice at most.
#[test]
fn no_post_is_missed_when_threads_compete_for_the_bell() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| posting(2, 1));
}

/// Raises coalesce, but each is followed by a run that begins after it, and so sees what came before it.
#[test]
fn a_raise_is_followed_by_a_run_that_sees_what_came_before_it() {
    loom::model(|| {
        let (this, told) = (Loop::new(), Arc::new(AtomicUsize::new(0)));
        let signal = Signal::new(&this.remote, key());
        let weak = signal.downgrade();
        let (other, tell) = (signal.clone(), Arc::clone(&told));
        let thread = thread::spawn(move || {
            // Relaxed: it is the raise that has to carry it over.
            tell.store(1, Ordering::Relaxed);
            other.raise();
        });
        signal.raise();
        let (mut seen, mut runs) = (0, 0);
        while seen == 0 {
            for _ in this.turn().signals {
                weak.upgrade().inspect(|shared| shared.lower());
                seen = told.load(Ordering::Relaxed);
                runs += 1;
            }
        }
        thread.join().unwrap();
        assert!(runs <= 2, "each raise leads to one run at most");
    });
}

/// The loop is told of a signal's end no earlier than of a raise that came before it, and once.
#[test]
fn the_last_drop_of_a_signal_does_not_overtake_a_raise() {
    loom::model(|| {
        let this = Loop::new();
        let signal = Signal::new(&this.remote, key());
        let weak = signal.downgrade();
        let other = signal.clone();
        let thread = thread::spawn(move || {
            other.raise();
            drop(other);
        });
        drop(signal);
        let (mut raised, mut forgotten) = (0, 0);
        while forgotten == 0 {
            let arrived = this.turn();
            for _ in &arrived.signals {
                assert_eq!(forgotten, 0);
                weak.upgrade().inspect(|shared| shared.lower());
                raised += 1;
            }
            forgotten += arrived.forgotten.len();
        }
        thread.join().unwrap();
        let (rest, _) = this.remote.shared().close();
        assert_eq!((raised, forgotten, rest.signals.len(), rest.forgotten.len()), (1, 1, 0, 0));
    });
}

/// A post is either handed back, or among what the end of the loop drops: never neither, never both.
#[test]
fn a_post_against_the_end_of_the_loop_is_refused_or_dropped_by_it() {
    loom::model(|| {
        let this = Loop::new();
        let remote = this.remote.clone();
        let thread = thread::spawn(move || remote.post(|| {}).is_ok());
        let dropped = this.remote.shared().close().0.posts.len();
        let accepted = thread.join().unwrap();
        assert_eq!(dropped, usize::from(accepted));
        assert!(this.remote.post(|| {}).is_err());
    });
}
