//! `settle` and `settle!`.

use std::task::Poll;

use futures::executor::block_on;
use marline_tasks::settle;

use crate::support::{poll_quietly, polls, probe, probes};

#[test]
fn a11_settle_waits_for_all_and_returns_every_outcome_in_input_order() {
    let (controls, children, log) = probes::<Result<u8, &str>>(3);
    let mut all = settle(children);
    assert!(poll_quietly(&mut all).is_pending());
    controls[2].finish(Err("broken"));
    assert!(poll_quietly(&mut all).is_pending());
    controls[1].finish(Ok(1));
    controls[0].finish(Ok(0));
    assert_eq!(poll_quietly(&mut all), Poll::Ready(vec![Ok(0), Ok(1), Err("broken")]));
    assert_eq!(polls(&controls), [2, 2, 2]);
    assert_eq!(*log.lock(), ["drop 2", "drop 0", "drop 1"]);
    assert!(poll_quietly(&mut all).is_pending());
}

#[test]
fn a11_settle_of_nothing_resolves_at_once() {
    let nothing: [std::future::Ready<u8>; 0] = [];
    assert_eq!(poll_quietly(&mut settle(nothing)), Poll::Ready(vec![]));
}

#[test]
fn a11_the_macro_settles_different_types() {
    let log = Default::default();
    let (first, one) = probe::<u8>(0, &log);
    let (second, two) = probe::<Result<(), &str>>(1, &log);
    let mut all = Box::pin(settle!(one, two));
    assert!(poll_quietly(&mut all).is_pending());
    second.finish(Err("broken"));
    assert!(poll_quietly(&mut all).is_pending());
    assert_eq!((first.polls(), second.polls()), (1, 2));
    first.finish(1);
    assert_eq!(poll_quietly(&mut all), Poll::Ready((1, Err("broken"))));
    assert!(poll_quietly(&mut all).is_pending());
}

#[test]
fn a11_the_macro_takes_one_and_what_is_not_yet_a_future() {
    struct Later;
    impl IntoFuture for Later {
        type Output = u8;
        type IntoFuture = std::future::Ready<u8>;
        fn into_future(self) -> Self::IntoFuture {
            std::future::ready(7)
        }
    }
    assert_eq!(block_on(settle!(Later)), (7,));
}
