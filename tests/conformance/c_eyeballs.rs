//! C: several addresses of one name, raced as RFC 8305 ("happy eyeballs") says. What is said of time is tried on memory, where
//! a test moves the clock.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::testing::{MemoryReactor, PeerListener};
use marline_reactor::{Builder, ConnectError, Family, Reactor, Transport};

use crate::conformance;
use crate::support::{Attempt, DeadEnd, DeadPorts, Event, Log, Script, Trace, World, runs_out, skip};

const NAME: &str = "tcp://some.name:80";
const TIME: &str = "time is real there";

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn connect(world: &World, endpoint: &str) -> Attempt {
    Attempt::start(&world.handle(), endpoint, Trace::new(&Log::new()))
}

fn v4(number: u8) -> SocketAddr {
    ([10, 0, 0, number], 80).into()
}

fn v6(number: u16) -> SocketAddr {
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, number], 80).into()
}

fn peer(transport: &Transport) -> Option<SocketAddr> {
    transport.peer_address()?.as_inet()
}

/// How many addresses were begun, on memory.
fn begun(world: &World) -> u64 {
    world.handle().stats().system_calls.connects
}

fn listen(memory: &MemoryReactor, address: SocketAddr) -> PeerListener {
    memory.network().listen(address).expect("a scripted listener")
}

/// The attempt is over: `others` sockets are left, and no timer.
#[track_caller]
fn nothing_but(world: &World, others: usize) {
    world.settle();
    assert_eq!((world.handle().stats().timers, world.open_sockets()), (0, others));
}

/// The addresses that were tried, in the order in which they were begun.
#[track_caller]
fn tried(attempt: &Attempt, world: &World) -> Vec<SocketAddr> {
    let outcome = attempt.outcome(world);
    let Err(ConnectError::Failed { attempts, .. }) = outcome else { panic!("{outcome:?}") };
    attempts.iter().map(|(address, _)| address.as_inet().expect("TCP")).collect()
}

