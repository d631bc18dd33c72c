//! Tasks whose wakers and handles are on other threads than they.
//!
//! They run on the memory backend, so that Miri can run them too, and look at each access to the memory of a task:
//!
//! ```sh
//! MIRIFLAGS="-Zmiri-disable-isolation" cargo +nightly miri test -p marline-tasks --test cells
//! ```

mod late;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use marline_reactor::testing::MemoryReactor;
use marline_tasks::{JoinHandle, spawn_on, yield_now};
use parking_lot::Mutex;

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(120);
const THREADS: usize = 3;
const TURNS: usize = if cfg!(miri) { 10 } else { 1000 };

/// Runs the loop until it is so.
fn until(memory: &MemoryReactor, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it never became so");
        memory.pump();
        thread::yield_now();
    }
}

/// Counts its drops; it cannot leave its thread.
struct Local {
    drops: Rc<Cell<usize>>,
}

impl Drop for Local {
    fn drop(&mut self) {
        self.drops.set(self.drops.get() + 1);
    }
}

/// As above, of an output that may go anywhere.
struct Output(Arc<AtomicUsize>);

impl Drop for Output {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A task that waits for ever, its waker, and how often what it holds was dropped.
fn task_with_waker(memory: &MemoryReactor) -> (JoinHandle<()>, Waker, Rc<Cell<usize>>) {
    let (shown, drops) = (Rc::new(RefCell::new(None)), Rc::new(Cell::new(0)));
    let (place, local) = (Rc::clone(&shown), Local { drops: Rc::clone(&drops) });
    let task = spawn_on(&memory.handle(), async move {
        let _local = local;
        poll_fn(|context| {
            *place.borrow_mut() = Some(context.waker().clone());
            Poll::<()>::Pending
        })
        .await;
    });
    memory.pump();
    let waker = shown.take().expect("it was polled");
    (task, waker, drops)
}

#[test]
fn a04_wakers_are_cloned_woken_and_dropped_on_many_threads() {
    let memory = MemoryReactor::new();
    let (wakers, turns) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let (place, passed) = (Arc::clone(&wakers), Arc::clone(&turns));
    let task = spawn_on(&memory.handle(), async move {
        poll_fn(|context| {
            if passed.load(Ordering::SeqCst) >= TURNS * THREADS {
                return Poll::Ready(());
            }
            place.lock().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    });
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (wakers, turns) = (Arc::clone(&wakers), Arc::clone(&turns));
            thread::spawn(move || {
                for _ in 0..TURNS {
                    let known = wakers.lock().pop();
                    turns.fetch_add(1, Ordering::SeqCst);
                    if let Some(waker) = known {
                        drop(waker.clone());
                        waker.wake_by_ref();
                        wakers.lock().push(waker);
                    }
                    thread::yield_now();
                }
                // The last wake comes after the last turn.
                wakers.lock().drain(..).for_each(Waker::wake);
            })
        })
        .collect();
    until(&memory, || {
        let left = std::mem::take(&mut *wakers.lock());
        left.into_iter().for_each(Waker::wake);
        task.is_finished()
    });
    threads.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
    memory.handle().enter(|| block_on(task)).expect("its output");
}

#[test]
fn a02_a_task_that_is_woken_here_and_elsewhere_is_polled_once() {
    let memory = MemoryReactor::new();
    let (polls, shown) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(None)));
    let (counted, place) = (Rc::clone(&polls), Rc::clone(&shown));
    let _task = spawn_on(&memory.handle(), async move {
        poll_fn(|context| {
            counted.set(counted.get() + 1);
            *place.borrow_mut() = Some(context.waker().clone());
            Poll::<()>::Pending
        })
        .await;
    });
    memory.pump();
    let waker = shown.take().expect("it was polled");
    let there = waker.clone();
    thread::spawn(move || there.wake()).join().expect("no panic");
    waker.wake_by_ref();
    memory.pump();
    assert_eq!(polls.get(), 2);
}

#[test]
fn a05_a_future_is_dropped_at_home_whoever_drops_the_last_waker() {
    let memory = MemoryReactor::new();
    let (task, waker, drops) = task_with_waker(&memory);
    task.abort();
    memory.pump();
    assert_eq!(drops.get(), 1);
    drop(task);
    let other = waker.clone();
    thread::spawn(move || drop((other.clone(), other, waker))).join().expect("no panic");
}

