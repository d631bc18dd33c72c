//! A child that panics harms nobody else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use marline_tasks::{gather, race, select, settle};

use crate::support::{FEW, Log, Parent, Probe, poll, poll_quietly, polls, probe, probes};

/// Is what the child is, until that is ready: then panics.
async fn panics_at_the_end<T>(child: Probe<T>, at_all: bool) -> T {
    let output = child.await;
    assert!(!at_all, "a child's panic");
    output
}

fn panics<F: Future + Unpin>(future: &mut F) -> bool {
    catch_unwind(AssertUnwindSafe(|| poll_quietly(future).is_ready())).is_err()
}

#[test]
fn a10_after_a_childs_panic_its_woken_siblings_are_still_polled() {
    for count in [3, FEW + 1] {
        let (controls, children, log) = probes(count);
        let children = children.into_iter().enumerate();
        let mut all = settle(children.map(|(index, child)| panics_at_the_end(child, index == 0)));
        assert!(poll_quietly(&mut all).is_pending());

        controls[1].finish(1);
        controls[0].finish(0);
        assert!(panics(&mut all), "the panic reaches the parent");
        assert_eq!(polls(&controls)[..3], [2, 1, 1]);
        controls[1].wake();
        assert!(poll_quietly(&mut all).is_pending());
        assert_eq!(polls(&controls)[..3], [2, 2, 1], "what was woken before the panic is not forgotten");

        controls[2].finish(2);
        assert!(poll_quietly(&mut all).is_pending(), "the one that panicked never ends");
        drop(all);
        assert_eq!(log.lock()[..3], ["drop 0", "drop 1", "drop 2"]);
    }
}

#[test]
fn a10_after_a_panic_in_the_first_poll_who_comes_behind_it_is_polled_for_the_parent_of_then() {
    for count in [3, FEW + 1] {
        let (controls, children, _) = probes(count);
        controls[0].finish(0);
        let children = children.into_iter().enumerate();
        let mut all = settle(children.map(|(index, child)| panics_at_the_end(child, index == 0)));
        let ((first, first_waker), (second, second_waker)) = (Parent::new(), Parent::new());
        assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut all, &first_waker).is_ready())).is_err());
        assert_eq!(polls(&controls)[..2], [1, 0]);
        assert!(poll(&mut all, &second_waker).is_pending());
        assert!(polls(&controls).iter().all(|&polls| polls == 1));
        controls[count - 1].finish(1);
        assert_eq!((first.wakes(), second.wakes()), (0, 1));
        assert!(poll(&mut all, &second_waker).is_pending());
        assert_eq!(polls(&controls)[count - 1], 2);
    }
}

#[test]
fn a10_dropping_a_gather_after_a_panic_drops_every_child_once() {
    let log = Log::default();
    let ((first, one), (_second, two)) = (probe(0, &log), probe::<Result<(), ()>>(1, &log));
    let mut all = Box::pin(gather!(panics_at_the_end(one, true), two));
    assert!(poll_quietly(&mut all).is_pending());
    first.finish(Ok(1));
    assert!(panics(&mut all));
    assert!(poll_quietly(&mut all).is_pending());
    drop(all);
    assert_eq!(*log.lock(), ["drop 0", "drop 1"]);
}

#[test]
fn a12_after_a_childs_panic_another_can_still_win() {
    let (controls, children, _) = probes(2);
    let children = children.into_iter().enumerate();
    let mut first = race(children.map(|(index, child)| panics_at_the_end(child, index == 1)));
    assert!(poll_quietly(&mut first).is_pending());
    controls[1].finish('b');
    assert!(panics(&mut first));
    controls[0].finish('a');
    assert_eq!(poll_quietly(&mut first), Poll::Ready((0, 'a')));
}

#[test]
fn a12_dropping_a_select_after_a_panic_drops_every_child_once() {
    let log = Log::default();
    let ((first, one), (_second, two)) = (probe(0, &log), probe::<()>(1, &log));
    let mut either = Box::pin(select((panics_at_the_end(one, true), two)));
    assert!(poll_quietly(&mut either).is_pending());
    first.finish(());
    assert!(panics(&mut either));
    drop(either);
    assert_eq!(*log.lock(), ["drop 0", "drop 1"]);
}
