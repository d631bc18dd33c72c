//! `race`.

use std::future::ready;
use std::task::Poll;

use futures::executor::block_on;
use marline_tasks::race;

use crate::support::{Parent, poll, poll_quietly, polls, probes};

#[test]
fn a12_race_returns_the_first_finished_and_has_dropped_the_losers() {
    let (controls, children, log) = probes(4);
    let mut first = race(children);
    let (parent, waker) = Parent::new();
    assert!(poll(&mut first, &waker).is_pending());
    assert_eq!(polls(&controls), [1, 1, 1, 1]);

    controls[1].wake();
    assert!(poll(&mut first, &waker).is_pending());
    controls[2].finish("won");
    assert_eq!(parent.wakes(), 2);
    let winner = poll(&mut first, &waker);
    let dropped = log.lock().clone();
    assert_eq!(winner, Poll::Ready((2, "won")));
    assert_eq!(dropped, ["drop 2", "drop 0", "drop 1", "drop 3"]);
    assert_eq!(polls(&controls), [1, 2, 2, 1]);
    assert!(poll(&mut first, &waker).is_pending());
}

#[test]
fn a12_race_is_fair_by_default() {
    let mut wins = [0; 4];
    for _ in 0..400 {
        let (index, output) = block_on(race((0..4).map(ready)));
        assert_eq!(index, output);
        wins[index] += 1;
    }
    assert!(wins.iter().all(|&wins| wins > 40), "{wins:?}");
}

#[test]
fn a12_race_polls_in_the_order_of_the_indices_on_request() {
    for _ in 0..200 {
        assert_eq!(block_on(race([ready('a'), ready('b')]).fixed()), (0, 'a'));
    }

    let (controls, children, _) = probes(3);
    let mut first = race(children).fixed();
    assert!(poll_quietly(&mut first).is_pending());
    controls[2].finish(2);
    controls[1].finish(1);
    assert_eq!(poll_quietly(&mut first), Poll::Ready((1, 1)));
    assert_eq!(polls(&controls), [1, 2, 1]);
}

#[test]
fn a12_a_fair_race_polls_later_in_the_order_of_waking() {
    let (controls, children, _) = probes(3);
    let mut first = race(children);
    assert!(poll_quietly(&mut first).is_pending());
    controls[2].finish(2);
    controls[1].finish(1);
    assert_eq!(poll_quietly(&mut first), Poll::Ready((2, 2)));
}

#[test]
fn a12_a_race_of_nothing_never_ends() {
    let mut nobody = race(Vec::<std::future::Ready<()>>::new());
    for _ in 0..3 {
        assert!(poll_quietly(&mut nobody).is_pending());
    }
}