#[test]
fn a06_a_handle_is_awaited_on_another_thread_and_on_two() {
    let memory = MemoryReactor::new();
    let go = Rc::new(Cell::new(false));
    let gone = Rc::clone(&go);
    let mut task = spawn_on(&memory.handle(), async move {
        while !gone.get() {
            yield_now().await;
        }
        "done"
    });
    assert!(block_on(async { futures::poll!(&mut task) }).is_pending());
    let mut task = thread::spawn(move || {
        assert!(block_on(async { futures::poll!(&mut task) }).is_pending());
        task
    })
    .join()
    .expect("no panic");
    assert!(block_on(async { futures::poll!(&mut task) }).is_pending());
    let awaited = thread::spawn(move || block_on(task).ok());
    go.set(true);
    until(&memory, || awaited.is_finished());
    assert_eq!(awaited.join().expect("no panic"), Some("done"));
}

#[test]
fn a07_a_handle_that_is_dropped_elsewhere_leaves_no_output_behind() {
    let (memory, drops) = (MemoryReactor::new(), Arc::new(AtomicUsize::new(0)));
    let spawn = || {
        let output = Output(Arc::clone(&drops));
        spawn_on(&memory.handle(), async move {
            yield_now().await;
            output
        })
    };
    let (early, late) = (spawn(), spawn());
    let early = thread::spawn(move || drop(early));
    early.join().expect("no panic");
    until(&memory, || late.is_finished());
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    thread::spawn(move || drop(late)).join().expect("no panic");
    assert_eq!(drops.load(Ordering::SeqCst), 2);
    drop(spawn());
    until(&memory, || drops.load(Ordering::SeqCst) == 3);
}

#[test]
fn a07_a_failure_is_reported_when_the_handle_was_dropped_elsewhere() {
    let (memory, told) = (MemoryReactor::new(), Rc::new(RefCell::new(Vec::new())));
    let seen = Rc::clone(&told);
    memory.handle().on_failure(move |failure| seen.borrow_mut().push(failure.to_string()));
    let spawn = |text: &'static str| spawn_on(&memory.handle(), async move { Err::<(), _>(text.to_owned()) });
    let (early, late) = (spawn("early"), spawn("late"));
    thread::spawn(move || drop(early)).join().expect("no panic");
    until(&memory, || late.is_finished() && told.borrow().len() == 1);
    thread::spawn(move || drop(late)).join().expect("no panic");
    until(&memory, || told.borrow().len() == 2);
    assert!(told.borrow()[0].contains("early") && told.borrow()[1].contains("late"), "{told:?}");
}

#[test]
fn a07_a_task_is_aborted_from_another_thread() {
    let memory = MemoryReactor::new();
    let (task, _waker, drops) = task_with_waker(&memory);
    let handle = task.abort_handle();
    let other = handle.clone();
    thread::spawn(move || other.abort()).join().expect("no panic");
    assert_eq!(drops.get(), 0, "from its own thread alone");
    until(&memory, || task.is_finished());
    handle.abort();
    assert!(block_on(task).unwrap_err().is_aborted());
    assert_eq!(drops.get(), 1);
    thread::spawn(move || handle.abort()).join().expect("no panic");
}

#[test]
fn a08_what_is_held_elsewhere_outlives_the_loop() {
    let memory = MemoryReactor::new();
    let (task, waker, drops) = task_with_waker(&memory);
    let (other, _, _) = task_with_waker(&memory);
    let (waiting, waits) = std::sync::mpsc::channel();
    let awaited = thread::spawn(move || {
        waiting.send(()).expect("the test waits");
        block_on(other).map_err(|error| error.is_aborted())
    });
    waits.recv().expect("the thread has begun");
    drop(memory);
    assert_eq!(awaited.join().expect("no panic"), Err(true));
    assert_eq!((drops.get(), task.is_finished()), (1, true));
    thread::spawn(move || {
        waker.wake_by_ref();
        drop(waker);
        task.abort();
        assert!(block_on(task).unwrap_err().is_aborted());
    })
    .join()
    .expect("no panic");
}

#[test]
fn a08_a_loop_is_not_disturbed_by_what_is_left_of_the_one_before() {
    let before = MemoryReactor::new();
    let (task, waker, _) = task_with_waker(&before);
    drop(before);
    let memory = MemoryReactor::new();
    let (own, _own_waker, drops) = task_with_waker(&memory);
    thread::spawn(move || {
        waker.wake();
        drop(task);
    })
    .join()
    .expect("no panic");
    memory.pump();
    assert_eq!((drops.get(), own.is_finished()), (0, false));
    drop(own);
    drop(memory);
    assert_eq!(drops.get(), 1);
}
