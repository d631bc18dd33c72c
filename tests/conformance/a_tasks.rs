//! A: where tasks run, and how they end.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::future::{pending, poll_fn};
use std::panic::panic_any;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use marline_reactor::{Reactor, RunError};
use marline_tasks::{JoinHandle, deferred, run_on, spawn, yield_now};

use crate::conformance;
use crate::support::{Event, Log, Probe, Trace, Within, World, failures};

conformance! {
    fn a01_spawn_wake_and_abort_run_nothing(world: &World) {
        let probe = Probe::new();
        let within = &probe.within;
        let task = within.call(|| world.spawn(probe.future()));
        assert_eq!(probe.polls(), 0);
        world.settle();
        assert_eq!(probe.polls(), 1);
        within.call(|| probe.wake());
        assert_eq!(probe.polls(), 1);
        world.settle();
        assert_eq!(probe.polls(), 2);
        within.call(|| task.abort());
        assert_eq!(probe.drops(), 0);
        world.settle();
        assert_eq!((probe.polls(), probe.drops(), within.violations()), (2, 1, 0));
    }

    fn a01_nor_do_they_inside_callbacks_and_tasks(world: &World) {
        let probe = Probe::new();
        let doomed = world.spawn(probe.future());
        world.settle();
        let (within, woken, started) = (probe.within.clone(), probe.clone(), Rc::new(Cell::new(None)));
        let (kept, handle) = (Rc::clone(&started), world.handle());
        let fresh = Probe::within(&within);
        let spawned = fresh.clone();
        handle.call_soon(move || {
            kept.set(Some(within.call(|| {
                woken.wake();
                spawn(spawned.future())
            })));
        });
        world.settle();
        assert_eq!((probe.polls(), fresh.polls()), (2, 1));
        let (within, woken) = (probe.within.clone(), probe.clone());
        world.finish(async move {
            within.call(|| {
                woken.wake();
                doomed.abort();
                drop(started.take());
            });
        });
        world.settle();
        assert_eq!((probe.polls(), probe.drops(), probe.within.violations()), (2, 1, 0));
        assert_eq!((fresh.polls(), fresh.drops()), (1, 0));
    }

    fn a01_resolving_runs_nothing(world: &World) {
        let within = Within::default();
        let (resolver, answer) = deferred();
        let (abandoned, other) = deferred::<()>();
        let (checked, done) = (within.clone(), Rc::new(Cell::new(0)));
        let (first, seen) = (Rc::clone(&done), within.clone());
        let task = world.spawn(async move {
            let answer = answer.await;
            seen.check();
            first.set(first.get() + 1);
            let other = other.await;
            checked.check();
            first.set(first.get() + 1);
            (answer, other.is_err())
        });
        world.settle();
        assert_eq!(within.call(|| resolver.resolve(7)), Ok(()));
        assert_eq!(done.get(), 0);
        world.settle();
        assert_eq!(done.get(), 1);
        within.call(|| drop(abandoned));
        assert_eq!(done.get(), 1);
        assert_eq!(world.join(task), (Ok(7), true));
        assert_eq!(within.violations(), 0);
    }

    fn a01_transport_calls_run_no_task(world: &World) {
        let (stream, raw) = world.stream();
        let transport = stream.transport().expect("a transport");
        let within = Within::default();
        let (seen, polls) = (within.clone(), Rc::new(Cell::new(0)));
        let count = Rc::clone(&polls);
        let task = world.spawn(async move {
            let mut buffer = [0; 16];
            let mut read = stream.read(&mut buffer);
            poll_fn(|context| {
                seen.check();
                count.set(count.get() + 1);
                std::pin::Pin::new(&mut read).poll(context)
            })
            .await
        });
        world.settle();
        let before = polls.get();
        within.call(|| {
            transport.write(b"x");
            transport.unread(b"unread");
            transport.flush();
            transport.notify_drained();
            transport.pause_reading();
            transport.resume_reading();
            transport.abort();
            transport.close();
        });
        assert_eq!(polls.get(), before);
        world.until(|| task.is_finished());
        assert!(polls.get() > before && within.violations() == 0);
        assert!(raw.read().len() <= 1);
    }

    fn a06_awaiting_a_handle_gives_the_output(world: &World) {
        let task = world.spawn(async {
            let inner = spawn(async {
                yield_now().await;
                Rc::new(42)
            });
            let output = inner.await.expect("an output");
            (*output, Rc::strong_count(&output))
        });
        assert!(!task.is_finished());
        assert_eq!(world.join(task), (42, 1));
    }

    fn a06_a_panic_is_an_error_that_carries_the_payload(world: &World) {
        let reports = failures(&world.handle());
        let outcomes = world.finish(async {
            let place = 7;
            let mut text = spawn(async move { panic!("at {place}") });
            let value = spawn(async {
                yield_now().await;
                panic_any(Payload(9));
            });
            let text = (&mut text).await.map(|(): ()| ()).expect_err("a panic");
            let value = value.await.map(|(): ()| ()).expect_err("a panic");
            assert!(text.is_panic() && value.is_panic() && !text.is_aborted() && !text.is_never_ran());
            assert!(text.to_string().contains("at 7"), "{text}");
            assert!(text.source().is_some_and(|source| source.to_string().contains("at 7")));
            (text.into_panic(), value.into_panic())
        });
        let text = outcomes.0.expect("a payload").downcast::<String>().expect("a message");
        let value = outcomes.1.expect("a payload").downcast::<Payload>().expect("the payload");
        assert_eq!((text.as_str(), value.0), ("at 7", 9));
        assert!(reports.borrow().is_empty(), "who joins is told, and nobody else");
    }

    fn a06_an_abort_is_a_distinct_error(world: &World) {
        let task = world.spawn(pending::<()>());
        world.settle();
        task.abort();
        let error = world.finish(task).expect_err("an abort");
        assert!(error.is_aborted() && !error.is_panic() && !error.is_never_ran());
        assert_eq!(error.to_string(), "the task was aborted");
        assert!(error.into_panic().is_none());
    }

    fn a06_a_panic_while_the_future_is_dropped_is_one_too(world: &World) {
        let reports = failures(&world.handle());
        let aborted = world.spawn(async {
            let _bomb = Bomb;
            pending::<()>().await;
        });
        world.settle();
        aborted.abort();
        let ended = world.spawn(poll_fn({
            let bomb = Bomb;
            move |_| Poll::Ready(std::mem::size_of_val(&bomb))
        }));
        for error in [world.finish(aborted).expect_err("a panic"), world.finish(ended).expect_err("a panic")] {
            let payload = error.into_panic().expect("a payload").downcast::<&str>();
            assert_eq!(*payload.expect("a message"), "a destructor that panics");
        }
        assert!(reports.borrow().is_empty());
    }

    fn a06_what_nobody_waits_for_is_reported_once(world: &World) {
        let reports = failures(&world.handle());
        drop(world.spawn(async { panic!("unheard") }));
        drop(world.spawn(async { Err::<(), Box<dyn Error>>("refused".into()) }));
        let ended = world.spawn(async { Err::<u64, String>("too late".into()) });
        world.until(|| ended.is_finished());
        drop(ended);
        drop(world.spawn(async { 42 }));
        world.settle();
        let reports = reports.borrow();
        assert_eq!(reports.len(), 3, "{reports:?}");
        for (report, words) in reports.iter().zip(["unheard", "refused", "too late"]) {
            assert!(report.contains(words), "{report}");
        }
        assert!(reports[0].contains("a_tasks.rs"), "{}", reports[0]);
    }

    fn a06_an_output_that_panics_when_nobody_takes_it_is_reported_once(world: &World) {
        struct Mine;
        impl Drop for Mine {
            fn drop(&mut self) {
                panic!("an output that panics when it is dropped");
            }
        }
        let reports = failures(&world.handle());
        // The handle is dropped before the end of the one, and after that of the other.
        drop(world.spawn(async { Mine }));
        let late = world.spawn(async { Mine });
        world.settle();
        drop(late);
        assert_eq!(reports.borrow().len(), 2, "{reports:?}");
        assert!(reports.borrow().iter().all(|report| report.contains("panics when it is dropped") && report.contains(file!())));
    }

    fn a07_dropping_the_handle_detaches(world: &World) {
        let (probe, done) = (Probe::new(), Rc::new(Cell::new(false)));
        let (inner, set) = (probe.clone(), Rc::clone(&done));
        let (resolver, answer) = deferred();
        drop(world.spawn(async move {
            let _probing = inner.future();
            set.set(answer.await == Ok(5));
        }));
        world.settle();
        assert_eq!(probe.drops(), 0);
        resolver.resolve(5).expect("it is awaited");
        world.settle();
        assert!(done.get() && probe.drops() == 1);
    }

    fn a07_abort_drops_the_future_once_wherever_the_task_stands(world: &World) {
        // Not yet polled, waiting, and woken but not yet polled again.
        let probes = [Probe::new(), Probe::new(), Probe::new()];
        let waiting = [world.spawn(probes[1].future()), world.spawn(probes[2].future())];
        world.settle();
        let fresh = world.spawn(probes[0].future());
        probes[2].wake();
        for task in waiting.iter().chain([&fresh]) {
            task.abort();
            task.abort();
        }
        world.settle();
        assert_eq!(probes.each_ref().map(Probe::polls), [0, 1, 1]);
        assert_eq!(probes.each_ref().map(Probe::drops), [1, 1, 1]);
        for task in waiting.into_iter().chain([fresh]) {
            assert!(task.is_finished());
            task.abort();
            assert!(world.finish(task).expect_err("an abort").is_aborted());
        }
        assert_eq!(probes.each_ref().map(Probe::drops), [1, 1, 1]);
    }

    fn a07_an_abort_takes_effect_at_the_next_suspension(world: &World) {
        let (probe, steps) = (Probe::new(), Rc::new(Cell::new(0)));
        let (inner, count) = (probe.clone(), Rc::clone(&steps));
        let own = Rc::new(RefCell::new(None::<JoinHandle<u8>>));
        let handle = Rc::clone(&own);
        *own.borrow_mut() = Some(world.spawn(async move {
            let _probing = inner.future();
            if let Some(own) = &*handle.borrow() {
                own.abort();
            }
            count.set(1);
            yield_now().await;
            count.set(2);
            7
        }));
        world.settle();
        assert_eq!((steps.get(), probe.drops()), (1, 1));
        let task = own.take().expect("the handle");
        assert!(world.finish(task).expect_err("an abort").is_aborted());
    }

    fn a07_aborting_a_finished_task_changes_nothing(world: &World) {
        let own = Rc::new(RefCell::new(None::<JoinHandle<u8>>));
        let handle = Rc::clone(&own);
        // One that ends in the very poll in which it is aborted has ended.
        *own.borrow_mut() = Some(world.spawn(async move {
            if let Some(own) = &*handle.borrow() {
                own.abort();
            }
            7
        }));
        let task = own.take().expect("the handle");
        *own.borrow_mut() = Some(task);
        world.settle();
        let task = own.take().expect("the handle");
        assert!(task.is_finished());
        task.abort();
        world.settle();
        assert_eq!(world.join(task), 7);
    }

    fn a19_a_loop_inside_the_loop_is_an_error(world: &World) {
        let probe = Probe::new();
        let inner = probe.clone();
        let (reactor, again) = (world.fresh(), world.fresh());
        let answers = world.finish(async move {
            let outer = Reactor::new().expect("a loop").run();
            let nested = run_on(reactor.reactor(), inner.future());
            let whole: Result<u8, Box<dyn Error>> = marline_tasks::run(async { Ok(1) });
            let whole = whole.map_err(|error| error.is::<RunError>());
            (outer.is_err(), nested.is_err(), whole, reactor)
        });
        assert_eq!((answers.0, answers.1, answers.2), (true, true, Err(true)));
        // The future was not begun, and is dropped by its own loop.
        answers.3.settle();
        assert_eq!((probe.polls(), probe.drops()), (0, 1));
        let refused = Rc::new(Cell::new(false));
        let told = Rc::clone(&refused);
        let (_, raw) = world.accept_one(Trace::new(&Log::new()).on(Event::Data(0), move |_| {
            told.set(run_on(again.reactor(), async {}).is_err());
        }));
        raw.write(b"x");
        world.until(|| refused.get());
        // None of this has harmed the loop.
        assert_eq!(world.finish(async { 5 }), 5);
        world.advance(Duration::from_millis(1));
    }
}

#[derive(Debug)]
struct Payload(u8);

/// Its drop panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a destructor that panics");
    }
}
