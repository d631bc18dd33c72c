//! Ends that nobody is there to be told of, and wakes that come when all is over.

use std::error::Error;
use std::fmt;
use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use futures::FutureExt;
use futures::executor::block_on;
use futures::task::noop_waker;
use marline_reactor::testing::MemoryReactor;
use marline_tasks::spawn_on;
use parking_lot::Mutex;

use super::until;

#[test]
fn a06_a_handle_that_was_polled_elsewhere_and_came_back_is_told() {
    let memory = MemoryReactor::new();
    let gate = Arc::new(Mutex::new(None::<Waker>));
    let (told, opened) = (Arc::new(Mutex::new(false)), Arc::clone(&gate));
    let ends = poll_fn(move |context| match opened.lock().replace(context.waker().clone()) {
        None => Poll::Pending,
        Some(_) => Poll::Ready(()),
    });
    let (task, done) = (spawn_on(&memory.handle(), ends), Arc::clone(&told));
    let waits = spawn_on(&memory.handle(), async move {
        let there = thread::spawn(move || {
            let mut task = task;
            assert!((&mut task).now_or_never().is_none());
            task
        });
        there.join().expect("a thread").await.expect("an end");
        *done.lock() = true;
    });
    memory.pump();
    gate.lock().as_ref().expect("a waker").wake_by_ref();
    until(&memory, || *told.lock());
    drop(waits);
}

#[test]
fn a06_who_awaits_elsewhere_is_told_of_an_end_after_which_the_loop_stands_still() {
    let memory = MemoryReactor::new();
    for _ in 0..if cfg!(miri) { 3 } else { 200 } {
        let task = spawn_on(&memory.handle(), pending::<()>());
        let aborter = task.abort_handle();
        let elsewhere = thread::spawn(move || {
            aborter.abort();
            block_on(task).expect_err("an abort").is_aborted()
        });
        until(&memory, || marline_tasks::task_list_on(&memory.handle()).is_empty());
        assert!(elsewhere.join().expect("a thread"));
    }
}

/// Whose drop takes a lock under which others are woken.
struct Locks(Arc<Mutex<Vec<Waker>>>);

impl Drop for Locks {
    fn drop(&mut self) {
        for waker in self.0.lock().drain(..) {
            waker.wake();
        }
    }
}

#[test]
fn a04_a_wake_at_the_end_of_a_loop_drops_nothing_within_it() {
    let memory = MemoryReactor::new();
    let waiting = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let locks = Locks(Arc::clone(&waiting));
            spawn_on(
                &memory.handle(),
                poll_fn(move |context: &mut Context<'_>| {
                    locks.0.lock().push(context.waker().clone());
                    Poll::<()>::Pending
                }),
            )
        })
        .collect();
    memory.pump();
    assert_eq!(waiting.lock().len(), 3);
    drop(memory);
    assert_eq!(Arc::strong_count(&waiting), 1, "all are dropped");
    drop(tasks);
}

#[test]
fn a04_tasks_that_await_each_other_end_one_after_the_other() {
    let memory = MemoryReactor::new();
    let mut last = spawn_on(&memory.handle(), pending::<()>());
    for _ in 0..if cfg!(miri) { 30 } else { 100_000 } {
        let before = last;
        last = spawn_on(&memory.handle(), async move { drop(before.await) });
    }
    memory.pump();
    drop(memory);
    assert!(last.poll_unpin(&mut Context::from_waker(&noop_waker())).is_ready());
}

/// An error that cannot even be dropped.
#[derive(Debug)]
struct Spiteful;

impl fmt::Display for Spiteful {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("not to be shown");
    }
}

impl Error for Spiteful {}

#[test]
fn a08_an_error_that_cannot_be_shown_keeps_no_other_task_alive() {
    let memory = MemoryReactor::new();
    let others = Arc::new(());
    for _ in 0..2 {
        let held = Arc::clone(&others);
        drop(spawn_on(&memory.handle(), async move {
            let result = Err::<(), Box<dyn Error>>(Box::new(Spiteful));
            drop(held);
            result
        }));
        let held = Arc::clone(&others);
        drop(spawn_on(&memory.handle(), async move {
            pending::<()>().await;
            drop(held);
        }));
    }
    memory.pump();
    drop(memory);
    assert_eq!(Arc::strong_count(&others), 1);
}
