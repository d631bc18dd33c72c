//! `gather` and `gather!`.

use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, Waker};

use futures::executor::block_on;
use marline_tasks::{GatherError, gather};

use crate::support::{FEW, Noisy, Parent, poll, poll_quietly, polls, probe, probes};

#[test]
fn a10_gather_polls_only_the_children_that_were_woken() {
    let (controls, children, _) = probes::<Result<usize, ()>>(4);
    let mut all = gather(children);
    let (parent, waker) = Parent::new();

    assert!(poll(&mut all, &waker).is_pending());
    assert_eq!(polls(&controls), [1, 1, 1, 1]);

    controls[2].wake();
    controls[0].wake();
    controls[2].wake();
    assert_eq!(parent.wakes(), 1, "one wake tells the parent enough");
    assert!(poll(&mut all, &waker).is_pending());
    assert_eq!(polls(&controls), [2, 1, 2, 1]);

    assert!(poll(&mut all, &waker).is_pending());
    assert_eq!(polls(&controls), [2, 1, 2, 1], "a poll with nobody woken polls nobody");
}

#[test]
fn a10_gather_returns_results_in_input_order_whatever_the_order_of_ending() {
    let (controls, children, log) = probes::<Result<char, ()>>(3);
    let mut all = gather(children);
    for (index, value) in [(1, 'b'), (2, 'c'), (0, 'a')] {
        assert!(poll_quietly(&mut all).is_pending());
        controls[index].finish(Ok(value));
    }
    assert_eq!(poll_quietly(&mut all), Poll::Ready(Ok(vec!['a', 'b', 'c'])));
    assert_eq!(*log.lock(), ["drop 1", "drop 2", "drop 0"], "each is dropped as it ends");
}

#[test]
fn a10_a_child_woken_during_its_own_poll_is_polled_in_the_next_poll_of_the_parent() {
    let (controls, children, _) = probes::<Result<(), ()>>(2);
    let mut all = gather(children);
    let (parent, waker) = Parent::new();
    controls[0].wakes_itself(2);

    for round in 1..=2 {
        assert!(poll(&mut all, &waker).is_pending());
        assert_eq!((controls[0].polls(), parent.wakes()), (round, 1));
    }
    assert!(poll(&mut all, &waker).is_pending());
    assert_eq!((polls(&controls), parent.wakes()), (vec![3, 1], 0));
}

#[test]
fn a10_the_parent_of_the_last_poll_is_woken() {
    let (controls, children, _) = probes::<Result<(), ()>>(1);
    let mut all = gather(children);
    let ((first, first_waker), (second, second_waker)) = (Parent::new(), Parent::new());
    assert!(poll(&mut all, &first_waker).is_pending());
    assert!(poll(&mut all, &second_waker).is_pending());
    controls[0].wake();
    assert_eq!((first.wakes(), second.wakes()), (0, 1));
}

#[test]
fn a10_who_is_woken_again_before_its_turn_is_polled_once() {
    for count in [2, FEW, FEW + 1] {
        let (controls, children, _) = probes::<Result<(), ()>>(count);
        let controls = Arc::new(controls);
        let others = Arc::clone(&controls);
        let mut all = gather(children.into_iter().enumerate().map(|(index, mut child)| {
            let others = Arc::clone(&others);
            poll_fn(move |context| {
                if index == 0 {
                    others[1].wake();
                }
                Pin::new(&mut child).poll(context)
            })
        }));
        let (_parent, waker) = Parent::new();
        assert!(poll(&mut all, &waker).is_pending());
        controls[1].wake();
        controls[0].wake();
        for _ in 0..3 {
            assert!(poll(&mut all, &waker).is_pending());
            assert_eq!(polls(&controls)[..2], [2, 2], "{count} children");
        }
    }
}

#[test]
fn a10_the_parent_of_the_last_poll_is_let_go_when_another_polls() {
    let mut all = gather([pending::<Result<(), ()>>(), pending()]);
    let ((first, first_waker), (second, second_waker)) = (Parent::new(), Parent::new());
    assert!(poll(&mut all, &first_waker).is_pending());
    assert_eq!(Arc::strong_count(&first), 3);
    assert!(poll(&mut all, &second_waker).is_pending());
    assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (2, 3));
}

#[test]
fn a10_the_waker_of_a_child_that_has_ended_wakes_nobody() {
    let (controls, children, _) = probes::<Result<(), ()>>(3);
    let mut all = gather(children);
    let (parent, waker) = Parent::new();
    controls[0].finish(Ok(()));
    assert!(poll(&mut all, &waker).is_pending());
    controls[1].finish(Ok(()));
    assert!(poll(&mut all, &waker).is_pending());
    parent.wakes();

    controls[0].wake();
    controls[1].wake();
    assert!(poll(&mut all, &waker).is_pending());
    assert_eq!((polls(&controls), parent.wakes()), (vec![1, 2, 1], 0));
}

#[test]
fn a10_wakers_left_over_do_not_keep_the_parent_alive() {
    let (controls, children, _) = probes::<Result<(), ()>>(2);
    let mut all = gather(children);
    let (parent, waker) = Parent::new();
    assert!(poll(&mut all, &waker).is_pending());
    let left = controls[0].waker();
    drop((all, waker));
    assert_eq!(std::sync::Arc::strong_count(&parent), 1);
    left.expect("the child was polled").wake();
    assert_eq!(parent.wakes(), 0);
}