conformance! {
    fn happy_eyeballs_the_families_take_turns_and_ipv6_begins(world: &World) {
        world.with_names(|world, names| {
            let [a, b, c] = DeadPorts::new(world).all();
            let [x, y] = [a, b].map(|address| SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], address.port())));
            names.add("some.name", [a, b, c, x, y]);
            let sockets = world.open_sockets();
            assert_eq!(tried(&connect(world, NAME), world), [x, a, y, b, c]);
            nothing_but(world, sockets);
        });
    }

    fn happy_eyeballs_an_answer_that_is_sorted_begins_with_its_first_address(world: &World) {
        let script = Script::of(world);
        let [a, b, _] = DeadPorts::new(world).all();
        let x = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], a.port()));
        let attempt = connect(world, NAME);
        script.answer(world).sorted([a, b, x]);
        assert_eq!(tried(&attempt, world), [a, x, b]);
    }

    fn happy_eyeballs_the_first_success_wins_and_the_others_are_closed(world: &World) {
        world.with_names(|world, names| {
            let (dead_end, listener, log) = (DeadEnd::new(world), world.listen_raw(), Log::new());
            names.add("some.name", [dead_end.address(), dead_end.address(), listener.address()]);
            let sockets = world.open_sockets();
            let closes = world.handle().stats().system_calls.closes;
            let endpoint = "tcp://some.name:80?attempt_delay=0.01&timeout=3600";
            let attempt = Attempt::start(&world.handle(), endpoint, Trace::new(&log));
            let transport = attempt.outcome(world).expect("a connection");
            assert_eq!(peer(&transport), Some(listener.address()));
            world.settle();
            assert_eq!(world.handle().stats().system_calls.closes, closes + world.calls(2));
            assert_eq!(log.all(), [Event::Made]);
            nothing_but(world, sockets + 1);
            transport.abort();
            world.until(|| log.is_lost());
            nothing_but(world, sockets);
            assert!(runs_out(world));
        });
    }

    fn happy_eyeballs_cancelling_cancels_all(world: &World) {
        world.with_names(|world, names| {
            let dead_end = DeadEnd::new(world);
            names.add("some.name", [dead_end.address(); 3]);
            let sockets = world.open_sockets();
            let closes = world.handle().stats().system_calls.closes;
            let attempt = connect(world, "tcp://some.name:80?attempt_delay=0.01&timeout=3600");
            let all = format!("trying {0}, {0}, {0}; 0 addresses left", marline_reactor::Address::from(dead_end.address()));
            world.until(|| world.handle().dump().contains(&all));
            assert!(attempt.connecting.cancel());
            assert!(matches!(attempt.outcome(world), Err(ConnectError::Cancelled { .. })));
            nothing_but(world, sockets);
            assert_eq!(world.handle().stats().system_calls.closes, closes + world.calls(3));
            assert!(runs_out(world));
        });
    }

    fn happy_eyeballs_the_timeout_is_that_of_all_addresses(world: &World) {
        world.with_names(|world, names| {
            let dead_end = DeadEnd::new(world);
            names.add("some.name", [dead_end.address(); 20]);
            let sockets = world.open_sockets();
            let attempt = connect(world, "tcp://some.name:80?attempt_delay=0.01&timeout=0.05");
            assert!(matches!(attempt.outcome(world), Err(ConnectError::TimedOut { .. })));
            nothing_but(world, sockets);
            assert!(runs_out(world));
        });
    }

    fn happy_eyeballs_a_shutdown_ends_all(world: &World) {
        world.with_names(|world, names| {
            let dead_end = DeadEnd::new(world);
            names.add("some.name", [dead_end.address(); 3]);
            let attempt = connect(world, "tcp://some.name:80?attempt_delay=0.01");
            world.until(|| world.handle().dump().contains("; 0 addresses left"));
            world.handle().shutdown();
            world.run();
            assert!(matches!(attempt.outcomes()[..], [Err(ConnectError::Over)]));
            assert_eq!((world.handle().stats().timers, world.open_sockets()), (0, 0));
        });
    }

    fn happy_eyeballs_a_factory_that_refuses_leaves_nothing_of_the_race(world: &World) {
        world.with_names(|world, names| {
            let (dead_end, listener) = (DeadEnd::new(world), world.listen_raw());
            names.add("some.name", [dead_end.address(), listener.address()]);
            let (sockets, told) = (world.open_sockets(), Rc::new(std::cell::Cell::new(false)));
            let seen = Rc::clone(&told);
            let endpoint = "tcp://some.name:80?attempt_delay=0.01";
            world.handle().connect(endpoint, |_: &_| None::<Trace>, move |outcome| {
                assert!(matches!(outcome, Err(ConnectError::Refused { .. })), "{outcome:?}");
                seen.set(true);
            });
            world.until(|| told.get());
            nothing_but(world, sockets);
            assert!(runs_out(world));
        });
    }

    fn happy_eyeballs_the_next_address_begins_after_the_attempt_delay(world: &World) {
        let Some(memory) = world.as_memory() else { return skip(TIME) };
        for (endpoint, delay) in [(NAME, 250), ("tcp://some.name:80?attempt_delay=0.5", 500)] {
            let (script, before) = (Script::of(world), begun(world));
            let addresses = [v6(1), v4(1), v6(2)];
            addresses.iter().for_each(|address| memory.network().ignore(*address));
            let attempt = connect(world, endpoint);
            script.answer(world).all(addresses);
            for number in 1..=3 {
                assert_eq!(begun(world), before + number, "at once");
                world.advance(ms(delay - 1));
                assert_eq!(begun(world), before + number, "not early");
                world.advance(ms(1));
            }
            assert_eq!((begun(world), world.open_sockets()), (before + 3, 3));
            assert_eq!(world.handle().stats().timers, 0, "there is nothing to begin any more");
            assert!(attempt.connecting.cancel());
            nothing_but(world, 0);
        }
    }

    fn happy_eyeballs_a_failure_begins_the_next_address_at_once(world: &World) {
        let Some(memory) = world.as_memory() else { return skip(TIME) };
        let script = Script::of(world);
        // The first hangs and fails after a while; the second refuses.
        memory.network().ignore(v6(1));
        let _listener = listen(memory, v6(2));
        let attempt = connect(world, NAME);
        script.answer(world).all([v6(1), v6(2), v4(1)]);
        world.advance(ms(100));
        assert_eq!((begun(world), attempt.told()), (1, 0));
        memory.network().heed(v6(1));
        world.settle();
        assert_eq!(begun(world), 3);
        let transport = attempt.outcome(world).expect("a connection, at the same time");
        assert_eq!((peer(&transport), world.handle().stats().timers), (Some(v6(2)), 0));
    }

    fn happy_eyeballs_an_address_that_began_first_may_win_late(world: &World) {
        let Some(memory) = world.as_memory() else { return skip(TIME) };
        let script = Script::of(world);
        let (slow, lost) = (listen(memory, v6(1)), listen(memory, v4(1)));
        [v6(1), v4(1)].iter().for_each(|address| memory.network().ignore(*address));
        let attempt = connect(world, NAME);
        script.answer(world).all([v6(1), v4(1)]);
        world.advance(ms(300));
        assert_eq!((begun(world), world.open_sockets()), (2, 2));
        memory.network().heed(v6(1));
        let transport = attempt.outcome(world).expect("a connection");
        assert_eq!(peer(&transport), Some(v6(1)));
        memory.network().heed(v4(1));
        nothing_but(world, 1);
        assert!(slow.accept().is_some() && lost.accept().is_none());
    }

    fn happy_eyeballs_two_that_answer_at_the_same_time_make_one_connection(world: &World) {
        let Some(memory) = world.as_memory() else { return skip(TIME) };
        let (script, log) = (Script::of(world), Log::new());
        let listeners = [v6(1), v4(1)].map(|address| {
            memory.network().ignore(address);
            listen(memory, address)
        });
        let attempt = Attempt::start(&world.handle(), NAME, Trace::new(&log));
        script.answer(world).all([v6(1), v4(1)]);
        world.advance(ms(250));
        [v6(1), v4(1)].iter().for_each(|address| memory.network().heed(*address));
        let transport = attempt.outcome(world).expect("a connection");
        let won = usize::from(peer(&transport) == Some(v4(1)));
        nothing_but(world, 1);
        assert_eq!(log.all(), [Event::Made]);
        // The other was connected, too, and is closed.
        let [winner, loser] = [won, 1 - won].map(|index| listeners[index].accept().expect("a connection"));
        assert!(!winner.is_finished() && !winner.is_reset());
        assert!(loser.is_finished() || loser.is_reset());
    }

    fn happy_eyeballs_ipv4_waits_50_ms_for_ipv6(world: &World) {
        let Some(memory) = world.as_memory() else { return skip(TIME) };
        let (script, _listener) = (Script::of(world), listen(memory, v4(1)));
        let attempt = connect(world, NAME);
        let answer = script.answer(world);
        answer.found(Family::V4, [v4(1)]);
        world.advance(ms(49));
        assert_eq!((begun(world), world.handle().stats().timers), (0, 1));
        world.advance(ms(1));
        assert_eq!(begun(world), 1);
        assert!(attempt.outcome(world).is_ok());
        // The answer that is missing is wanted no more.
        world.until(|| script.cancelled() == 1);
        answer.found(Family::V6, [v6(1)]);
        nothing_but(world, 1);
        assert_eq!(begun(world), 1);
    }

    fn happy_eyeballs_ipv6_that_comes_in_time_begins(world: &World) {
        let Some(memory) = world.as_memory() else { return skip(TIME) };
        let _listeners = [v4(1), v6(1)].map(|address| listen(memory, address));
        let script = Script::of(world);
        let attempt = connect(world, NAME);
        let answer = script.answer(world);
        answer.found(Family::V4, [v4(1)]);
        world.advance(ms(30));
        answer.found(Family::V6, [v6(1)]);
        assert_eq!(begun(world), 1);
        let transport = attempt.outcome(world).expect("a connection");
        assert_eq!((peer(&transport), script.cancelled()), (Some(v6(1)), 0));
        nothing_but(world, 1);
    }

    fn happy_eyeballs_ipv4_waits_no_longer_if_there_is_no_ipv6(world: &World) {
        let Some(memory) = world.as_memory() else { return skip(TIME) };
        let (script, _listener) = (Script::of(world), listen(memory, v4(1)));
        let attempt = connect(world, NAME);
        let answer = script.answer(world);
        answer.found(Family::V4, [v4(1)]);
        world.settle();
        assert_eq!((begun(world), attempt.told()), (0, 0));
        answer.found(Family::V6, []);
        world.settle();
        assert_eq!((begun(world), attempt.told()), (1, 1), "at the same time");
        assert!(attempt.outcome(world).is_ok());
    }

    fn happy_eyeballs_ipv6_does_not_wait_for_ipv4(world: &World) {
        let Some(memory) = world.as_memory() else { return skip(TIME) };
        let (script, _listener) = (Script::of(world), listen(memory, v6(1)));
        let attempt = connect(world, NAME);
        let answer = script.answer(world);
        answer.found(Family::V6, [v6(1)]);
        world.settle();
        assert_eq!((attempt.told(), script.cancelled()), (1, 1), "at the same time");
        assert!(attempt.outcome(world).is_ok() && !answer.is_wanted());
        nothing_but(world, 1);
    }

    fn happy_eyeballs_addresses_that_come_late_join_the_race(world: &World) {
        let Some(memory) = world.as_memory() else { return skip(TIME) };
        let (script, _listener) = (Script::of(world), listen(memory, v4(1)));
        memory.network().ignore(v6(1));
        let attempt = connect(world, NAME);
        let answer = script.answer(world);
        answer.found(Family::V6, [v6(1)]);
        world.advance(ms(100));
        answer.found(Family::V4, [v4(1)]);
        world.advance(ms(149));
        assert_eq!(begun(world), 1, "the first has its time alone");
        world.advance(ms(1));
        assert_eq!(peer(&attempt.outcome(world).expect("a connection")), Some(v4(1)));

        // After that time they begin as soon as they come.
        let attempt = connect(world, NAME);
        let answer = script.answer(world);
        answer.found(Family::V6, [v6(1)]);
        world.advance(ms(1000));
        assert_eq!(world.handle().stats().timers, 0);
        answer.found(Family::V4, [v4(1)]);
        world.settle();
        assert_eq!(attempt.told(), 1);
        assert!(attempt.outcome(world).is_ok());

        // And where the others failed, nothing is lost by waiting for more.
        let attempt = connect(world, NAME);
        let answer = script.answer(world);
        answer.found(Family::V6, [v6(2)]);
        world.settle();
        assert!(attempt.connecting.is_pending());
        answer.found(Family::V4, [v4(1)]);
        world.settle();
        assert_eq!(attempt.told(), 1);
        assert!(attempt.outcome(world).is_ok());
        nothing_but(world, 3);
    }

    fn happy_eyeballs_no_more_than_64_addresses_are_tried_at_once(world: &World) {
        let Some(memory) = world.as_memory() else { return skip(TIME) };
        let script = Script::of(world);
        let addresses: Vec<SocketAddr> = (1..=70).map(v4).collect();
        addresses.iter().for_each(|address| memory.network().ignore(*address));
        let attempt = connect(world, "tcp://some.name:80?attempt_delay=0.01");
        script.answer(world).all(addresses.iter().copied());
        world.advance(Duration::from_secs(10));
        assert_eq!((begun(world), world.open_sockets()), (64, 64));
        // One that fails makes room for the next.
        memory.network().heed(v4(1));
        world.settle();
        assert_eq!((begun(world), world.open_sockets()), (65, 64));
        addresses.iter().for_each(|address| memory.network().heed(*address));
        assert_eq!(tried(&attempt, world), addresses);
        nothing_but(world, 0);
    }
}

