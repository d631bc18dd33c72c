//! L: listening and accepting.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{Addresses, ListenError, Server};
use marline_tests::once_free;

use crate::conformance;
use crate::support::{Event, Log, Raw, Trace, World, address_of, is_over, runs_out};

/// A listener that gives every connection the same log.
fn listen_logged(world: &World, log: &Log) -> Server {
    let log = log.clone();
    world.listen(move |_| Trace::new(&log))
}

/// Far ends that connect before the loop turns.
fn queue_up(world: &World, server: &Server, count: usize) -> Vec<Raw> {
    (0..count).map(|_| world.connect_raw(server)).collect()
}

/// Where the listener of a test is kept that its own factory stops.
type Slot = Rc<RefCell<Option<Server>>>;

fn stop_in(slot: &Slot) {
    let server = slot.borrow().clone();
    server.expect("a listener").stop();
}

conformance! {
    fn l01_port_0_yields_the_real_port_from_the_listener(world: &World) {
        let log = Log::new();
        let (server, other) = (listen_logged(world, &log), listen_logged(world, &log));
        let address = address_of(&server);
        assert_ne!(address.port(), 0);
        assert_ne!(address.port(), address_of(&other).port());
        let _raw = world.connect_raw_to(address);
        world.until(|| log.count(&Event::Made) == 1);
        assert_eq!((server.connections(), other.connections()), (1, 0));
    }

    fn l02_an_address_in_use_is_named_and_nothing_stays_bound(world: &World) {
        let log = Log::new();
        let server = listen_logged(world, &log);
        let address = address_of(&server);
        let (sockets, closes) = (world.open_sockets(), world.handle().stats().system_calls.closes);
        let mine = log.clone();
        let error = world.handle().listen(address, move |_: &Addresses| Trace::new(&mine));
        let error = error.expect_err("the port is taken");
        assert!(error.to_string().contains(&format!("tcp://{address}")), "{error}");
        let ListenError::InUse { address: named, .. } = error else { panic!("another error: {error:?}") };
        assert_eq!(named.as_inet(), Some(address));
        assert_eq!(world.open_sockets(), sockets);
        if !world.is_memory() {
            assert_eq!(world.handle().stats().system_calls.closes, closes + 1, "the socket is closed");
        }

        // The first listener is not disturbed, and when it has gone the port is free.
        let _raw = world.connect_raw(&server);
        world.until(|| log.count(&Event::Made) == 1);
        let stopped = Rc::new(Cell::new(false));
        let seen = Rc::clone(&stopped);
        server.on_stopped(move || seen.set(true));
        server.stop();
        world.until(|| stopped.get());
        let again = once_free(|| world.handle().listen(address, |_: &Addresses| Trace::new(&Log::new())));
        assert_eq!(address_of(&again), address);
    }

    fn l03_a_factory_may_refuse_a_connection(world: &World) {
        let (log, asked) = (Log::new(), Rc::new(Cell::new(0)));
        let (mine, count) = (log.clone(), Rc::clone(&asked));
        // The first is refused with an error, the second by nothing, the third by a panic.
        let factory = move |_: &Addresses| {
            count.set(count.get() + 1);
            match count.get() {
                1 => Err("no"),
                3 => panic!("the factory fails"),
                _ => Ok(Trace::new(&mine)),
            }
        };
        let server = world.handle().listen("tcp://127.0.0.1:0", factory).expect("a listener");
        let none = world.handle().listen("tcp://127.0.0.1:0", |_: &Addresses| None::<Trace>);
        let none = none.expect("a listener");

        let refused = world.connect_raw(&server);
        refused.write(b"hello");
        world.until(|| is_over(&refused));
        let nobody = world.connect_raw(&none);
        world.until(|| is_over(&nobody));
        assert!(log.all().is_empty());
        assert_eq!((server.connections(), none.connections()), (0, 0));

        let welcome = world.connect_raw(&server);
        world.until(|| log.count(&Event::Made) == 1);
        world.handle().on_failure(|_| {});
        let failed = world.connect_raw(&server);
        world.until(|| is_over(&failed));
        let last = world.connect_raw(&server);
        world.until(|| log.count(&Event::Made) == 2);
        assert_eq!((asked.get(), server.connections()), (4, 2));

        welcome.close();
        last.close();
        world.until(|| log.losses() == 2);
        server.stop();
        none.stop();
        assert!(runs_out(world), "a refused connection leaves nothing");
    }

    fn l05_stopping_completes_after_the_close_and_is_idempotent(world: &World) {
        let log = Log::new();
        let server = listen_logged(world, &log);
        let address = address_of(&server);
        let raw = world.connect_raw(&server);
        world.until(|| log.count(&Event::Made) == 1);

        // The port is bound again from inside the callback: by then it has to be free.
        let (stopped, again) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(None)));
        for _ in 0..2 {
            let (handle, stopped, again) = (world.handle(), Rc::clone(&stopped), Rc::clone(&again));
            server.on_stopped(move || {
                stopped.set(stopped.get() + 1);
                let listen = || handle.listen(address, |_: &Addresses| Trace::new(&Log::new()));
                again.borrow_mut().get_or_insert_with(|| once_free(listen));
            });
        }
        server.stop();
        server.stop();
        assert_eq!(stopped.get(), 0, "nothing is called on the stack of a call");
        world.until(|| stopped.get() == 2);
        server.stop();
        world.settle();
        assert_eq!(stopped.get(), 2);
        assert_eq!(server.local_address(), None);
        assert_eq!(address_of(&again.take().expect("a callback")), address);

        // A late question is answered too, and the connection goes on.
        let (late, seen) = (Rc::new(Cell::new(false)), Rc::clone(&stopped));
        let told = Rc::clone(&late);
        server.on_stopped(move || told.set(seen.get() == 2));
        world.until(|| late.get());
        raw.write(b"still here");
        world.until(|| log.received() == 10);
        assert!(!log.is_lost());
    }

    fn l06_the_listener_may_be_stopped_in_the_factory(world: &World) {
        let (log, slot, asked) = (Log::new(), Slot::default(), Rc::new(Cell::new(0)));
        let (mine, stop, count) = (log.clone(), Rc::clone(&slot), Rc::clone(&asked));
        let server = world.listen(move |_| {
            count.set(count.get() + 1);
            stop_in(&stop);
            Trace::new(&mine)
        });
        *slot.borrow_mut() = Some(server.clone());
        let stopped = Rc::new(Cell::new(false));
        let seen = Rc::clone(&stopped);
        server.on_stopped(move || seen.set(true));
        let raws = queue_up(world, &server, 3);
        world.until(|| stopped.get() && log.count(&Event::Made) == 1);
        check_that_one_is_left(world, &log, &raws);
        assert_eq!(asked.get(), 1);
    }

    fn l06_the_listener_may_be_stopped_in_the_first_connection_made(world: &World) {
        let (log, slot, asked) = (Log::new(), Slot::default(), Rc::new(Cell::new(0)));
        let (mine, stop, count) = (log.clone(), Rc::clone(&slot), Rc::clone(&asked));
        let server = world.listen(move |_| {
            count.set(count.get() + 1);
            let stop = Rc::clone(&stop);
            Trace::new(&mine).on(Event::Made, move |_| stop_in(&stop))
        });
        *slot.borrow_mut() = Some(server.clone());
        let stopped = Rc::new(Cell::new(false));
        let seen = Rc::clone(&stopped);
        server.on_stopped(move || seen.set(true));
        let raws = queue_up(world, &server, 3);
        world.until(|| stopped.get() && log.count(&Event::Made) == 1);
        check_that_one_is_left(world, &log, &raws);
        assert_eq!(asked.get(), 1);
    }

    fn l08_several_connections_are_accepted_in_a_turn_up_to_a_bound(world: &World) {
        const PEERS: usize = 200;
        let log = Log::new();
        let server = listen_logged(world, &log);
        let _raws = queue_up(world, &server, PEERS);
        let (mut most, mut made, mut turns) = (0, 0, 0);
        while made < PEERS {
            world.wait(Duration::from_millis(20));
            turns += 1;
            let before = std::mem::replace(&mut made, log.count(&Event::Made));
            most = most.max(made - before);
            assert!(turns < 1000, "{made} of {PEERS} in {turns} turns");
        }
        assert!(most > 1, "several in a turn");
        assert!(most <= 64, "{most} in one turn");
        assert_eq!(server.connections(), PEERS);
    }

    fn l08_a_call_runs_before_the_last_of_many_is_accepted(world: &World) {
        let (log, seen) = (Log::new(), Rc::new(Cell::new(None)));
        let server = listen_logged(world, &log);
        let _raws = queue_up(world, &server, 150);
        let (mine, made) = (log.clone(), Rc::clone(&seen));
        world.until(|| log.count(&Event::Made) > 0);
        world.handle().call_soon(move || made.set(Some(mine.count(&Event::Made))));
        world.until(|| seen.get().is_some());
        assert!(seen.get() < Some(150), "a call made early runs before the last is accepted");
        world.until(|| log.count(&Event::Made) == 150);
    }

    fn l13_whoever_waits_when_the_listener_stops_is_closed(world: &World) {
        let log = Log::new();
        let server = listen_logged(world, &log);
        server.pause();
        let raws = queue_up(world, &server, 3);
        world.settle();
        server.stop();
        world.until(|| raws.iter().all(is_over));
        assert!(log.all().is_empty());
        assert!(runs_out(world));
    }

    fn l13_whoever_waits_when_the_loop_is_shut_down_is_delivered_or_closed(world: &World) {
        let log = Log::new();
        let server = listen_logged(world, &log);
        let raws = queue_up(world, &server, 5);
        world.handle().shutdown();
        world.run();
        world.until(|| raws.iter().all(is_over));
        assert_eq!(log.count(&Event::Made), log.losses());
        assert_eq!(log.count(&Event::Lost("Shutdown".into())), log.losses());
        assert_eq!(world.open_sockets(), 0);
    }

    fn l14_accepting_pauses_and_resumes_without_losing_queued_peers(world: &World) {
        let log = Log::new();
        let server = listen_logged(world, &log);
        server.pause();
        let raws = queue_up(world, &server, 3);
        raws.iter().for_each(|raw| assert_eq!(raw.write(b"early"), 5));
        world.settle();
        assert!(log.all().is_empty(), "nobody is accepted during a pause");
        server.pause();
        server.resume();
        world.until(|| log.received() == 15);
        assert_eq!(log.count(&Event::Made), 3);

        // Pausing and resuming at once changes nothing for those who come later.
        server.pause();
        server.resume();
        server.resume();
        let _late = world.connect_raw(&server);
        world.until(|| log.count(&Event::Made) == 4);
        assert!(!log.is_lost());
    }

    fn l15_a_drain_accepts_those_who_wait_and_then_closes(world: &World) {
        let log = Log::new();
        let server = listen_logged(world, &log);
        let address = address_of(&server);
        let raws = queue_up(world, &server, 3);
        // They are there, and announced, and nobody was accepted.
        server.pause();
        world.settle();
        server.resume();
        let (stopped, lost) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
        let (seen, count) = (Rc::clone(&stopped), Rc::clone(&lost));
        server.on_stopped(move || seen.set(true));
        server.on_lost(move |_, _| count.set(count.get() + 1));
        server.drain();
        assert!(log.all().is_empty(), "no factory runs within the call");
        server.drain();
        // An adversary may say that nobody waits although somebody does, who is refused then.
        let refused = || raws.iter().filter(|raw| is_over(raw)).count();
        let may_refuse = world.is_adversarial();
        world.until(|| stopped.get() && log.count(&Event::Made) + refused() == 3);
        let served = log.count(&Event::Made);
        assert!(served == 3 || may_refuse, "{served} were served");
        assert!(server.local_address().is_none());
        assert_eq!((server.connections(), world.handle().stats().listeners), (served, 0));
        once_free(|| world.handle().listen(address, |_: &Addresses| Trace::new(&Log::new()))).stop();
        raws.iter().for_each(Raw::close);
        world.until(|| log.losses() == served);
        assert_eq!((server.connections(), lost.get()), (0, served));
        assert!(runs_out(world), "nothing is left of it");
    }

    fn l15_a_drain_accepts_those_who_were_not_announced(world: &World) {
        let log = Log::new();
        let server = listen_logged(world, &log);
        // No turn comes between.
        let raws = queue_up(world, &server, 3);
        server.drain();
        let refused = || raws.iter().filter(|raw| is_over(raw)).count();
        let may_refuse = world.is_adversarial();
        world.until(|| server.local_address().is_none() && log.count(&Event::Made) + refused() == 3);
        let served = log.count(&Event::Made);
        assert!(served == 3 || may_refuse, "{served} were served");
    }

    fn l15_a_drain_from_the_factory_accepts_those_who_wait(world: &World) {
        let (log, slot) = (Log::new(), Slot::default());
        let (mine, drain) = (log.clone(), Rc::clone(&slot));
        let server = world.listen(move |_| {
            drain.borrow().as_ref().expect("a listener").drain();
            Trace::new(&mine)
        });
        *slot.borrow_mut() = Some(server.clone());
        let raws = queue_up(world, &server, 3);
        let refused = || raws.iter().filter(|raw| is_over(raw)).count();
        let may_refuse = world.is_adversarial();
        world.until(|| server.local_address().is_none() && log.count(&Event::Made) + refused() == 3);
        let served = log.count(&Event::Made);
        assert!(served == 3 || may_refuse, "{served} were served");
    }

    fn l15_a_drain_refuses_those_that_a_pause_keeps_out(world: &World) {
        let log = Log::new();
        let server = listen_logged(world, &log);
        server.pause();
        let raws = queue_up(world, &server, 2);
        server.drain();
        world.until(|| raws.iter().all(is_over));
        assert!(log.all().is_empty());
        assert!(runs_out(world));
    }

    fn l14_a_pause_in_the_factory_is_effective_at_once(world: &World) {
        let (log, slot) = (Log::new(), Slot::default());
        let (mine, pause) = (log.clone(), Rc::clone(&slot));
        let server = world.listen(move |_| {
            pause.borrow().as_ref().expect("a listener").pause();
            Trace::new(&mine)
        });
        *slot.borrow_mut() = Some(server.clone());
        let _raws = queue_up(world, &server, 3);
        for accepted in 1..=3 {
            world.until(|| log.count(&Event::Made) == accepted);
            world.settle();
            assert_eq!(log.count(&Event::Made), accepted, "one for each resume");
            server.resume();
        }
    }

    fn l14_a_limit_keeps_the_others_queued(world: &World) {
        let log = Log::new();
        let server = listen_logged(world, &log);
        server.set_limit(2);
        let mut raws = queue_up(world, &server, 5);
        world.until(|| log.count(&Event::Made) == 2);
        world.settle();
        assert_eq!((log.count(&Event::Made), server.connections()), (2, 2));
        // Whoever leaves makes room for one.
        for made in 3..=5 {
            let gone = made - 2;
            raws.remove(0).close();
            world.until(|| log.losses() == gone && log.count(&Event::Made) == made);
            world.settle();
            assert_eq!((log.count(&Event::Made), server.connections()), (made, 2));
        }
        drop(raws);
    }
}

/// Of several far ends one is connected, and the others are closed: their listener has stopped.
#[track_caller]
fn check_that_one_is_left(world: &World, log: &Log, raws: &[Raw]) {
    world.until(|| raws.iter().filter(|raw| is_over(raw)).count() == raws.len() - 1);
    world.settle();
    assert_eq!(log.all(), [Event::Made], "the one that was accepted lives");
    let left = raws.iter().find(|raw| !is_over(raw)).expect("one that is connected");
    left.write(b"x");
    world.until(|| log.received() == 1);
    left.close();
    world.until(|| log.is_lost());
    assert!(runs_out(world));
}
