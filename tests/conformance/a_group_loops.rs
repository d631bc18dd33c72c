//! A: groups, their loops and their threads.

use std::cell::Cell;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread;

use futures::FutureExt;
use futures::executor::block_on;
use marline_tasks::{TaskGroup, deferred, shield, spawn, spawn_remote, yield_now};

use crate::conformance;
use crate::support::{Notes, Probe, World, failures};

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

    fn a16_a_spawner_without_a_loop_hands_the_future_back(world: &World) {
        let (spawner, resolver, owner) = world.handle().enter(|| {
            let group = TaskGroup::<u8, String>::new();
            let (resolver, answer) = deferred();
            group.spawn(async move { answer.await.map_err(|error| error.to_string()) });
            (group.spawner(), resolver, spawn(group.join()))
        });
        world.settle();
        let elsewhere = thread::spawn(move || {
            let closed = spawner.spawn_named("lost", async { Ok(2) }).expect_err("no loop");
            assert!(closed.is_nowhere() && closed.to_string().contains("no loop"), "{closed}");
            closed.into_future().now_or_never()
        });
        assert_eq!(elsewhere.join().expect("a thread"), Some(Ok(2)));
        // The group goes on, and knows nothing of it.
        resolver.resolve(1).expect("it is awaited");
        assert_eq!(world.finish(owner).expect("an output").expect("no failure"), [1]);
    }

    fn a16_a_shield_in_a_child_outlives_the_group(world: &World) {
        let (notes, (resolver, permission)) = (Notes::new(), deferred::<()>());
        let trace = notes.clone();
        world.finish(async move {
            let (inner, group) = (trace.clone(), TaskGroup::<(), &str>::new());
            group.spawn(async move {
                shield(async move {
                    inner.add("begun");
                    permission.await.expect("it comes");
                    inner.add("saved");
                })
                .await;
                Ok(())
            });
            group.spawn(async { Err("failed") });
            group.join().await.expect_err("a failure");
            trace.add("joined");
        });
        resolver.resolve(()).expect("it is awaited");
        world.settle();
        assert_eq!(notes.all(), ["begun", "joined", "saved"]);
    }

    fn a16_an_owner_that_joins_is_polled_when_no_child_is_left(world: &World) {
        let (joining, next) = world.finish(async {
            let counted = |collecting: bool| async move {
                let group = TaskGroup::<usize, ()>::new();
                for index in 0..100 {
                    group.spawn(async move {
                        for _ in 0..index {
                            yield_now().await;
                        }
                        Ok(index)
                    });
                }
                let mut polls = 0;
                let mut waiting = async move {
                    let mut group = group;
                    while collecting && group.next().await.is_some() {}
                    group.join().await
                }
                .boxed_local();
                let values = poll_fn(|context| {
                    polls += 1;
                    waiting.poll_unpin(context)
                })
                .await;
                (polls, values.expect("no failure").len())
            };
            (counted(false).await, counted(true).await)
        });
        assert_eq!(joining, (2, 100));
        assert_eq!(next, (101, 0));
    }

    fn a16_an_owner_whose_waker_panics_harms_no_child(world: &World) {
        struct Bomb;
        impl Wake for Bomb {
            fn wake(self: Arc<Self>) {
                panic!("a waker that panics");
            }
        }
        let reports = failures(&world.handle());
        let group = TaskGroup::<u8, ()>::new();
        world.handle().enter(|| group.spawn(async { Ok(1) }));
        let waker = Waker::from(Arc::new(Bomb));
        let mut joined = Box::pin(group.join());
        assert!(joined.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        world.settle();
        assert_eq!(joined.now_or_never().expect("an answer").expect("no failure"), [1]);
        assert_eq!(reports.borrow().len(), 1);
        assert!(reports.borrow()[0].contains("the waker of who waited for a group"), "{reports:?}");
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