/// Drops a loop while it tries three addresses, with another to come.
fn drop_while_racing(reactor: Reactor, dead_end: &DeadEnd) {
    let script = Script::default();
    reactor.handle().set_resolver(script.clone());
    let endpoint = "tcp://some.name:80?attempt_delay=0.01&timeout=3600";
    let attempt = Attempt::start(&reactor.handle(), endpoint, Trace::new(&Log::new()));
    while script.waiting() == 0 {
        reactor.turn(Some(Duration::ZERO)).expect("a turn");
    }
    let (_, answer) = script.take();
    answer.found(Family::V4, [dead_end.address(); 4]);
    answer.found(Family::V6, []);
    while !reactor.handle().dump().contains("; 1 addresses left") {
        reactor.turn(Some(ms(20))).expect("a turn");
    }
    drop(reactor);
    assert_eq!((attempt.told(), attempt.closures_left()), (0, 0));
    assert!(!attempt.connecting.is_pending());
}

fn happy_eyeballs_a_loop_may_be_dropped_in_the_middle(backend: &str) {
    World::on_readiness(|world| {
        drop_while_racing(marline_tests::backends::reactor(backend), &DeadEnd::new(world));
    });
}

marline_tests::on_sockets! {
    happy_eyeballs_a_loop_may_be_dropped_in_the_middle
}

#[test]
fn happy_eyeballs_a_loop_on_memory_may_be_dropped_in_the_middle() {
    World::on_seeded_memory(|world| {
        let (dead_end, memory) = (DeadEnd::new(world), world.as_memory().expect("memory"));
        let backend = marline_reactor::backend::memory::Memory::new(memory.network(), memory.clock());
        let sockets = memory.network().sockets();
        // A loop that waits lets the time pass.
        memory.clock().set_automatic(true);
        drop_while_racing(Builder::new().backend(backend).build().expect("a loop"), &dead_end);
        assert_eq!(memory.network().sockets(), sockets);
    });
}
