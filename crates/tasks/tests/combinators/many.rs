//! Thousands of children, and children that are woken from other threads.

use std::task::Poll;
use std::thread;

use futures::executor::block_on;
use marline_tasks::{deferred, gather, race, settle};

use crate::support::{FEW, Parent, poll, polls, probes};

const MANY: usize = 10_000;

#[test]
fn a10_ten_thousand_children_cost_one_poll_per_wake() {
    let (controls, children, _) = probes::<Result<usize, ()>>(MANY);
    let mut all = gather(children);
    let (parent, waker) = Parent::new();
    assert!(poll(&mut all, &waker).is_pending());
    for index in (1..MANY).rev() {
        controls[index].finish(Ok(index));
        assert!(poll(&mut all, &waker).is_pending());
    }
    assert_eq!(parent.wakes(), MANY - 1);
    controls[0].finish(Ok(0));
    assert_eq!(poll(&mut all, &waker), Poll::Ready(Ok((0..MANY).collect())));
    assert!(polls(&controls).iter().all(|&polls| polls == 2));
}

#[test]
fn a10_children_may_be_woken_from_any_thread() {
    let (resolvers, answers): (Vec<_>, Vec<_>) = (0..MANY).map(|_| deferred()).unzip();
    let threads = resolvers.into_iter().enumerate().fold([vec![], vec![], vec![]], |mut parts, entry| {
        parts[entry.0 % 3].push(entry);
        parts
    });
    for part in threads {
        thread::spawn(move || {
            for (index, resolver) in part {
                resolver.resolve(index).expect("it is observed");
            }
        });
    }
    assert_eq!(block_on(gather(answers)), Ok((0..MANY).collect()));
}

#[test]
fn a10_no_wake_is_lost_when_children_hop_between_threads() {
    async fn hops(number: usize) -> usize {
        let (mut left, mut total) = (number % 16, number - number % 16);
        while left > 0 {
            let (resolver, hop) = deferred();
            thread::spawn(move || resolver.resolve(1));
            total += hop.await.expect("its thread resolves it");
            left -= 1;
        }
        total
    }
    // How many there are decides how it is noted who was woken.
    for count in [8, FEW, FEW + 1].into_iter().flat_map(|count| vec![count; 160 / count]) {
        assert_eq!(block_on(settle((0..count).map(hops))), (0..count).collect::<Vec<_>>());
    }
}

#[test]
fn a12_a_race_among_ten_thousand_polls_only_who_was_woken() {
    let (controls, children, log) = probes(MANY);
    let mut first = race(children);
    let (_, waker) = Parent::new();
    assert!(poll(&mut first, &waker).is_pending());
    controls[4321].finish(());
    assert_eq!(poll(&mut first, &waker), Poll::Ready((4321, ())));
    assert_eq!(polls(&controls).iter().sum::<usize>(), MANY + 1);
    assert_eq!(log.lock().len(), MANY, "all are dropped");
}
