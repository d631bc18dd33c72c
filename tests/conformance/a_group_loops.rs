//! A: groups, their loops and their threads.

use std::cell::Cell;
use std::thread;

use futures::FutureExt;
use futures::executor::block_on;
use marline_tasks::{TaskGroup, spawn_remote, yield_now};

use crate::conformance;
use crate::support::{Probe, World};

conformance! {
    fn a16_a_group_ends_with_its_loop(world: &World) {
        let doomed = world.fresh();
        let probe = Probe::new();
        let child = probe.clone();
        let task = doomed.spawn(async move {
            let group = TaskGroup::<(), ()>::new();
            group.spawn(async move {
                child.future().await;
                Ok(())
            });
            group.join().await
        });
        doomed.settle();
        drop(doomed);
        assert_eq!((probe.polls(), probe.drops()), (1, 1));
        assert!(task.now_or_never().expect("an end").expect_err("an abort").is_aborted());
        // Without a loop a child has failed.
        let group = TaskGroup::<(), ()>::new();
        group.spawn(async { Ok(()) });
        let error = block_on(group.join()).expect_err("no loop");
        assert!(error.is_cancelled() && error.index() == 0, "{error:?}");
    }

    fn a16_a_group_may_be_awaited_on_another_thread(world: &World) {
        let handle = world.handle();
        let group = TaskGroup::<u64, String>::new();
        handle.enter(|| {
            for value in 0..50 {
                group.spawn(async move {
                    yield_now().await;
                    Ok(value)
                });
            }
        });
        let waiting = thread::spawn(move || block_on(group.join()));
        world.until_elsewhere(|| waiting.is_finished());
        let values = waiting.join().expect("a thread").expect("no failure");
        assert_eq!(values, (0..50).collect::<Vec<_>>());
        // The failure of a child cancels siblings on another loop.
        let other = world.fresh();
        let group = TaskGroup::<(), &str>::new();
        let (probe, remote) = (Probe::new(), handle.remote());
        let there = probe.clone();
        other.handle().enter(|| {
            group.spawn(async move {
                there.future().await;
                Ok(())
            })
        });
        other.settle();
        let spawner = group.spawner();
        let failing = thread::spawn(move || {
            block_on(spawn_remote(&remote, async move {
                spawner.spawn(async { Err("across") }).expect("a group");
            }))
        });
        world.until_elsewhere(|| failing.is_finished());
        failing.join().expect("a thread").expect("an output");
        other.until_elsewhere(|| probe.drops() == 1);
        let error = other.finish(group.join()).expect_err("a failure");
        assert_eq!(error.into_error(), Some("across"));
    }
}

#[test]
fn a16_groups_are_send_where_their_outcomes_are() {
    fn is_send<T: Send + Sync>(value: T) -> T {
        value
    }
    let group = is_send(TaskGroup::<Cell<u8>, String>::new());
    drop(is_send(group.spawner()));
    drop(group);
}