#[test]
fn a11_gather_ends_at_the_first_error_and_has_dropped_every_other_child() {
    let (controls, children, log) = probes(3);
    let mut all = gather(children);
    assert!(poll_quietly(&mut all).is_pending());
    controls[0].finish(Ok(Noisy("the value of 0", log.clone())));
    assert!(poll_quietly(&mut all).is_pending());
    controls[2].finish(Err("broken"));

    let failed = poll_quietly(&mut all);
    let dropped = log.lock().clone();
    assert!(matches!(failed, Poll::Ready(Err(GatherError { index: 2, error: "broken" }))));
    assert_eq!(dropped, ["drop 0", "drop 2", "drop 1", "drop the value of 0"]);
    assert!(poll_quietly(&mut all).is_pending(), "polling once more is harmless");
}

#[test]
fn a11_of_several_errors_in_one_poll_gather_names_the_lowest_index() {
    let (controls, children, _) = probes::<Result<(), usize>>(5);
    let mut all = gather(children);
    assert!(poll_quietly(&mut all).is_pending());
    for index in [4, 1, 3] {
        controls[index].finish(Err(index));
    }
    assert_eq!(poll_quietly(&mut all), Poll::Ready(Err(GatherError { index: 1, error: 1 })));
    assert_eq!(polls(&controls), [1, 2, 1, 1, 1]);
}

#[test]
fn a11_gather_of_nothing_resolves_at_once() {
    let nothing: [std::future::Ready<Result<u8, ()>>; 0] = [];
    let mut all = gather(nothing);
    assert_eq!(poll_quietly(&mut all), Poll::Ready(Ok(vec![])));
    assert!(poll_quietly(&mut all).is_pending());
}

#[test]
fn a11_a_gather_error_names_the_index_and_the_error_also_a_boxed_one() {
    let error = block_on(gather([std::future::ready("x".parse::<u8>())])).unwrap_err();
    assert_eq!(error.to_string(), "the gathered future at index 0 failed: invalid digit found in string");
    let boxed =
        block_on(gather([std::future::ready(Err::<(), Box<dyn std::error::Error>>("broken".into()))]))
            .unwrap_err();
    let passed_on: Box<dyn std::error::Error> = boxed.into();
    assert_eq!(passed_on.to_string(), "the gathered future at index 0 failed: broken");
}

#[test]
fn a10_the_macro_gathers_different_types_and_polls_only_the_woken() {
    let log = Default::default();
    let (first, one) = probe::<Result<u8, ()>>(0, &log);
    let (second, two) = probe::<Result<String, ()>>(1, &log);
    let mut all = Box::pin(gather!(one, two));
    let (parent, waker) = Parent::new();

    assert!(poll(&mut all, &waker).is_pending());
    second.finish(Ok("two".into()));
    assert!(poll(&mut all, &waker).is_pending());
    assert_eq!((first.polls(), second.polls(), parent.wakes()), (1, 2, 1));
    first.finish(Ok(1));
    assert_eq!(poll(&mut all, &waker), Poll::Ready(Ok((1, "two".to_owned()))));
    assert_eq!(*log.lock(), ["drop 1", "drop 0"]);
    assert!(poll(&mut all, &waker).is_pending());
}

#[test]
fn a11_the_macro_ends_at_the_first_error_and_has_dropped_the_rest() {
    let log = Default::default();
    let (_first, one) = probe::<Result<u8, &str>>(0, &log);
    let (second, two) = probe::<Result<(), &str>>(1, &log);
    let (third, three) = probe::<Result<Noisy, &str>>(2, &log);
    let mut all = pin!(gather!(one, two, three));
    assert!(poll(&mut all, Waker::noop()).is_pending());
    third.finish(Ok(Noisy("the value of 2", log.clone())));
    assert!(poll(&mut all, Waker::noop()).is_pending());
    second.finish(Err("broken"));

    let failed = poll(&mut all, Waker::noop());
    let dropped = log.lock().clone();
    assert!(matches!(failed, Poll::Ready(Err(GatherError { index: 1, error: "broken" }))));
    assert_eq!(dropped, ["drop 2", "drop 1", "drop 0", "drop the value of 2"]);
    assert!(poll(&mut all, Waker::noop()).is_pending());
}

#[test]
fn a11_the_macro_is_at_home_with_the_question_mark() {
    async fn add(left: &str, right: &str) -> Result<u64, Box<dyn std::error::Error>> {
        let (left, right) = gather!(async { left.parse::<u64>() }, async { right.parse::<u32>() }).await?;
        Ok(left + u64::from(right))
    }
    assert_eq!(block_on(add("1", "2")).ok(), Some(3));
    assert!(block_on(add("1", "b")).is_err_and(|error| error.is::<GatherError<std::num::ParseIntError>>()));
}

#[test]
fn a10_the_macro_takes_twelve() {
    let one = || std::future::ready(Ok::<_, ()>(1));
    let all = gather!(one(), one(), one(), one(), one(), one(), one(), one(), one(), one(), one(), one(),);
    assert_eq!(block_on(all), Ok((1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)));
}
