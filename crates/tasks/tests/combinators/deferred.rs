//! `Deferred` as a future. What it does with a callback belongs to the loop.

use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::thread;

use futures::executor::block_on;
use marline_tasks::{Abandoned, Deferred, Resolver, deferred};
use parking_lot::Mutex;

use crate::support::{Log, Noisy, Parent, poll, poll_quietly};

#[test]
fn a15_a_deferred_can_be_awaited_and_is_woken_once() {
    let (resolver, mut answer) = deferred();
    let (parent, waker) = Parent::new();
    assert!(poll(&mut answer, &waker).is_pending());
    assert!(poll(&mut answer, &waker).is_pending());
    assert_eq!(resolver.resolve(7), Ok(()));
    assert_eq!(parent.wakes(), 1);
    assert_eq!(poll(&mut answer, &waker), Poll::Ready(Ok(7)));
    assert_eq!(answer.try_take(), None);
    assert_eq!(poll(&mut answer, &waker), Poll::Ready(Err(Abandoned)), "there is no other value");
}

#[test]
fn a15_a_deferred_may_be_resolved_before_it_is_awaited() {
    let (resolver, answer) = deferred();
    resolver.resolve("early").expect("it is observed");
    assert_eq!(block_on(answer), Ok("early"));
}

#[test]
fn a15_a_dropped_resolver_resolves_to_abandoned() {
    let (resolver, mut answer) = deferred::<u8>();
    let (parent, waker) = Parent::new();
    assert!(poll(&mut answer, &waker).is_pending());
    drop(resolver);
    assert_eq!(parent.wakes(), 1);
    assert_eq!(poll(&mut answer, &waker), Poll::Ready(Err(Abandoned)));

    let (resolver, mut answer) = deferred::<u8>();
    drop(resolver);
    assert_eq!(answer.try_take(), Some(Err(Abandoned)));
}

#[test]
fn a15_the_value_comes_back_when_nobody_waits() {
    let (resolver, answer) = deferred();
    assert!(resolver.is_observed());
    drop(answer);
    assert!(!resolver.is_observed());
    assert_eq!(resolver.resolve("late"), Err("late"));
}

#[test]
fn a15_a_value_that_nobody_took_is_dropped_with_the_deferred() {
    let log = Log::default();
    let (resolver, answer) = deferred();
    resolver.resolve(Noisy("the value", log.clone())).expect("it is observed");
    assert!(log.lock().is_empty());
    drop(answer);
    assert_eq!(*log.lock(), ["drop the value"]);
}

#[test]
fn a15_the_waker_of_the_last_poll_is_woken() {
    let (resolver, mut answer) = deferred::<u8>();
    let ((first, first_waker), (second, second_waker)) = (Parent::new(), Parent::new());
    assert!(poll(&mut answer, &first_waker).is_pending());
    assert!(poll(&mut answer, &second_waker).is_pending());
    drop(first_waker);
    assert_eq!(Arc::strong_count(&first), 1, "the old waker is not kept");
    drop(resolver);
    assert_eq!((first.wakes(), second.wakes()), (0, 1));
}

#[test]
fn a15_a_deferred_that_was_dropped_keeps_no_waker() {
    let (resolver, mut answer) = deferred::<u8>();
    let (parent, waker) = Parent::new();
    assert!(poll(&mut answer, &waker).is_pending());
    drop((answer, waker));
    assert_eq!(Arc::strong_count(&parent), 1);
    drop(resolver);
}

/// Takes the answer while it is being woken, which would hang or fail if a lock were held.
struct TakesAtOnce(Mutex<Option<Deferred<u8>>>, Mutex<Option<Result<u8, Abandoned>>>);

impl Wake for TakesAtOnce {
    fn wake(self: Arc<Self>) {
        let answer = self.0.lock().take();
        *self.1.lock() = answer.and_then(|mut answer| answer.try_take());
    }
}

#[test]
fn a15_waking_happens_outside_the_lock() {
    let (resolver, mut answer) = deferred();
    let eager = Arc::new(TakesAtOnce(Mutex::default(), Mutex::default()));
    assert!(poll(&mut answer, &Waker::from(Arc::clone(&eager))).is_pending());
    *eager.0.lock() = Some(answer);
    assert_eq!(resolver.resolve(7), Ok(()));
    assert_eq!(*eager.1.lock(), Some(Ok(7)));
}

/// Asks the other side when it is dropped, which would hang if a lock were held.
struct Asks(Arc<Mutex<Option<Resolver<Asks>>>>, Log);

impl Drop for Asks {
    fn drop(&mut self) {
        let resolver = self.0.lock().take();
        let observed = resolver.is_some_and(|resolver| resolver.is_observed());
        self.1.lock().push(format!("observed: {observed}"));
    }
}

#[test]
fn a15_dropping_a_value_happens_outside_the_lock() {
    let log = Log::default();
    let (other, kept) = deferred::<Asks>();
    let (resolver, answer) = deferred();
    let other = Arc::new(Mutex::new(Some(other)));
    assert!(resolver.resolve(Asks(other, log.clone())).is_ok());
    drop(answer);
    drop(kept);
    assert_eq!(*log.lock(), ["observed: true"]);
}

#[test]
fn a15_both_sides_may_be_on_different_threads() {
    fn send_sync<T: Send + Sync>(_: &T) {}
    for round in 0..500 {
        let (resolver, mut answer) = deferred::<std::cell::Cell<u32>>();
        send_sync(&resolver);
        send_sync(&answer);
        let other = thread::spawn(move || resolver.resolve(std::cell::Cell::new(round)).is_ok());
        let _ =
            poll_quietly(&mut answer).map(|early| assert_eq!(early.expect("it is resolved").get(), round));
        if !other.join().expect("the thread ends") {
            panic!("it was observed");
        }
        if let Some(late) = answer.try_take() {
            assert_eq!(late.expect("it is resolved").get(), round);
        }
    }
    for round in 0..500 {
        let (resolver, answer) = deferred();
        thread::spawn(move || resolver.resolve(round));
        assert_eq!(block_on(answer), Ok(round));
    }
}
