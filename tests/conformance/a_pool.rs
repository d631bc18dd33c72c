//! A: blocking work, awaited.

use std::cell::Cell;
use std::future::poll_fn;
use std::panic::panic_any;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use futures::FutureExt;
use marline_tasks::{Blocking, gather, run_on, spawn, spawn_blocking, yield_now};
use marline_tests::PATIENCE;

use super::n_pool::{Gate, Token, configured, wait_until};
use crate::conformance;
use crate::support::{World, failures};

#[test]
fn a20_the_future_of_blocking_work_is_send_and_sync() {
    fn both<T: Send + Sync>() {}
    both::<Blocking<Cell<u8>>>();
    let outside = spawn_blocking(|| ()).now_or_never().expect("an answer");
    let error = outside.expect_err("no loop");
    assert!(error.is_over() && !error.is_full() && !error.is_aborted() && !error.is_panic());
}

conformance! {
    fn a20_its_result_arrives_in_the_task_on_the_loops_thread(world: &World) {
        let home = thread::current().id();
        let answers = world.finish(async move {
            let one = spawn_blocking(|| (thread::current().id(), 1));
            let two = spawn_blocking(|| (thread::current().id(), 2));
            let answers = gather([one, two]).await.expect("results");
            (answers, thread::current().id())
        });
        let (answers, there) = answers;
        assert_eq!(there, home);
        assert!(answers.iter().all(|(thread, _)| *thread != home));
        assert_eq!((answers[0].1, answers[1].1), (1, 2));
    }

    fn a20_its_result_is_given_and_dropped_on_the_loops_thread(world: &World) {
        #[derive(Clone, Default)]
        struct Noted(Arc<Mutex<Vec<ThreadId>>>);
        impl Noted {
            fn note(&self) {
                self.0.lock().expect("a lock").push(thread::current().id());
            }
            fn all(&self) -> Vec<ThreadId> {
                self.0.lock().expect("a lock").clone()
            }
        }
        struct Left(Noted);
        impl Drop for Left {
            fn drop(&mut self) {
                self.0.note();
            }
        }
        impl Wake for Noted {
            fn wake(self: Arc<Self>) {
                self.note();
            }
        }
        let (handle, home) = (world.handle(), thread::current().id());
        // Under a foreign waker, the wake comes from the loop.
        let woken = Noted::default();
        let waker = Waker::from(Arc::new(woken.clone()));
        let mut waiting = handle.enter(|| spawn_blocking(|| 7));
        assert!(waiting.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
        world.until_elsewhere(|| !woken.all().is_empty());
        assert_eq!(woken.all(), [home]);
        assert_eq!(waiting.now_or_never().expect("an answer").expect("a result"), 7);
        // What nobody awaits is dropped there.
        let dropped = Noted::default();
        let left = Left(dropped.clone());
        drop(handle.enter(|| spawn_blocking(move || left)));
        world.until_elsewhere(|| !dropped.all().is_empty());
        assert_eq!(dropped.all(), [home]);
    }

    fn a20_a_panic_keeps_its_payload(world: &World) {
        let error = world.finish(async { spawn_blocking(|| panic_any("a payload")).await });
        let error = error.expect_err("a panic");
        assert!(error.is_panic() && error.to_string().contains("a payload"));
        let payload = error.into_panic().expect("the payload");
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"a payload"));
    }

    fn a20_a_panic_that_nobody_awaits_is_reported(world: &World) {
        let reports = failures(&world.handle());
        let line = line!() + 1;
        let dropped = world.handle().enter(|| spawn_blocking(|| panic!("dropped before")));
        drop(dropped);
        world.until_elsewhere(|| reports.borrow().len() == 1);
        // It has ended when its handle is dropped, on another thread.
        let (begun, kept) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(None)));
        let (kept_by, told) = (Rc::clone(&kept), Rc::clone(&begun));
        drop(world.spawn(async move {
            let mut blocking = spawn_blocking(|| panic_any("dropped after"));
            poll_fn(|context| {
                // The answer is there and is left alone.
                let woken = told.replace(true);
                if woken { Poll::Ready(()) } else { blocking.poll_unpin(context).map(drop) }
            })
            .await;
            kept_by.set(Some(blocking));
        }));
        world.until_elsewhere(|| begun.get() && reports.borrow().len() == 1 && kept.take().map(drop_elsewhere).is_some());
        world.until_elsewhere(|| reports.borrow().len() == 2);
        let reports = reports.borrow();
        assert!(reports[0].contains("dropped before") && reports[0].contains(&format!("a_pool.rs:{line}:")), "{reports:?}");
        assert!(reports[1].contains("dropped after"), "{reports:?}");
    }

    fn a20_dropping_its_handle_does_not_wait(world: &World) {
        let (result, ended) = (Arc::new(AtomicUsize::new(0)), Rc::new(Cell::new(false)));
        let ((gate, work), told) = (Gate::new(Token(Arc::clone(&result))), Rc::clone(&ended));
        let task = world.spawn(async move {
            let mut blocking = spawn_blocking(work);
            assert!((&mut blocking).now_or_never().is_none());
            drop(blocking);
            yield_now().await;
            told.set(true);
        });
        world.turn_a_little();
        assert!(task.is_finished() && ended.get());
        gate.wait_until_begun();
        assert_eq!(result.load(Ordering::SeqCst), 0);
        gate.open();
        world.run();
        assert_eq!(result.load(Ordering::SeqCst), 1, "the loop drops what nobody awaits");
    }

    fn a20_work_that_has_not_begun_is_aborted(world: &World) {
        let handle = world.handle();
        let gates: Vec<Gate> = (0..32).map(|_| {
            let (gate, work) = Gate::new(());
            drop(handle.enter(|| spawn_blocking(work)));
            gate.wait_until_begun();
            gate
        }).collect();
        let (ran, count) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let run = Arc::clone(&ran);
        let waiting = handle.enter(|| spawn_blocking(move || run.fetch_add(1, Ordering::SeqCst)));
        let seen = Arc::clone(&count);
        // The task waits in vain for one that another thread aborts.
        let aborting = thread::spawn(move || {
            assert!(waiting.abort() && !waiting.abort());
            seen.fetch_add(1, Ordering::SeqCst);
            waiting
        });
        let waiting = aborting.join().expect("a thread");
        let outcome = world.spawn(waiting);
        world.turn_a_little();
        assert!(outcome.now_or_never().expect("an end").expect("an output").expect_err("no result").is_aborted());
        gates.iter().for_each(Gate::open);
        world.run();
        assert_eq!((ran.load(Ordering::SeqCst), count.load(Ordering::SeqCst)), (0, 1));
    }
}

