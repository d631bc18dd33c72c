//! A: groups of tasks.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::panic::panic_any;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use marline_tasks::task::{Collecting, GroupSpawner};
use marline_tasks::{
    GroupError, Resolver, TaskGroup, deferred, sleep, spawn, task_stats, timeout, yield_now,
};

use crate::conformance;
use crate::support::{Notes, Probe, World, failures};

const MS: Duration = Duration::from_millis(1);

/// Notes the drop of a future.
struct Dropped(Notes, &'static str);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.add(format!("{} dropped", self.1));
    }
}

/// A child that never ends by itself.
async fn waiting(notes: Notes, name: &'static str) -> Result<u8, String> {
    let _dropped = Dropped(notes.clone(), name);
    notes.add(format!("{name} begins"));
    pending::<()>().await;
    Ok(0)
}

conformance! {
    fn a16_join_waits_for_every_child_and_keeps_the_order_of_spawning(world: &World) {
        let notes = Notes::new();
        let trace = notes.clone();
        let values = world.finish(async move {
            let group = TaskGroup::<usize, String>::new();
            let mut resolvers = Vec::new();
            for (index, place) in [3, 1, 2].into_iter().enumerate() {
                let (notes, (resolver, turn)) = (trace.clone(), deferred::<()>());
                resolvers.push((place, resolver));
                assert_eq!(group.spawn(async move {
                    turn.await.expect("it comes");
                    notes.add(format!("child {index}"));
                    Ok(place)
                }), index);
            }
            assert_eq!((group.len(), group.is_empty()), (3, false));
            let _ending = spawn(end_in_order(resolvers));
            let values = group.join().await;
            trace.add("owner");
            values
        });
        assert_eq!(values.expect("no failure"), [3, 1, 2]);
        assert_eq!(notes.all(), ["child 1", "child 2", "child 0", "owner"]);
        assert_eq!(world.finish(async { TaskGroup::<u8, String>::new().join().await }).expect("nothing"), [0; 0]);
    }

    fn a16_the_first_failure_cancels_the_siblings_and_is_what_the_owner_sees(world: &World) {
        let notes = Notes::new();
        let trace = notes.clone();
        let error = world.finish(async move {
            let group = TaskGroup::new();
            group.spawn(waiting(trace.clone(), "first"));
            group.spawn_named("culprit", {
                let notes = trace.clone();
                async move {
                    let _dropped = Dropped(notes.clone(), "culprit");
                    yield_now().await;
                    notes.add("culprit fails");
                    Err("a failure".to_owned())
                }
            });
            group.spawn(waiting(trace.clone(), "third"));
            let error = group.join().await.expect_err("a failure");
            trace.add("owner");
            error
        });
        assert_eq!((error.index(), error.name(), error.error().map(String::as_str)), (1, Some("culprit"), Some("a failure")));
        assert!(error.place().file().ends_with("a_groups.rs"));
        assert!(!error.is_panic() && !error.is_cancelled());
        let text = error.to_string();
        assert!(text.starts_with("child 1 \"culprit\" of the group, spawned at") && text.ends_with("failed: a failure"), "{text}");
        // Every future is dropped when the owner goes on.
        let wanted = [
            "first begins", "third begins", "culprit fails", "culprit dropped", "first dropped", "third dropped", "owner",
        ];
        assert_eq!(notes.all(), wanted);
    }

    fn a16_an_owner_that_looks_too_early_still_waits_for_the_siblings(world: &World) {
        let probe = Probe::new();
        let (sibling, seen) = (probe.clone(), probe.clone());
        let polls = world.finish(async move {
            let group = TaskGroup::<(), &str>::new();
            group.spawn(async move {
                sibling.future().await;
                Ok(())
            });
            let (resolver, mut early) = deferred();
            group.spawn(async move {
                yield_now().await;
                // The owner is in the queue before the siblings are.
                resolver.resolve(()).expect("it is awaited");
                Err("failed")
            });
            let (mut join, mut polls) = (Box::pin(group.join()), Vec::new());
            poll_fn(|context| {
                let failed = early.poll_unpin(context).is_ready();
                let joined = join.poll_unpin(context).map(|outcome| outcome.is_err());
                polls.push((failed, seen.drops(), joined));
                joined
            })
            .await;
            polls
        });
        let wanted = [(false, 0, Poll::Pending), (true, 0, Poll::Pending), (true, 1, Poll::Ready(true))];
        assert_eq!(polls, wanted);
        assert_eq!(probe.polls(), 1);
    }

    fn a16_siblings_are_cancelled_although_nobody_waits_yet(world: &World) {
        let probe = Probe::new();
        let sibling = probe.clone();
        let (group, refused) = world.finish(async move {
            let group = TaskGroup::<(), &str>::new();
            group.spawn(async move {
                sibling.future().await;
                Ok(())
            });
            let spawner = group.spawner();
            group.spawn(async { Err("early") });
            sleep(MS).await;
            let refused = spawner.spawn(async { Ok(()) }).map_err(|closed| closed.into_future());
            assert_eq!(group.spawn(async { panic!("it is not polled") }), 2);
            (group, refused.is_err())
        });
        assert_eq!((probe.polls(), probe.drops(), refused), (1, 1, true));
        assert_eq!(group.len(), 1);
        let error = world.finish(group.join()).expect_err("a failure");
        assert_eq!((error.index(), error.into_error()), (1, Some("early")));
    }

    fn a16_of_two_failures_the_first_is_seen(world: &World) {
        let reports = failures(&world.handle());
        let error = world.finish(async {
            let group = TaskGroup::<(), &str>::new();
            group.spawn(async {
                let _bomb = Bomb;
                pending::<()>().await;
                Ok(())
            });
            for name in ["one", "two"] {
                group.spawn(async move {
                    yield_now().await;
                    Err(name)
                });
            }
            group.join().await.expect_err("a failure")
        });
        assert_eq!(error.into_error(), Some("one"));
        // The sibling whose destructor panicked while it was cancelled is not lost in silence.
        world.settle();
        let reports = reports.borrow();
        assert_eq!(reports.len(), 1, "{reports:?}");
        assert!(reports[0].contains("a destructor that panics") && reports[0].contains("a_groups.rs"), "{reports:?}");
    }

    fn a16_cancelling_the_owner_cancels_the_children(world: &World) {
        let notes = Notes::new();
        let trace = notes.clone();
        let owner = world.spawn(async move {
            let _dropped = Dropped(trace.clone(), "owner");
            let group = TaskGroup::new();
            group.spawn(waiting(trace.clone(), "one"));
            let inner = trace.clone();
            group.spawn(async move {
                let group = TaskGroup::new();
                group.spawn(waiting(inner.clone(), "grandchild"));
                group.join().await.map(|_| 0).map_err(|error| error.to_string())
            });
            group.join().await
        });
        world.settle();
        assert_eq!(notes.all(), ["one begins", "grandchild begins"]);
        owner.abort();
        assert_eq!(notes.len(), 2, "nothing happens during the call");
        world.settle();
        assert!(world.finish(owner).expect_err("an abort").is_aborted());
        assert_eq!(notes.all()[2..], ["owner dropped", "one dropped", "grandchild dropped"]);
        assert_eq!(world.handle().enter(task_stats).live, 0);
    }

    fn a16_an_owner_that_loses_a_race_or_times_out_takes_its_children_along(world: &World) {
        let probe = Probe::new();
        let child = probe.clone();
        world.finish(async move {
            let group = TaskGroup::<(), ()>::new();
            group.spawn(async move {
                child.future().await;
                Ok(())
            });
            // The child begins, however late it is by then.
            yield_now().await;
            assert!(timeout(MS, group.join()).await.is_err());
        });
        world.settle();
        assert_eq!((probe.polls(), probe.drops()), (1, 1));
    }

    fn a16_a_panic_of_a_child_reaches_the_owner(world: &World) {
        let reports = failures(&world.handle());
        let sibling = Probe::new();
        let cancelled = sibling.clone();
        let error = world.finish(async move {
            let group = TaskGroup::<(), String>::new();
            group.spawn(async move {
                cancelled.future().await;
                Ok(())
            });
            group.spawn(async {
                yield_now().await;
                panic_any(7_u8);
            });
            group.join().await.expect_err("a panic")
        });
        assert_eq!((sibling.drops(), error.is_panic(), error.index()), (1, true, 1));
        assert!(error.error().is_none());
        let payload = error.into_panic().expect("a payload").downcast::<u8>();
        assert_eq!(*payload.expect("the payload"), 7);
        let error = world.finish(async {
            let group = TaskGroup::<(), String>::new();
            group.spawn(poll_fn({
                let bomb = Bomb;
                move |_| Poll::Ready({
                    let _ = &bomb;
                    Ok(())
                })
            }));
            group.join().await.expect_err("a panic")
        });
        assert!(error.is_panic(), "{error:?}");
        assert_eq!(*reports.borrow(), [""; 0], "who joins is told, and nobody else");
    }

    fn a16_a_collecting_group_gives_every_outcome(world: &World) {
        let outcomes = world.finish(async {
            let group = TaskGroup::collecting();
            group.spawn(async {
                sleep(2 * MS).await;
                Ok(1)
            });
            group.spawn(async { Err("two") });
            group.spawn(async { panic!("three") });
            group.spawn(async {
                sleep(MS).await;
                Ok(4)
            });
            group.join().await
        });
        let told: Vec<_> = outcomes.iter().map(describe).collect();
        assert_eq!(told, ["1", "1: two", "2: panicked", "4"]);
    }

    fn a16_next_gives_outcomes_in_the_order_of_completion(world: &World) {
        let told = world.finish(async {
            let mut group = TaskGroup::<u32, &str, Collecting>::collecting();
            let (mut told, mut resolvers) = (Vec::new(), Vec::new());
            for place in [30, 10, 20] {
                let (resolver, turn) = deferred::<()>();
                resolvers.push((place, resolver));
                group.spawn(async move {
                    turn.await.expect("it comes");
                    if place == 20 { Err("twenty") } else { Ok(place) }
                });
            }
            // One that is dropped loses nothing.
            assert!(group.next().now_or_never().is_none());
            assert!(timeout(MS, group.next()).await.is_err());
            let _ending = spawn(end_in_order(resolvers));
            while let Some(outcome) = group.next().await {
                told.push(describe(&outcome));
                if told.len() == 1 {
                    // The group goes on with those that come later.
                    group.spawn(async { Ok(0) });
                }
            }
            assert!(group.is_empty());
            told.push(format!("{} left", group.join().await.len()));
            told
        });
        assert_eq!(told, ["10", "0", "2: twenty", "30", "0 left"]);
    }

    fn a16_next_tells_a_failure_last(world: &World) {
        let (told, drops) = world.finish(async {
            let mut group = TaskGroup::<u32, &str>::new();
            let probe = Probe::new();
            let cancelled = probe.clone();
            group.spawn(async move {
                cancelled.future().await;
                Ok(0)
            });
            group.spawn(async { Ok(1) });
            group.spawn(async { Err("failed") });
            let mut told = Vec::new();
            let mut drops = Vec::new();
            while let Some(outcome) = group.next().await {
                told.push(describe(&outcome));
                drops.push(probe.drops());
            }
            (told, drops)
        });
        assert_eq!((told, drops[1]), (vec!["1".to_owned(), "2: failed".to_owned()], 1));
    }

    fn a16_cancelling_all_is_no_failure(world: &World) {
        let notes = Notes::new();
        let trace = notes.clone();
        let (values, outcomes) = world.finish(async move {
            let group = TaskGroup::new();
            group.spawn(waiting(trace.clone(), "one"));
            group.spawn(async { Ok(2) });
            yield_now().await;
            yield_now().await;
            group.cancel_all();
            group.spawn(async { Ok(3) });
            let values = group.join().await;
            let group = TaskGroup::collecting();
            group.spawn(waiting(trace.clone(), "two"));
            group.spawn(async { Ok(2) });
            yield_now().await;
            yield_now().await;
            group.cancel_all();
            (values, group.join().await)
        });
        assert_eq!(values.expect("no failure"), [2, 3]);
        assert_eq!(outcomes.iter().map(describe).collect::<Vec<_>>(), ["0: cancelled", "2"]);
        assert_eq!(notes.all(), ["one begins", "one dropped", "two begins", "two dropped"]);
    }

    fn a16_children_spawn_into_their_group(world: &World) {
        async fn tree(depth: u8, spawner: GroupSpawner<u8, String>) -> Result<u8, String> {
            for _ in 0..2 * u8::from(depth > 0) {
                // Boxed, because the future's type contains itself.
                let child: LocalBoxFuture<'static, _> = Box::pin(tree(depth - 1, spawner.clone()));
                spawner.spawn_named("branch", child).map_err(|closed| closed.to_string())?;
            }
            yield_now().await;
            Ok(1)
        }
        let (values, late) = world.finish(async {
            let group = TaskGroup::new();
            let spawner = group.spawner();
            group.spawn(tree(4, spawner.clone()));
            let values = group.join().await.expect("no failure");
            (values, spawner.spawn(async { Ok(0) }).is_err())
        });
        assert_eq!((values.len(), late), (31, true));
        assert_eq!(world.handle().enter(task_stats).live, 0);
        // After the end the future comes back, also where a callback tries.
        let group = TaskGroup::<u8, String>::new();
        let spawner = group.spawner();
        drop(group);
        let (gone, back) = (spawner, Rc::new(Cell::new(0)));
        let count = Rc::clone(&back);
        world.handle().call_soon(move || {
            let closed = gone.spawn(async { Ok(9) }).expect_err("no group");
            count.set(closed.into_future().now_or_never().and_then(Result::ok).unwrap_or(0));
        });
        world.settle();
        assert_eq!(back.get(), 9);
    }

    fn a16_callbacks_spawn_into_a_group_whose_owner_waits(world: &World) {
        let (resolver, answer) = deferred();
        let handle = world.handle();
        let owner = world.spawn(async move {
            let group = TaskGroup::<u8, String>::new();
            let spawner = group.spawner();
            group.spawn(async move { answer.await.map_err(|error| error.to_string()) });
            handle.call_later(MS, move || {
                assert!(spawner.spawn(async { Ok(2) }).is_ok());
                resolver.resolve(1).expect("it is awaited");
            });
            group.join().await
        });
        assert_eq!(world.join(owner).expect("no failure"), [1, 2]);
    }

    fn a16_failures_of_a_group_that_nobody_waits_for_are_reported(world: &World) {
        let reports = failures(&world.handle());
        world.finish(async {
            let group = TaskGroup::<(), String>::new();
            group.spawn(async { Err("unheard".to_owned()) });
            sleep(MS).await;
            drop(group);
            let group = TaskGroup::<(), String, _>::collecting();
            group.spawn_named("loud", async { panic!("unheard too") });
            sleep(MS).await;
        });
        world.settle();
        let reports = reports.borrow();
        assert_eq!(reports.len(), 2, "{reports:?}");
        assert!(reports[0].contains("unheard") && reports[1].contains("unheard too"), "{reports:?}");
        assert!(reports[1].contains("the task \"loud\" started at"), "{reports:?}");
    }
}

/// Lets tasks end one after the other, in the order of their numbers, with time for others in between.
async fn end_in_order<N: Ord + Copy>(mut resolvers: Vec<(N, Resolver<()>)>) {
    resolvers.sort_by_key(|(place, _)| *place);
    for (_, resolver) in resolvers {
        resolver.resolve(()).expect("it is awaited");
        sleep(MS).await;
    }
}

/// Its drop panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a destructor that panics");
    }
}

fn describe<T: ToString, E: ToString>(outcome: &Result<T, GroupError<E>>) -> String {
    let error = match outcome {
        Ok(value) => return value.to_string(),
        Err(error) => error,
    };
    let cause = match error.error() {
        Some(error) => error.to_string(),
        None if error.is_panic() => "panicked".to_owned(),
        None => "cancelled".to_owned(),
    };
    format!("{}: {cause}", error.index())
}
