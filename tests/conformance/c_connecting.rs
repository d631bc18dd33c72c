//! C: connecting.

use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{Addresses, ConnectError, Endpoint, Phase, Reactor, Transport};

use crate::conformance;
use crate::support::{Attempt, DeadEnd, DeadPorts, Event, Log, Trace, World, is_over, runs_out, skip};

fn never() -> (Log, Trace) {
    let log = Log::new();
    let protocol = Trace::new(&log);
    (log, protocol)
}

conformance! {
    fn c02_a_connect_timeout_is_a_typed_error_and_closes_the_socket(world: &World) {
        const LIMIT: Duration = Duration::from_millis(50);
        let (dead_end, (log, protocol)) = (DeadEnd::new(world), never());
        let endpoint = Endpoint::from(dead_end.address()).timeout(LIMIT);
        let (sockets, before) = (world.open_sockets(), world.handle().stats());
        let begun = world.handle().now();
        let attempt = Attempt::start(&world.handle(), &endpoint, protocol);
        world.turn();
        assert!(attempt.connecting.is_pending() || world.handle().now() - begun >= LIMIT);

        let outcome = attempt.outcome(world);
        let Err(ConnectError::TimedOut { target, after }) = outcome else { panic!("{outcome:?}") };
        assert_eq!((target, after), (endpoint.to_string(), LIMIT));
        assert!(world.handle().now() - begun >= LIMIT, "not early");
        let stats = world.handle().stats();
        assert_eq!(world.open_sockets(), sockets);
        assert_eq!(stats.system_calls.closes, before.system_calls.closes + world.calls(1));
        assert_eq!(stats.timers, 0);
        assert!(log.all().is_empty());
        assert!(runs_out(world));
    }

    fn c02_a_connection_in_time_leaves_no_timer(world: &World) {
        let (listener, log) = (world.listen_raw(), Log::new());
        let endpoint = Endpoint::from(listener.address()).timeout(Duration::from_secs(3600));
        let attempt = Attempt::start(&world.handle(), endpoint, Trace::new(&log));
        assert_eq!(world.handle().stats().timers, 1);
        world.until(|| attempt.told() == 1);
        assert_eq!(world.handle().stats().timers, 0);
        assert!(attempt.outcome(world).is_ok());
        assert_eq!(log.all(), [Event::Made]);
    }

    fn c03_cancelling_gives_one_cancelled_result_and_leaves_nothing(world: &World) {
        let (dead_end, (log, protocol)) = (DeadEnd::new(world), never());
        let endpoint = Endpoint::from(dead_end.address()).timeout(Duration::from_secs(3600));
        let (sockets, before) = (world.open_sockets(), world.handle().stats());
        let attempt = Attempt::start(&world.handle(), &endpoint, protocol);
        world.settle();
        assert!(attempt.connecting.is_pending());
        assert!(attempt.connecting.cancel());
        assert_eq!(attempt.told(), 0, "nothing is called on the stack of a call");
        assert!(!attempt.connecting.cancel() && !attempt.connecting.is_pending());

        let outcome = attempt.outcome(world);
        let Err(ConnectError::Cancelled { target }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(target, endpoint.to_string());
        let stats = world.handle().stats();
        assert_eq!(stats.system_calls.closes, before.system_calls.closes + world.calls(1));
        assert_eq!((stats.timers, world.open_sockets()), (0, sockets));
        if world.is_memory() {
            world.advance(Duration::from_secs(7200));
            assert_eq!(attempt.told(), 0, "the deadline of an attempt that was given up means nothing");
        }
        assert!(log.all().is_empty());
        assert!(runs_out(world));
    }

    fn c03_a_connect_that_succeeded_unheard_can_still_be_cancelled(world: &World) {
        if world.is_completion() {
            return skip("a ring begins a connect in a wait, and tells in the same one that it succeeded");
        }
        let (listener, (log, protocol)) = (world.listen_raw(), never());
        let attempt = Attempt::start(&world.handle(), listener.endpoint(), protocol);
        let far = std::iter::repeat_with(|| listener.accept()).flatten().next().expect("a far end");
        assert!(attempt.connecting.cancel());
        let outcome = attempt.outcome(world);
        assert!(matches!(outcome, Err(ConnectError::Cancelled { .. })), "{outcome:?}");
        world.until(|| is_over(&far));
        assert!(log.all().is_empty());
        assert!(runs_out(world));
    }

    fn c04_closing_in_connection_made_resolves_the_connect(world: &World) {
        type Act = fn(&Transport);
        let acts: [(Act, &str); 3] = [
            (|transport| transport.close(), "Clean"),
            (|transport| transport.abort(), "Aborted"),
            (|transport| transport.fail("not today"), "Failed"),
        ];
        for (act, reason) in acts {
            let (listener, log) = (world.listen_raw(), Log::new());
            let protocol = Trace::new(&log).on(Event::Made, act);
            let outcome = Attempt::start(&world.handle(), listener.endpoint(), protocol).outcome(world);
            match outcome {
                Err(ConnectError::Lost(lost)) => {
                    assert_eq!(crate::support::reason_name(&lost), reason);
                }
                other => panic!("{other:?}"),
            }
            world.until(|| log.is_lost());
            assert_eq!(log.all(), [Event::Made, Event::Lost(reason.into())]);
        }
        assert!(runs_out(world));
    }

    fn c04_a_shutdown_ends_what_is_connecting(world: &World) {
        let (dead_end, listener) = (DeadEnd::new(world), world.listen_raw());
        let ((log, hanging), (unheard_log, unheard)) = (never(), never());
        let hanging = Attempt::start(&world.handle(), dead_end.endpoint(), hanging);
        world.settle();
        // This one has succeeded, and nobody was told.
        let unheard = Attempt::start(&world.handle(), listener.endpoint(), unheard);
        world.handle().shutdown();
        assert_eq!(hanging.told(), 0);
        world.run();
        assert!(matches!(hanging.outcomes()[..], [Err(ConnectError::Over)]));
        // It was either given up in time, or lost at once.
        assert_eq!(unheard.told(), 1);
        assert_eq!(unheard_log.count(&Event::Made), unheard_log.losses());
        assert_eq!((hanging.closures_left(), unheard.closures_left()), (0, 0));
        assert_eq!((log.all().len(), world.open_sockets()), (0, 0));
        assert_eq!(world.handle().stats().timers, 0);
    }

    fn c04_whoever_connects_again_during_a_shutdown_does_not_keep_it_from_ending(world: &World) {
        let (log, again, hook) = (Log::new(), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let dead_end = Rc::new(DeadEnd::new(world));
        let (count, target, guard) = (Rc::clone(&again), Rc::clone(&dead_end), Rc::new(Cell::new(0)));
        // A client that connects anew whenever its connection is lost.
        let protocol = Trace::new(&log).with(move |transport, event, _| {
            if matches!(event, Event::Lost(_)) {
                let count = Rc::clone(&count);
                let factory = |_: &Addresses| Trace::new(&Log::new());
                transport.handle().connect(target.endpoint(), factory, move |outcome| {
                    assert!(matches!(outcome, Err(ConnectError::Over)), "{outcome:?}");
                    count.set(count.get() + 1);
                });
            }
        });
        let (_, _raw) = world.accept_one(protocol);
        for phase in [Phase::During, Phase::After] {
            let (handle, hook) = (world.handle(), Rc::clone(&hook));
            world.handle().on_shutdown(phase, move |_| {
                let refused = handle.listen("tcp://127.0.0.1:0", |_: &Addresses| None::<Trace>);
                assert!(matches!(refused, Err(marline_reactor::ListenError::Over)), "{refused:?}");
                hook.set(hook.get() + 1);
            });
        }
        world.handle().shutdown();
        let turns = Rc::clone(&guard);
        world.until(|| {
            turns.set(turns.get() + 1);
            assert!(turns.get() < 1000, "the shutdown does not end");
            world.handle().is_over()
        });
        assert_eq!((again.get(), hook.get(), log.losses()), (1, 2, 1));
        assert_eq!(world.open_sockets(), 0);
    }

    fn c06_when_every_attempt_fails_the_error_lists_all_causes(world: &World) {
        world.with_names(|world, names| {
            let (log, protocol) = never();
            let ports = DeadPorts::new(world);
            names.add("nobody.home", ports.all());
            let (sockets, endpoint) = (world.open_sockets(), "tcp://nobody.home:80?timeout=3600");
            let outcome = Attempt::start(&world.handle(), endpoint, protocol).outcome(world);
            let text = outcome.as_ref().expect_err("nobody listens").to_string();
            let Err(ConnectError::Failed { target, attempts, look_up: None }) = outcome else { panic!("{outcome:?}") };
            assert_eq!(target, endpoint);
            let tried: Vec<_> = attempts.iter().map(|(address, _)| address.as_inet().expect("TCP")).collect();
            assert_eq!(tried, ports.all(), "every address, in order");
            for (address, cause) in &attempts {
                assert_eq!(cause.kind(), ErrorKind::ConnectionRefused);
                assert!(text.contains(&format!("{address}: {cause}")), "{text}");
            }
            assert_eq!(world.handle().stats().timers, 0);
            assert_eq!(world.open_sockets(), sockets);
            assert!(log.all().is_empty());
            assert!(runs_out(world));
        });
    }

    fn c06_an_address_that_works_hides_the_causes_before_it(world: &World) {
        world.with_names(|world, names| {
            let (listener, log) = (world.listen_raw(), Log::new());
            let ports = DeadPorts::new(world);
            let [first, second, last] = ports.all();
            names.add("somebody.home", [first, second, listener.address(), last]);
            let protocol = Trace::new(&log);
            let attempt = Attempt::start(&world.handle(), "tcp://somebody.home:80?timeout=3600", protocol);
            let connects = world.handle().stats().system_calls.connects;
            let transport = attempt.outcome(world).expect("a connection");
            let peer = transport.peer_address().and_then(|address| address.as_inet());
            assert_eq!(peer, Some(listener.address()));
            // The first was tried at once; the last never is.
            assert_eq!(world.handle().stats().system_calls.connects, connects + world.calls(2));
            assert_eq!((log.all(), world.handle().stats().timers), (vec![Event::Made], 0));
        });
    }

    fn c06_a_timeout_covers_all_attempts_together(world: &World) {
        world.with_names(|world, names| {
            let (dead_end, (_, protocol)) = (DeadEnd::new(world), never());
            let ports = DeadPorts::new(world);
            let [first, second, _] = ports.all();
            names.add("half.dead", [first, dead_end.address(), second]);
            let outcome = Attempt::start(&world.handle(), "tcp://half.dead:80?timeout=0.05", protocol);
            let outcome = outcome.outcome(world);
            assert!(matches!(outcome, Err(ConnectError::TimedOut { .. })), "{outcome:?}");
            assert_eq!(world.handle().stats().timers, 0);
            assert!(runs_out(world));
        });
    }

    fn c10_a_failed_connect_may_stop_the_loop_from_its_own_callback(world: &World) {
        let (_alive, ports) = (world.handle().keep_alive(), DeadPorts::new(world));
        for round in 1..=2 {
            let (failed, handle) = (Rc::new(Cell::new(0)), world.handle());
            let (count, stop) = (Rc::clone(&failed), handle.clone());
            handle.connect(
                ports.all()[0],
                |_: &Addresses| Trace::new(&Log::new()),
                move |outcome| {
                    assert!(matches!(outcome, Err(ConnectError::Failed { .. })), "{outcome:?}");
                    count.set(count.get() + 1);
                    stop.stop();
                },
            );
            // The guard keeps the loop alive, so only the stop ends this run; and the loop can run again.
            world.run();
            assert_eq!(failed.get(), 1, "in round {round}");
        }
        assert!(!world.handle().is_over());
    }

    fn c10_a_connect_that_fails_before_it_begins_answers_from_the_loop(world: &World) {
        let (log, protocol) = never();
        let attempt = Attempt::start(&world.handle(), "nonsense", protocol);
        assert_eq!(attempt.told(), 0);
        assert!(!attempt.connecting.is_pending());
        assert!(matches!(attempt.outcome(world), Err(ConnectError::Endpoint(_))));
        assert!(log.all().is_empty());
    }
}

/// Drops a loop in the middle of a connect to an address that never answers.
fn drop_while_connecting(reactor: Reactor, dead_end: &DeadEnd) {
    let (log, protocol) = never();
    let endpoint = Endpoint::from(dead_end.address()).timeout(Duration::from_secs(3600));
    let attempt = Attempt::start(&reactor.handle(), endpoint, protocol);
    reactor.turn(Some(Duration::ZERO)).expect("a turn");
    assert!(attempt.connecting.is_pending());
    let handle = reactor.handle();
    drop(reactor);
    assert_eq!(attempt.closures_left(), 0, "what the attempt held is dropped");
    assert_eq!(attempt.told(), 0, "nobody is called back");
    assert!(!attempt.connecting.is_pending() && !attempt.connecting.cancel());
    // What comes after the end is refused, and not called back either.
    let late = Attempt::start(&handle, dead_end.endpoint(), Trace::new(&log));
    assert_eq!((late.told(), late.closures_left()), (0, 0));
    assert!(!late.connecting.is_pending() && log.all().is_empty());
}

fn c04_a_loop_may_be_dropped_while_it_connects(backend: &str) {
    World::on_readiness(|world| {
        let dead_end = DeadEnd::new(world);
        drop_while_connecting(marline_tests::backends::reactor(backend), &dead_end);
    });
}

marline_tests::on_sockets! {
    c04_a_loop_may_be_dropped_while_it_connects
}

#[test]
fn c04_a_loop_may_be_dropped_while_it_connects_on_memory() {
    World::on_seeded_memory(|world| {
        let (dead_end, memory) = (DeadEnd::new(world), world.as_memory().expect("memory"));
        let backend = marline_reactor::backend::memory::Memory::new(memory.network(), memory.clock());
        let sockets = memory.network().sockets();
        drop_while_connecting(Reactor::with_backend(backend).expect("a loop"), &dead_end);
        assert_eq!(memory.network().sockets(), sockets);
    });
}
