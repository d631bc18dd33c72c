//! A: scopes that are cancelled, and shields.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use futures::executor::block_on;
use marline_reactor::{Instant, Reactor};
use marline_tasks::{
    CancelScope, CancelToken, TaskGroup, deferred, gather, select, shield, sleep, sleep_until, spawn,
    task_stats, yield_now,
};

use crate::conformance;
use crate::support::{Notes, Probe, World, failures};

const MS: Duration = Duration::from_millis(1);

conformance! {
    fn scopes_drop_the_future_before_the_caller_sees_the_result(world: &World) {
        let (scope, probe) = (Rc::new(CancelScope::new()), Probe::new());
        let (inner, seen) = (Rc::clone(&scope), probe.clone());
        let task = world.spawn(async move {
            let result = inner.run(seen.future()).await;
            (result, seen.drops())
        });
        world.settle();
        assert_eq!(probe.drops(), 0);
        probe.within.call(|| scope.cancel());
        assert_eq!(probe.drops(), 0, "nothing happens during the call");
        let (result, drops) = world.join(task);
        let cancelled = result.expect_err("it was cancelled");
        assert!(!cancelled.is_deadline() && scope.is_cancelled());
        assert_eq!((cancelled.to_string().as_str(), drops, probe.within.violations()), ("cancelled", 1, 0));
    }

    fn a14_scopes_a_future_that_is_ready_at_the_deadline_wins(world: &World) {
        let handle = world.handle();
        let results = world.finish(async move {
            let deadline = handle.now() + 5 * MS;
            let scope = CancelScope::new();
            scope.cancel_at(deadline);
            assert_eq!(scope.deadline(), Some(deadline));
            let exact = scope.run(sleep_until(deadline)).await;
            let passed = scope.run(async { 7 }).await;
            let late = scope.run(sleep(5 * MS)).await;
            (exact, passed, late, handle.now() >= deadline, scope.is_cancelled())
        });
        assert_eq!((results.0, results.1), (Ok(()), Ok(7)));
        assert!(results.2.expect_err("the deadline has passed").is_deadline() && results.3 && results.4);
        assert_eq!(world.handle().stats().timers, 0);
    }

    fn scopes_inherit_the_earliest_deadline(world: &World) {
        let handle = world.handle();
        let (order, timers) = world.finish(async move {
            let start = handle.now();
            let outer = CancelScope::new();
            let (inner, patient) = (outer.child(), outer.child().child());
            outer.cancel_at(start + 20 * MS);
            inner.cancel_at(start + 10 * MS);
            patient.cancel_at(start + 3600 * 1000 * MS);
            let deadlines = (inner.deadline(), patient.deadline());
            // On a machine that comes late they may have passed.
            if handle.now() < start + 10 * MS {
                assert_eq!(deadlines, (Some(start + 10 * MS), Some(start + 20 * MS)));
            }
            let order = Notes::new();
            let run = |scope: &CancelScope, name: &'static str| {
                let (run, order) = (scope.run(pending::<()>()), order.clone());
                async move {
                    assert!(run.await.expect_err("a deadline").is_deadline());
                    order.add(name);
                    Ok::<_, ()>(())
                }
            };
            let runs = [run(&outer, "outer"), run(&inner, "inner"), run(&patient, "patient")];
            gather(runs).await.expect("they end");
            assert!(outer.is_cancelled() && inner.is_cancelled() && patient.is_cancelled());
            (order.all(), handle.stats().timers)
        });
        // A machine that comes late enough finds all of them over at once.
        assert!(order[0] == "inner" || !world.is_memory(), "{order:?}");
        assert_eq!((order.len(), timers), (3, 0));
    }

    fn tokens_run_futures_and_have_children(world: &World) {
        let scope = CancelScope::new();
        let token = scope.token();
        let (child, sibling) = (token.child(), token.child());
        let run = |token: &CancelToken| world.spawn(token.run(pending::<()>()));
        let (in_child, in_sibling, in_token) = (run(&child), run(&sibling), run(&token));
        world.settle();
        child.cancel();
        assert!(!world.join(in_child).expect_err("cancelled").is_deadline());
        assert!(!in_sibling.is_finished() && !in_token.is_finished() && !scope.is_cancelled());
        assert_eq!(world.finish(sibling.run(async { 7 })), Ok(7));
        world.handle().enter(|| scope.cancel_after(MS));
        assert!(world.join(in_sibling).expect_err("cancelled").is_deadline());
        assert!(world.join(in_token).expect_err("cancelled").is_deadline());
        // One that is made too late is cancelled, and one whose parents are gone still hears of them.
        let late = token.child();
        assert!(late.is_cancelled() && world.finish(late.run(pending::<()>())).is_err());
        let (outer, inner) = (CancelScope::new().token(), CancelScope::new().token().child().child());
        let grandchild = outer.child().child();
        outer.cancel();
        assert!(grandchild.is_cancelled() && !inner.is_cancelled());
    }

    fn scopes_cancel_what_is_inside_and_nothing_around(world: &World) {
        let (outer, probe) = (CancelScope::new(), Probe::new());
        let (inner, side) = (outer.child(), outer.child());
        let deep = inner.child();
        let tasks: Vec<_> = [&outer, &inner, &side, &deep].map(|scope| world.spawn(scope.run(probe.future()))).into();
        world.settle();
        inner.cancel();
        world.settle();
        assert_eq!(tasks.iter().map(|task| task.is_finished()).collect::<Vec<_>>(), [false, true, false, true]);
        assert_eq!([&outer, &inner, &side, &deep].map(CancelScope::is_cancelled), [false, true, false, true]);
        outer.cancel();
        world.settle();
        assert!(tasks.iter().all(|task| task.is_finished()) && side.is_cancelled());
        assert_eq!(probe.drops(), 4);
        // One that is made inside of a cancelled scope is cancelled, and polls once all the same.
        let late = outer.child();
        let task = world.spawn(late.run(probe.future()));
        world.settle();
        assert!(task.is_finished() && late.is_cancelled());
        assert_eq!(probe.drops(), 5);
    }

    fn scopes_deadlines_can_be_moved(world: &World) {
        let scope = Rc::new(CancelScope::new());
        let (inner, handle) = (Rc::clone(&scope), world.handle());
        scope.cancel_at(handle.now() + 3600 * 1000 * MS);
        let task = world.spawn(async move { inner.child().run(pending::<()>()).await });
        world.settle();
        assert_eq!(handle.stats().timers, 1);
        scope.cancel_at(Instant::FAR);
        world.settle();
        assert_eq!((handle.stats().timers, scope.deadline()), (0, None));
        let begun = handle.now();
        scope.cancel_at(begun + 5 * MS);
        assert!(world.join(task).expect_err("a deadline").is_deadline());
        assert!(handle.now() >= begun + 5 * MS);
    }

    fn scopes_are_cancelled_from_other_threads(world: &World) {
        let scope = CancelScope::new();
        let (token, watching) = (scope.token(), scope.child().token());
        let run = scope.run(pending::<()>());
        let task = world.spawn(run);
        world.settle();
        let thread = thread::spawn(move || {
            assert!(!watching.is_cancelled());
            token.cancel();
            assert!(watching.is_cancelled() && token.is_cancelled());
            block_on(watching.cancelled()).is_deadline()
        });
        world.until_elsewhere(|| task.is_finished());
        assert!(world.join(task).is_err());
        assert!(!thread.join().expect("a thread"));
        // A future of a scope may be anywhere.
        let scope = CancelScope::new();
        let run = scope.run(pending::<()>());
        let thread = thread::spawn(move || block_on(run));
        scope.cancel();
        assert!(thread.join().expect("a thread").is_err());
    }

    fn scopes_forget_what_ran_in_them(world: &World) {
        // One that ends and one that is dropped leave no waker behind, so a cancel wakes nobody.
        let (scope, polls) = (Rc::new(CancelScope::new()), Rc::new(Cell::new(0)));
        let (inner, count) = (Rc::clone(&scope), Rc::clone(&polls));
        drop(world.spawn(async move {
            inner.run(yield_now()).await.expect("it ends");
            select! {
                _ = inner.run(pending::<()>()) => unreachable!(),
                () = yield_now() => {}
            }
            poll_fn(|_| {
                count.set(count.get() + 1);
                Poll::<()>::Pending
            })
            .await;
        }));
        world.settle();
        assert_eq!(polls.get(), 1);
        scope.cancel();
        world.settle();
        assert_eq!(polls.get(), 1);
    }

    fn scopes_take_a_groups_children_along(world: &World) {
        let (scope, probe) = (CancelScope::new(), Probe::new());
        scope.token().cancel();
        let child = probe.clone();
        let run = scope.run(async move {
            let group = TaskGroup::<(), ()>::new();
            group.spawn(async move {
                child.future().await;
                Ok(())
            });
            group.join().await
        });
        let task = world.spawn(run);
        world.settle();
        assert!(task.is_finished());
        // The child was cancelled before its turn came.
        assert_eq!((probe.polls(), world.handle().enter(task_stats).live), (0, 0));
    }

    fn scopes_stay_cancelled_when_their_deadline_is_moved(world: &World) {
        let handle = world.handle();
        let (unseen, seen) = (CancelScope::new(), CancelScope::new());
        let inside = seen.child();
        handle.enter(|| [&unseen, &seen].iter().for_each(|scope| scope.cancel_after(MS)));
        world.pass(5 * MS);
        assert!(handle.enter(|| inside.is_cancelled()));
        handle.enter(|| [&unseen, &seen].iter().for_each(|scope| scope.cancel_after(3600 * 1000 * MS)));
        handle.enter(|| assert!(unseen.is_cancelled() && seen.is_cancelled() && inside.is_cancelled()));
        // It was found on the loop's thread, and is known on others.
        let token = inside.token();
        assert!(thread::spawn(move || token.is_cancelled()).join().expect("a thread"));
    }

    fn scopes_whose_deadline_moves_away_wake_nobody(world: &World) {
        let (scope, polls) = (CancelScope::new(), Rc::new(Cell::new(0)));
        let handle = world.handle();
        let begun = handle.now();
        scope.cancel_at(begun + 3600 * 1000 * MS);
        let count = Rc::clone(&polls);
        let task = world.spawn(scope.child().run(poll_fn(move |_| {
            count.set(count.get() + 1);
            Poll::<()>::Pending
        })));
        world.settle();
        assert_eq!(polls.get(), 1);
        for later in 1..100 {
            scope.cancel_at(begun + (3600 * 1000 + later) * MS);
            world.settle();
        }
        assert_eq!((polls.get(), handle.stats().timers), (1, 1));
        // A sooner one does, and holds.
        scope.cancel_at(begun + 1800 * 1000 * MS);
        world.settle();
        assert_eq!((polls.get(), handle.stats().timers), (2, 1));
        scope.cancel_at(handle.now() + 5 * MS);
        assert!(world.join(task).expect_err("a deadline").is_deadline());
    }

    fn shields_go_on_when_their_caller_is_cancelled(world: &World) {
        let notes = Notes::new();
        let trace = notes.clone();
        let scope = Rc::new(CancelScope::new());
        let inner = Rc::clone(&scope);
        let (resolver, permission) = deferred::<()>();
        let task = world.spawn(async move {
            let note = trace.clone();
            let save = async move {
                note.add("begun");
                permission.await.expect("it comes");
                note.add("saved");
            };
            let cancelled = inner.run(shield(save)).await.is_err();
            trace.add("caller goes on");
            cancelled
        });
        world.settle();
        let before = world.handle().enter(task_stats).spawned;
        scope.cancel();
        assert!(world.join(task));
        resolver.resolve(()).expect("it is awaited");
        world.until(|| notes.has("saved"));
        assert_eq!(notes.all(), ["begun", "caller goes on", "saved"]);
        assert_eq!(world.handle().enter(task_stats).spawned, before + 1);
    }

    fn shields_give_their_output_to_a_caller_that_stays(world: &World) {
        let (output, spawned, panicked) = world.finish(async {
            let before = task_stats().spawned;
            let output = shield(async {
                yield_now().await;
                Rc::new(5)
            })
            .await;
            let panicking = spawn(async { shield(async { panic!("inside") }).await });
            let spawned = task_stats().spawned - before;
            let panicked = panicking.await.map(|(): ()| ()).expect_err("a panic").is_panic();
            (*output, spawned, panicked)
        });
        assert_eq!((output, spawned, panicked), (5, 1, true));
        // What never began is dropped, and so is what ended with its loop.
        let probe = Probe::new();
        drop(shield(probe.future()));
        assert_eq!((probe.polls(), probe.drops()), (0, 1));
        let doomed = world.fresh();
        let task = doomed.spawn(shield(probe.future()));
        doomed.settle();
        drop(doomed);
        assert_eq!((probe.polls(), probe.drops()), (1, 2));
        assert!(task.now_or_never().expect("an end").expect_err("an abort").is_aborted());
    }

    fn shields_report_what_nobody_is_left_to_hear(world: &World) {
        let reports = failures(&world.handle());
        let task = world.spawn(shield(async {
            yield_now().await;
            sleep(MS).await;
            Err::<(), String>("it could not be saved".to_owned())
        }));
        world.turn();
        task.abort();
        world.until(|| !reports.borrow().is_empty());
        assert!(reports.borrow()[0].contains("it could not be saved"), "{reports:?}");
        assert!(reports.borrow()[0].contains("a_scopes.rs"), "{reports:?}");
    }
}

#[test]
fn scopes_deadlines_are_known_on_every_thread() {
    let reactor = Reactor::new().expect("a loop");
    let (scope, handle) = (CancelScope::new(), reactor.handle());
    let (near, far) = (scope.child(), scope.child());
    handle.enter(|| near.cancel_after(MS));
    handle.enter(|| far.cancel_after(3600 * 1000 * MS));
    let deadline = near.deadline().expect("a deadline");
    while handle.now() < deadline {
        thread::yield_now();
    }
    // Nobody has looked on the loop's thread.
    let answers = move || (near.token().is_cancelled(), far.token().is_cancelled(), scope.is_cancelled());
    assert_eq!(thread::spawn(answers).join().expect("a thread"), (true, false, false));
}

#[test]
fn scopes_may_be_nested_deeper_than_the_stack() {
    let root = CancelScope::new();
    let mut scope = root.child();
    for _ in 0..200_000 {
        scope = scope.child();
    }
    assert!(!scope.is_cancelled());
    let run = scope.run(pending::<()>());
    root.cancel();
    assert!(scope.is_cancelled() && block_on(run).is_err());
    drop(root);
    drop(scope);
}
