//! C: names, looked up by a resolver of the program's, and local addresses.

use std::cell::{Cell, RefCell};
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{
    Answer, Builder, ConnectError, Family, Handle, LookupError, Query, Reactor, Resolve, SystemResolver,
};
use marline_tasks::{Stream, sleep};

use crate::conformance;
use crate::support::{Attempt, DeadPorts, Event, Log, Script, Trace, World, address_of, failures, runs_out};

const NAME: &str = "tcp://some.name:80";

fn connect(world: &World, endpoint: &str) -> Attempt {
    Attempt::start(&world.handle(), endpoint, Trace::new(&Log::new()))
}

fn v6(port: u16) -> SocketAddr {
    ([0, 0, 0, 0, 0, 0, 0, 1], port).into()
}

/// Nothing is left of an attempt that made no connection.
fn nothing_is_left(world: &World, sockets: usize) {
    assert_eq!((world.handle().stats().timers, world.open_sockets()), (0, sockets));
    assert!(runs_out(world));
}

conformance! {
    fn c07_no_address_of_either_family_is_a_lookup_error(world: &World) {
        let (script, sockets) = (Script::of(world), world.open_sockets());
        for order in [[Family::V4, Family::V6], [Family::V6, Family::V4]] {
            let attempt = connect(world, NAME);
            let answer = script.answer(world);
            answer.found(order[0], []);
            world.settle();
            assert!(attempt.connecting.is_pending() && answer.is_wanted());
            answer.found(order[1], []);
            assert!(!answer.is_wanted());
            let outcome = attempt.outcome(world);
            let Err(ConnectError::Lookup { host, source: LookupError::NoAddress }) = outcome else {
                panic!("{outcome:?}")
            };
            assert_eq!(host, "some.name");
        }
        let attempt = connect(world, NAME);
        script.answer(world).all([]);
        let outcome = attempt.outcome(world);
        assert!(matches!(outcome, Err(ConnectError::Lookup { source: LookupError::NoAddress, .. })), "{outcome:?}");
        assert_eq!(script.cancelled(), 0, "every question was answered");
        nothing_is_left(world, sockets);
    }

    fn c07_a_family_without_an_address_leaves_it_to_the_other(world: &World) {
        let (script, listener) = (Script::of(world), world.listen_raw());
        let failed: fn(&Answer) = |answer| answer.failed(Family::V6, Error::from(ErrorKind::TimedOut));
        let empty: fn(&Answer) = |answer| answer.found(Family::V6, []);
        for without in [failed, empty] {
            let attempt = connect(world, NAME);
            let answer = script.answer(world);
            without(&answer);
            answer.found(Family::V4, [listener.address()]);
            assert!(attempt.outcome(world).is_ok());
            assert_eq!(world.handle().stats().timers, 0);
        }
    }

    fn c07_a_question_that_is_dropped_is_an_error(world: &World) {
        let (script, sockets, ports) = (Script::of(world), world.open_sockets(), DeadPorts::new(world));
        let attempt = connect(world, NAME);
        drop(script.answer(world));
        assert_eq!(attempt.told(), 0, "nothing is called on the stack of a drop");
        let outcome = attempt.outcome(world);
        assert!(matches!(outcome, Err(ConnectError::Lookup { source: LookupError::Abandoned, .. })), "{outcome:?}");

        // Half an answer is one.
        let attempt = connect(world, NAME);
        let answer = script.answer(world);
        answer.found(Family::V4, [ports.all()[0]]);
        drop(answer);
        let outcome = attempt.outcome(world);
        let text = outcome.as_ref().expect_err("nobody listens").to_string();
        let Err(ConnectError::Failed { attempts, look_up: Some(LookupError::Abandoned), .. }) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(attempts.len(), 1);
        assert!(text.contains("abandoned"), "{text}");
        nothing_is_left(world, sockets);
    }

    fn a_resolver_s_error_is_passed_on(world: &World) {
        let (script, sockets) = (Script::of(world), world.open_sockets());
        let attempt = connect(world, NAME);
        script.answer(world).fail(Error::new(ErrorKind::PermissionDenied, "not that one"));
        let outcome = attempt.outcome(world);
        let Err(error @ ConnectError::Lookup { source: LookupError::Failed(_), .. }) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(error.to_string(), "cannot look up \"some.name\": not that one");
        assert_eq!(Error::from(error).kind(), ErrorKind::PermissionDenied);

        // Of two, the first is told.
        let attempt = connect(world, NAME);
        let answer = script.answer(world);
        answer.failed(Family::V4, Error::other("first"));
        answer.failed(Family::V6, Error::other("second"));
        let outcome = attempt.outcome(world).expect_err("no address");
        assert_eq!(outcome.to_string(), "cannot look up \"some.name\": first");
        nothing_is_left(world, sockets);
    }

    fn c06_the_causes_are_listed_with_that_of_the_look_up(world: &World) {
        let (script, sockets, ports) = (Script::of(world), world.open_sockets(), DeadPorts::new(world));
        let attempt = connect(world, NAME);
        let answer = script.answer(world);
        answer.failed(Family::V6, Error::new(ErrorKind::TimedOut, "no server answers"));
        answer.found(Family::V4, ports.all());
        let outcome = attempt.outcome(world);
        let text = outcome.as_ref().expect_err("nobody listens").to_string();
        let Err(ConnectError::Failed { attempts, look_up: Some(error), .. }) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!((attempts.len(), error.kind()), (3, ErrorKind::TimedOut));
        assert!(text.ends_with("no server answers"), "{text}");
        nothing_is_left(world, sockets);
    }

    fn a_resolver_is_called_from_the_loop(world: &World) {
        let (script, listener) = (Script::of(world), world.listen_raw());
        let attempt = connect(world, "tcp://Some.Name:8080");
        assert_eq!(script.waiting(), 0, "not on the stack of the call");
        let (query, answer) = script.next(world);
        assert_eq!((query.host(), query.port()), ("Some.Name", 8080));
        answer.all([listener.address()]);
        let transport = attempt.outcome(world).expect("a connection");
        assert_eq!(transport.peer_address().and_then(|peer| peer.as_inet()), Some(listener.address()));

        // What is over before it was asked is not asked.
        let attempt = connect(world, NAME);
        assert!(attempt.connecting.cancel());
        assert!(matches!(attempt.outcome(world), Err(ConnectError::Cancelled { .. })));
        assert_eq!((script.waiting(), script.cancelled()), (0, 0));
    }

    fn c11_ip_literals_never_touch_a_resolver_of_the_program_s(world: &World) {
        let (script, listener) = (Script::of(world), world.listen_raw());
        assert!(connect(world, &listener.endpoint()).outcome(world).is_ok());
        assert!(connect(world, "tcp://[::1]:1?timeout=5").outcome(world).is_err());
        assert_eq!(script.waiting(), 0);
    }

    fn c03_a_resolver_is_told_that_nobody_waits(world: &World) {
        let (script, sockets) = (Script::of(world), world.open_sockets());
        let attempt = connect(world, "tcp://some.name:80?timeout=3600");
        let answer = script.answer(world);
        assert!(attempt.connecting.cancel());
        assert_eq!(script.cancelled(), 0, "nothing is called on the stack of a call");
        assert!(!answer.is_wanted());
        assert!(matches!(attempt.outcome(world), Err(ConnectError::Cancelled { .. })));
        world.until(|| script.cancelled() == 1);
        // An answer that comes later concerns nobody, and whoever asks late to be told is told.
        let late = Rc::new(Cell::new(false));
        let told = Rc::clone(&late);
        answer.on_cancel(move || told.set(true));
        answer.found(Family::V6, [v6(1)]);
        answer.all([v6(1)]);
        world.until(|| late.get());
        assert_eq!((attempt.told(), script.cancelled()), (0, 1));
        nothing_is_left(world, sockets);
    }

    fn c02_a_time_out_during_a_look_up_is_told_to_the_resolver(world: &World) {
        let (script, sockets) = (Script::of(world), world.open_sockets());
        let attempt = connect(world, "tcp://some.name:80?timeout=0.02");
        let answer = script.answer(world);
        answer.found(Family::V6, []);
        assert!(matches!(attempt.outcome(world), Err(ConnectError::TimedOut { .. })));
        world.until(|| script.cancelled() == 1);
        assert!(!answer.is_wanted());
        nothing_is_left(world, sockets);
    }

    fn c09_addresses_of_another_family_than_the_local_one_are_skipped(world: &World) {
        world.with_names(|world, names| {
            let listener = world.listen_raw();
            let port = listener.address().port();
            names.add("both.test", [v6(port), listener.address(), v6(port)]);
            let connects = world.handle().stats().system_calls.connects;
            let attempt = connect(world, "tcp://both.test:80?bind=127.0.0.1:0");
            let transport = attempt.outcome(world).expect("a connection");
            let (local, peer) = (transport.local_address(), transport.peer_address());
            assert_eq!(peer.and_then(|peer| peer.as_inet()), Some(listener.address()));
            assert!(local.and_then(|local| local.as_inet()).is_some_and(|local| local.is_ipv4()));
            assert_eq!(world.handle().stats().system_calls.connects, connects + world.calls(1));
            assert_eq!(world.handle().stats().timers, 0);
        });
    }

    fn c09_if_no_address_is_of_the_family_of_the_local_one_the_error_says_so(world: &World) {
        world.with_names(|world, names| {
            names.add("six.test", [v6(1), v6(2)]);
            let sockets = world.open_sockets();
            for target in ["six.test:80", "[::1]:80"] {
                let endpoint = format!("tcp://{target}?bind=127.0.0.1:0");
                let outcome = connect(world, &endpoint).outcome(world);
                let text = outcome.as_ref().expect_err("no address").to_string();
                let Err(ConnectError::WrongFamily { target, local }) = outcome else { panic!("{outcome:?}") };
                assert_eq!((target, local), (endpoint.clone(), SocketAddr::from(([127, 0, 0, 1], 0))));
                assert!(text.contains("from 127.0.0.1:0") && text.contains("same family"), "{text}");
            }
            assert_eq!(world.handle().stats().system_calls.connects, 0);
            nothing_is_left(world, sockets);
        });
    }

    fn c09_the_answer_for_a_family_that_cannot_be_used_is_not_waited_for(world: &World) {
        let (script, listener) = (Script::of(world), world.listen_raw());
        let from_v4 = "tcp://some.name:80?bind=127.0.0.1:0";
        let attempt = connect(world, from_v4);
        script.answer(world).found(Family::V4, []);
        let outcome = attempt.outcome(world);
        assert!(matches!(outcome, Err(ConnectError::WrongFamily { .. })), "{outcome:?}");
        world.until(|| script.cancelled() == 1);

        let attempt = connect(world, from_v4);
        let answer = script.answer(world);
        answer.found(Family::V4, [listener.address()]);
        assert_eq!(world.handle().stats().timers, 0, "it is tried at once");
        assert!(attempt.outcome(world).is_ok());
        world.until(|| script.cancelled() == 2);

        let attempt = connect(world, from_v4);
        let (answer, ports) = (script.answer(world), DeadPorts::new(world));
        answer.found(Family::V4, [ports.all()[0]]);
        drop(answer);
        let outcome = attempt.outcome(world);
        assert!(matches!(outcome, Err(ConnectError::Failed { look_up: None, .. })), "{outcome:?}");

        // The error of a family that would not have been used is none.
        let attempt = connect(world, from_v4);
        let answer = script.answer(world);
        answer.failed(Family::V6, Error::other("irrelevant"));
        answer.found(Family::V4, []);
        let outcome = attempt.outcome(world);
        assert!(matches!(outcome, Err(ConnectError::Lookup { source: LookupError::NoAddress, .. })), "{outcome:?}");
    }

    fn a_resolver_that_panics_abandons_the_question_and_is_asked_again(world: &World) {
        let (reports, listener) = (failures(&world.handle()), world.listen_raw());
        let (asked, address) = (Cell::new(0), listener.address());
        world.handle().set_resolver(move |_: &Handle, _: Query, answer: Answer| {
            asked.set(asked.get() + 1);
            assert!(asked.get() > 1, "the first time");
            answer.all([address]);
        });
        let outcome = connect(world, NAME).outcome(world);
        assert!(matches!(outcome, Err(ConnectError::Lookup { source: LookupError::Abandoned, .. })), "{outcome:?}");
        assert_eq!(reports.borrow().len(), 1);
        assert!(reports.borrow()[0].contains("the first time"), "{reports:?}");
        assert!(connect(world, NAME).outcome(world).is_ok());
    }

    fn a_resolver_may_put_another_in_its_place(world: &World) {
        let (script, dropped) = (Script::default(), Rc::new(()));
        let (next, held) = (script.clone(), Rc::clone(&dropped));
        world.handle().set_resolver(move |handle: &Handle, _: Query, answer: Answer| {
            let _ = &held;
            handle.set_resolver(next.clone());
            // A connect in here asks the new one.
            Attempt::start(handle, "tcp://second.name:80", Trace::new(&Log::new()));
            answer.fail(Error::other("ask the next"));
        });
        assert!(connect(world, "tcp://first.name:80").outcome(world).is_err());
        let (query, _) = script.next(world);
        assert_eq!((query.host(), script.waiting()), ("second.name", 0));
        assert_eq!(Rc::strong_count(&dropped), 1);
    }

    fn a_resolver_may_leave_names_to_the_system(world: &World) {
        let server = world.listen(|_| Trace::new(&Log::new()));
        world.handle().set_resolver(|handle: &Handle, query: Query, answer: Answer| {
            assert_eq!(query.host(), "localhost");
            SystemResolver.resolve(handle, query, answer);
        });
        let endpoint = format!("tcp://localhost:{}", address_of(&server).port());
        assert!(connect(world, &endpoint).outcome(world).is_ok());
        // A question that a thread has, or waits for, can be given up.
        let attempt = connect(world, &endpoint);
        world.turn();
        if attempt.connecting.cancel() {
            assert!(matches!(attempt.outcome(world), Err(ConnectError::Cancelled { .. })));
        }
    }

    fn a_resolver_may_be_a_task_and_answer_after_a_while(world: &World) {
        let listener = world.listen_raw();
        let address = listener.address();
        world.handle().set_resolver(move |handle: &Handle, _: Query, answer: Answer| {
            marline_tasks::spawn_on(handle, async move {
                sleep(Duration::from_millis(5)).await;
                answer.all([address]);
            });
        });
        let stream = world.finish(async { Stream::connect(NAME).await }).expect("a stream");
        drop(stream);

        // Dropping the future cancels the look-up.
        let script = Script::of(world);
        let task = world.spawn(async { Stream::connect(NAME).await });
        let answer = script.answer(world);
        task.abort();
        world.until(|| script.cancelled() == 1);
        assert!(!answer.is_wanted());
    }

    fn c04_a_shutdown_ends_a_look_up(world: &World) {
        let script = Script::of(world);
        let attempt = connect(world, NAME);
        let answer = script.answer(world);
        world.handle().shutdown();
        world.run();
        assert!(matches!(attempt.outcomes()[..], [Err(ConnectError::Over)]));
        assert_eq!((script.cancelled(), answer.is_wanted()), (1, false));
        answer.all([v6(1)]);
        assert_eq!((attempt.told(), attempt.closures_left()), (1, 0));
    }
}