fn drop_elsewhere<T: Send + 'static>(value: T) {
    thread::spawn(move || drop(value)).join().expect("a thread");
}

#[test]
fn a20_the_pool_is_bounded() {
    for reactor in configured(|builder| builder.pool_threads(1).pool_queue(1)) {
        let (gate, work) = Gate::new(1);
        let stats = reactor.handle();
        let outcomes = run_on(&reactor, async move {
            let running = spawn_blocking(work);
            gate.wait_until_begun();
            let waiting = spawn_blocking(|| 2);
            let refused = spawn_blocking(|| 3).await.expect_err("there is no room");
            assert!(refused.is_full() && stats.stats().pool_threads == 1);
            gate.open();
            gather([running, waiting]).await.expect("results")
        });
        assert_eq!(outcomes.expect("a run"), [1, 2]);
    }
}

#[test]
fn a20_ending_the_loop_waits_at_most_the_stated_time() {
    let grace = Duration::from_millis(50);
    for reactor in configured(|builder| builder.pool_grace(grace)) {
        let (result, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (gate, work) = Gate::new(Token(Arc::clone(&result)));
        let held = Token(Arc::clone(&dropped));
        run_on(&reactor, async move {
            spawn(async move {
                let _held = held;
                drop(spawn_blocking(work).await);
                unreachable!("the loop is gone");
            });
            yield_now().await;
        })
        .expect("a run");
        gate.wait_until_begun();
        let begun = Instant::now();
        drop(reactor);
        assert!(begun.elapsed() >= grace && begun.elapsed() < PATIENCE);
        assert_eq!((dropped.load(Ordering::SeqCst), result.load(Ordering::SeqCst)), (1, 0));
        gate.open();
        wait_until(|| result.load(Ordering::SeqCst) == 1);
    }
}
