//! A: deferreds that call a callback.

use std::cell::{Cell, RefCell};
use std::future::ready;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use futures::executor::block_on;
use marline_reactor::Transport;
use marline_tasks::{Abandoned, deferred, select, sleep};

use crate::conformance;
use crate::support::{Drops, Within, World, failures};

conformance! {
    fn a15_the_callback_starts_from_the_loop_once(world: &World) {
        let (within, log) = (Within::default(), Rc::new(RefCell::new(Vec::new())));
        let call = |name: &'static str| {
            let (within, log) = (within.clone(), Rc::clone(&log));
            move |outcome: Result<&str, Abandoned>| {
                within.check();
                log.borrow_mut().push((name, outcome.is_ok()));
            }
        };
        let handle = world.handle();
        let (resolver, later) = deferred();
        let (early, already) = deferred();
        let (dropped, abandoned) = deferred();
        early.resolve("early").expect("it is observed");
        within.call(|| {
            handle.enter(|| {
                later.call_back(call("later")).expect("a loop");
                already.call_back(call("already")).expect("a loop");
                abandoned.call_back(call("abandoned")).expect("a loop");
            });
        });
        assert_eq!(log.borrow().len(), 0);
        world.settle();
        assert_eq!(*log.borrow(), [("already", true)]);
        let inner = within.clone();
        handle.call_soon(move || {
            inner.call(|| {
                drop(dropped);
                resolver.resolve("later").expect("it is observed");
            });
        });
        world.settle();
        assert_eq!(*log.borrow(), [("already", true), ("abandoned", false), ("later", true)]);
        assert_eq!(within.violations(), 0);
    }

    fn a15_from_another_thread_it_is_called_on_the_loops(world: &World) {
        let (resolver, answer) = deferred();
        let called = Rc::new(Cell::new(None));
        let set = Rc::clone(&called);
        let call = move |answer| set.set(Some((answer, thread::current().id())));
        world.handle().enter(|| answer.call_back(call)).expect("a loop");
        world.settle();
        thread::spawn(move || resolver.resolve(42)).join().expect("a thread").expect("it is observed");
        world.until(|| called.get().is_some());
        assert_eq!(called.get(), Some((Ok(42), thread::current().id())));
    }

    fn a15_without_a_loop_the_deferred_comes_back(world: &World) {
        let (resolver, answer) = deferred();
        let answer = answer.call_back(|_: Result<u8, _>| unreachable!("no loop")).expect_err("no loop");
        resolver.resolve(7).expect("it is observed");
        assert_eq!(block_on(answer), Ok(7));
        assert_eq!(world.handle().stats().ready, 0);
    }

    fn a15_a_deferred_that_gave_its_value_does_not_wait_for_another(world: &World) {
        let (resolver, mut answer) = deferred();
        resolver.resolve(7).expect("it is observed");
        let answers = world.finish(async move { [(&mut answer).await, (&mut answer).await, answer.await] });
        assert_eq!(answers, [Ok(7), Err(Abandoned), Err(Abandoned)]);
    }

    fn a15_a_callback_that_panics_is_reported_and_harms_nobody(world: &World) {
        let reports = failures(&world.handle());
        let ((first, one), (second, two)) = (deferred(), deferred());
        let called = Rc::new(Cell::new(false));
        let set = Rc::clone(&called);
        world.handle().enter(|| {
            one.call_back(|_: Result<u8, _>| panic!("a callback that panics")).expect("a loop");
            two.call_back(move |_: Result<u8, _>| set.set(true)).expect("a loop");
        });
        let _ = (first.resolve(1), second.resolve(2));
        world.settle();
        assert!(called.get());
        assert_eq!(reports.borrow().len(), 1);
        assert!(reports.borrow()[0].contains("a callback that panics"), "{reports:?}");
        assert!(reports.borrow()[0].contains(file!()), "it names the place in the program: {reports:?}");
    }

    fn a15_a_loop_that_is_over_gives_the_deferred_back(world: &World) {
        for shut_down in [false, true] {
            let doomed = world.fresh();
            let handle = doomed.handle();
            if shut_down {
                handle.shutdown();
                doomed.run();
            }
            let kept = Some(doomed).filter(|_| shut_down);
            let (resolver, answer) = deferred();
            let answer = handle.enter(|| answer.call_back(|_: Result<u8, _>| unreachable!("no loop")));
            resolver.resolve(7).expect("it is observed");
            assert_eq!(block_on(answer.expect_err("no loop")), Ok(7));
            drop(kept);
        }
    }

    fn a15_when_the_loop_ends_first_the_callback_is_dropped(world: &World) {
        let doomed = world.fresh();
        let drops = Drops::new();
        let (resolver, answer) = deferred::<u8>();
        let witness = drops.witness();
        let call = move |_| drop(witness);
        doomed.handle().enter(|| answer.call_back(call)).expect("a loop");
        doomed.settle();
        drop(doomed);
        assert_eq!(drops.count(), 1);
        assert!(!resolver.is_observed());
        assert_eq!(resolver.resolve(1), Err(1));
    }

    fn a15_a_callback_api_is_awaited_as_a_future(world: &World) {
        let handle = world.handle();
        let listener = world.listener();
        let address = listener.local_address().expect("an address");
        let task = world.spawn(async move {
            // A connection, by its callback.
            let (resolver, made) = deferred();
            let protocol = |_: &Transport, _: &[u8]| {};
            handle.connect(address, move |_| protocol, move |outcome| _ = resolver.resolve(outcome));
            let transport = made.await.expect("an outcome").expect("a connection");
            // A signal, raised on another thread, through a cell that is emptied when it is first called.
            let (resolver, raised) = deferred();
            let mut resolver = Some(resolver);
            let signal = handle.signal(move || _ = resolver.take().map(|resolver| resolver.resolve("raised")));
            thread::spawn(move || signal.raise()).join().expect("a thread");
            let raised = raised.await;
            // A timer, which loses against another future; then the one that waits for it is still there.
            let (resolver, mut due) = deferred();
            let first = select! {
                fixed;
                _ = &mut due => "due",
                () = ready(()) => "ready",
            };
            // Set before, it might come due in the same turn as the sleep on a busy machine.
            handle.call_later(Duration::from_millis(5), move || _ = resolver.resolve("due"));
            (transport.is_closing(), raised, first, due.await)
        });
        assert_eq!(world.join(task), (false, Ok("raised"), "ready", Ok("due")));
    }

    fn a15_an_attempt_that_is_abandoned_is_an_error(world: &World) {
        // A callback that is never called: its closure, and the resolver in it, are dropped.
        let (resolver, due) = deferred::<()>();
        let timer = world.handle().call_later(Duration::from_secs(60), move || _ = resolver.resolve(()));
        let task = world.spawn(due);
        world.settle();
        assert!(!task.is_finished());
        timer.cancel();
        assert_eq!(world.join(task), Err(Abandoned));
    }

    fn a15_a_callback_and_a_task_meet_in_a_deferred(world: &World) {
        let handle = world.handle();
        let task = world.spawn(async move {
            let (resolver, answer) = deferred();
            handle.call_later(Duration::from_millis(1), move || _ = resolver.resolve("called"));
            sleep(Duration::ZERO).await;
            answer.await
        });
        assert_eq!(world.join(task), Ok("called"));
    }
}