/// Drops a loop with a question that is open, and another that was not asked yet.
fn drop_while_asking(world: &World, reactor: Reactor) {
    let script = Script::default();
    reactor.handle().set_resolver(script.clone());
    let attempt = Attempt::start(&reactor.handle(), NAME, Trace::new(&Log::new()));
    while script.waiting() == 0 {
        reactor.turn(Some(Duration::ZERO)).expect("a turn");
    }
    let unasked = Attempt::start(&reactor.handle(), NAME, Trace::new(&Log::new()));
    let (held, handle) = (Rc::new(RefCell::new(())), reactor.handle());
    let answer = script.answer(world);
    let in_cancel = Rc::clone(&held);
    answer.on_cancel(move || drop(in_cancel.borrow_mut()));
    drop(reactor);
    assert_eq!((attempt.told(), attempt.closures_left()), (0, 0));
    assert_eq!((unasked.told(), unasked.closures_left()), (0, 0));
    assert_eq!((Rc::strong_count(&held), script.cancelled(), script.waiting()), (1, 0, 0));
    // Afterwards nothing is accepted or kept, and nobody is called.
    assert!(!answer.is_wanted());
    let in_cancel = Rc::clone(&held);
    answer.on_cancel(move || drop(in_cancel.borrow_mut()));
    handle.set_resolver({
        let held = Rc::clone(&held);
        move |_: &Handle, _: Query, _: Answer| drop(held.borrow_mut())
    });
    assert_eq!(Rc::strong_count(&held), 1);
}

