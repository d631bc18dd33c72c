//! T: running, stopping and shutting down.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{Addresses, ConnectError, Handle, Hold, ListenError, Phase, Timer, Transport};

use crate::conformance;
use crate::support::{Event, Log, Notes, Trace, World};

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Notes on both sides of a stop, and schedules something for the batch after it.
fn stopping(handle: &Handle, notes: &Notes) -> impl FnOnce() + 'static {
    let (handle, notes) = (handle.clone(), notes.clone());
    move || {
        handle.call_soon(notes.noting("next batch"));
        handle.stop();
        notes.add("stops");
    }
}

conformance! {
    fn t21_stop_lets_the_batch_finish_and_does_not_wait(world: &World) {
        let (handle, notes) = (world.handle(), Notes::new());
        let _alive = handle.keep_alive();
        handle.call_soon(notes.noting("before"));
        handle.call_soon(stopping(&handle, &notes));
        handle.call_soon(notes.noting("after"));
        // Nothing else is there to wake it: a loop that waited would never come back.
        world.run();
        assert_eq!(notes.all(), ["before", "stops", "after"]);
        handle.call_soon(stopping(&handle, &notes));
        world.run();
        assert_eq!(notes.all()[3..], ["next batch", "stops"]);
    }

    fn t21_the_batch_is_finished_also_when_it_is_over_the_budget(world: &World) {
        let (handle, count) = (world.handle(), Rc::new(Cell::new(0)));
        let stops = handle.clone();
        handle.call_soon(move || stops.stop());
        for _ in 0..10_000 {
            let count = Rc::clone(&count);
            handle.call_soon(move || count.set(count.get() + 1));
        }
        let _alive = handle.keep_alive();
        world.run();
        assert_eq!(count.get(), 10_000);
    }

    fn t21_stop_from_a_timer_from_io_and_before_the_run(world: &World) {
        let (handle, notes) = (world.handle(), Notes::new());
        let deadline = handle.now() + ms(1);
        let timed = handle.clone();
        handle.call_at(deadline, move || timed.stop());
        handle.call_at(deadline, notes.noting("due with it"));
        let far = handle.call_later(Duration::from_secs(3600), || {});
        world.run();
        assert_eq!(notes.all(), ["due with it"]);

        let seen = notes.clone();
        let protocol = Trace::new(&Log::new()).on(Event::Data(0), move |transport| {
            transport.handle().call_soon(stopping(&transport.handle(), &seen));
            transport.handle().stop();
        });
        let (_transport, raw) = world.accept_one(protocol);
        raw.write(b"x");
        world.run();
        assert_eq!(notes.all(), ["due with it", "stops"]);

        handle.stop();
        handle.call_soon(notes.noting("runs all the same"));
        world.run();
        assert_eq!(notes.all()[2..], ["next batch", "runs all the same"]);

        let waited = handle.call_later(Duration::from_secs(3600), notes.noting("it waited"));
        handle.stop();
        world.run();
        assert!(waited.cancel(), "a loop that is to stop does not wait");
        assert!(far.cancel());
    }

    fn t22_an_event_collected_before_a_stop_is_delivered_once(world: &World) {
        let logs = [Log::new(), Log::new(), Log::new()];
        let ends: Vec<_> = logs
            .iter()
            .map(|log| {
                let stops = |transport: &Transport| transport.handle().stop();
                world.accept_one(Trace::new(log).on(Event::Data(0), stops))
            })
            .collect();
        world.settle();
        for (_, raw) in &ends {
            raw.write(b"x");
        }
        // Every run is stopped by the first byte it delivers, so three are enough; what more there is, is a repetition.
        for _ in 0..3 {
            if logs.iter().any(|log| log.received() == 0) {
                world.run();
            }
        }
        let handle = world.handle();
        for _ in 0..3 {
            let again = handle.clone();
            handle.call_soon(move || again.stop());
            world.run();
        }
        world.settle();
        for log in &logs {
            assert_eq!(log.all(), [Event::Made, Event::Data(1)]);
        }
    }

    fn t25_shutdown_runs_its_hooks_in_three_phases(world: &World) {
        let (handle, notes, log) = (world.handle(), Notes::new(), Log::new());
        let told = notes.clone();
        let protocol = Trace::new(&log).on(Event::Lost(String::new()), move |_| told.add("lost"));
        let (transport, _raw) = world.accept_one(protocol);
        for (phase, word) in [(Phase::After, "after"), (Phase::During, "during"), (Phase::Before, "before")] {
            let (notes, transport) = (notes.clone(), transport.clone());
            handle.on_shutdown(phase, move |_| {
                let live = if transport.is_closing() { "closing" } else { "alive" };
                notes.add(format!("{word}, connection {live}"));
            });
        }
        handle.on_shutdown(Phase::Before, {
            let notes = notes.clone();
            move |_| notes.add("before, added last")
        });
        handle.shutdown();
        handle.shutdown();
        notes.add("shutdown returned");
        world.run();
        let mut all = notes.all();
        // Whether the hooks of the middle run before or after the losses is left open.
        let lost = notes.place("lost");
        assert!(notes.place("before, added last") < lost && lost < notes.place("after, connection closing"));
        all.remove(lost);
        assert_eq!(all, [
            "shutdown returned",
            "before, connection alive",
            "before, added last",
            "during, connection closing",
            "after, connection closing"
        ]);
        assert_eq!((log.losses(), log.reason().as_deref()), (1, Some("Shutdown")));
    }

    fn t25_a_hook_that_takes_time_delays_the_next_phase(world: &World) {
        let (handle, notes, log) = (world.handle(), Notes::new(), Log::new());
        let (transport, raw) = world.accept_one(Trace::new(&log));
        let holds = Rc::new(RefCell::new(Vec::<Hold>::new()));
        let let_go = {
            let (notes, holds, handle) = (notes.clone(), Rc::clone(&holds), handle.clone());
            move |word: &'static str| {
                let (holds, notes) = (Rc::clone(&holds), notes.clone());
                handle.call_later(ms(3), move || {
                    notes.add(format!("{word} lets go"));
                    drop(holds.take());
                });
            }
        };
        for (phase, word) in [(Phase::Before, "before"), (Phase::During, "during"), (Phase::After, "after")] {
            let (notes, holds, let_go) = (notes.clone(), Rc::clone(&holds), let_go.clone());
            handle.on_shutdown(phase, move |hold| {
                notes.add(word);
                holds.borrow_mut().push(hold);
                if phase != Phase::Before {
                    let_go(word);
                }
            });
        }
        handle.shutdown();
        world.until(|| notes.has("before"));
        // What is alive works while the first phase lasts.
        transport.write(b"bye");
        let received = RefCell::new(Vec::new());
        world.until(|| {
            received.borrow_mut().extend(raw.read());
            *received.borrow() == b"bye"
        });
        assert!(!log.is_lost());
        let_go("before");
        world.run();
        let words = ["before", "before lets go", "during", "during lets go", "after", "after lets go"];
        assert_eq!(notes.all(), words);
        assert!(handle.is_over());
    }

    fn t25_after_a_shutdown_nothing_runs(world: &World) {
        let (handle, notes) = (world.handle(), Notes::new());
        handle.call_later(ms(10_000), notes.noting("timer"));
        handle.shutdown();
        world.run();
        handle.call_soon(notes.noting("call"));
        assert!(world.reactor().run().is_err_and(|error| error.is_over() && !error.is_nested()));
        assert!(world.reactor().turn(None).is_err_and(|error| error.is_over()));
        let listening = handle.listen("tcp://127.0.0.1:0", |_: &Addresses| Trace::new(&Log::new()));
        assert!(matches!(listening, Err(ListenError::Over)));
        assert_eq!(notes.len(), 0);
    }

    fn t25_what_is_begun_while_connections_are_lost_does_not_hold_the_end_up(world: &World) {
        let (handle, log, outcomes) = (world.handle(), Log::new(), Notes::new());
        let nobody = world.listen_raw();
        let (endpoint, seen) = (nobody.endpoint(), outcomes.clone());
        let begin = move |handle: &Handle| {
            let listening = handle.listen("tcp://127.0.0.1:0", |_: &Addresses| Trace::new(&Log::new()));
            seen.add(if matches!(listening, Err(ListenError::Over)) { "over" } else { "listens" });
            let (told, again) = (seen.clone(), seen.clone());
            handle.connect(
                endpoint.as_str(),
                move |_: &Addresses| {
                    again.add("connected");
                    Trace::new(&Log::new())
                },
                move |outcome| told.add(if matches!(outcome, Err(ConnectError::Over)) { "over" } else { "other" }),
            );
        };
        let (first, second, again) = (begin.clone(), begin, handle.clone());
        let protocol = Trace::new(&log).on(Event::Lost(String::new()), move |transport| first(&transport.handle()));
        let (_transport, _raw) = world.accept_one(protocol);
        handle.on_shutdown(Phase::During, move |_| second(&again));
        handle.shutdown();
        world.run();
        assert_eq!(outcomes.all(), ["over"; 4]);
        assert_eq!((log.losses(), world.open_sockets()), (1, 0));
    }

    fn t26_a_failing_hook_does_not_prevent_the_others(world: &World) {
        let (handle, notes) = (world.handle(), Notes::new());
        let seen = notes.clone();
        handle.on_failure(move |_| seen.add("reported"));
        for (phase, word) in [(Phase::Before, "before"), (Phase::During, "during"), (Phase::After, "after")] {
            handle.on_shutdown(phase, |_| panic!("a hook that fails"));
            let notes = notes.clone();
            handle.on_shutdown(phase, move |_| notes.add(word));
        }
        handle.shutdown();
        world.run();
        assert_eq!(notes.all(), ["reported", "before", "reported", "during", "reported", "after"]);
        assert!(handle.is_over());
    }

    fn t28_a_loop_with_nothing_alive_returns(world: &World) {
        let (handle, notes) = (world.handle(), Notes::new());
        let before = handle.stats().turns;
        world.run();
        assert!(handle.stats().turns - before <= 1);
        // Calls and timers are waited for; what they leave behind is too.
        let (again, then) = (handle.clone(), notes.noting("last"));
        handle.call_soon(move || {
            again.call_later(ms(2), then);
        });
        world.run();
        assert_eq!(notes.all(), ["last"]);
        // So is a connection, until it is lost. A signal is not.
        let signal = handle.signal(|| {});
        let log = Log::new();
        let (transport, _raw) = world.accept_one(Trace::new(&log));
        handle.call_later(ms(2), move || transport.close());
        world.run();
        assert!(log.is_lost());
        drop(signal);
    }

    fn t28_unreferenced_timers_do_not_keep_it_alive(world: &World) {
        let (handle, count) = (world.handle(), Rc::new(Cell::new(0)));
        let fire = || {
            let count = Rc::clone(&count);
            move || count.set(count.get() + 1)
        };
        let once = handle.call_later(Duration::from_secs(3600), fire());
        let every = handle.call_every(ms(1), fire());
        once.unreference();
        once.unreference();
        every.unreference();
        world.run();
        assert_eq!(handle.stats().timers, 2, "they are still set");
        // While something else keeps it alive they run.
        handle.call_later(ms(20), || {});
        world.run();
        assert!(count.get() >= 1);
        assert!(once.cancel() && every.cancel());
        world.run();
    }

    fn t28_a_repeating_timer_can_be_unreferenced_while_it_runs(world: &World) {
        let (handle, own, count) = (world.handle(), Rc::new(RefCell::new(None::<Timer>)), Rc::new(Cell::new(0)));
        let (this, counted, again) = (Rc::clone(&own), Rc::clone(&count), handle.clone());
        let timer = handle.call_every(ms(1), move || {
            counted.set(counted.get() + 1);
            if counted.get() == 3 {
                this.borrow().as_ref().expect("the timer").unreference();
            }
            // Only a timer that keeps the loop alive comes that far.
            if counted.get() == 100 {
                again.stop();
            }
        });
        *own.borrow_mut() = Some(timer.clone());
        world.run();
        assert_eq!(count.get(), 3);
        assert!(timer.cancel(), "it was still set");
    }

    fn t28_a_guard_keeps_it_alive(world: &World) {
        let (handle, notes) = (world.handle(), Notes::new());
        let (first, second) = (handle.keep_alive(), handle.keep_alive());
        drop(first);
        let seen = notes.clone();
        let timer = handle.call_later(ms(3), move || {
            seen.add("the guard goes");
            drop(second);
        });
        timer.unreference();
        world.run();
        assert_eq!(notes.all(), ["the guard goes"]);
    }
}