fn c04_a_loop_may_be_dropped_with_a_question_open(backend: &str) {
    World::on_memory(|world| drop_while_asking(world, marline_tests::backends::reactor(backend)));
}

marline_tests::on_sockets! {
    c04_a_loop_may_be_dropped_with_a_question_open
}

#[test]
fn a_resolver_can_be_given_to_the_builder() {
    for builder in marline_tests::backends::builders() {
        let told = Rc::new(RefCell::new(None));
        let (seen, log) = (Rc::clone(&told), Log::new());
        let reactor = builder.resolver(|_: &Handle, _: Query, answer: Answer| answer.all([])).build();
        let reactor = reactor.expect("a loop");
        let protocol = Trace::new(&log);
        reactor.handle().connect(NAME, move |_| protocol, move |outcome| *seen.borrow_mut() = Some(outcome));
        reactor.run().expect("a run");
        assert!(matches!(*told.borrow(), Some(Err(ConnectError::Lookup { .. }))));
        assert_eq!(log.count(&Event::Made), 0);
    }
    // A loop keeps none that was replaced before it was built.
    let held = Rc::new(());
    let first = Rc::clone(&held);
    let builder = Builder::new().resolver(move |_: &Handle, _: Query, _: Answer| _ = &first);
    drop(builder.resolver(SystemResolver).build().expect("a loop"));
    assert_eq!(Rc::strong_count(&held), 1);
}
