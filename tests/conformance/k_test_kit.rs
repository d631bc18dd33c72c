//! K: the test kit.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::backend::memory::Memory;
use marline_reactor::testing::{Chunking, Clock, MemoryReactor, Network, Peer, Recorder};
use marline_reactor::{Addresses, Choices, Reactor, Transport, WriteStatus};
use marline_tests::backends;

use crate::conformance;
use crate::support::{Event, Log, Trace, World, address_of};

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// The loop's time, in milliseconds.
fn now(memory: &MemoryReactor) -> u64 {
    memory.clock().now().as_nanos() / 1_000_000
}

/// A loop that logs what one scripted peer sends it.
fn logged(choices: Choices) -> (MemoryReactor, Peer, Log) {
    let (memory, log) = (MemoryReactor::with_choices(choices), Log::new());
    let mine = log.clone();
    let server = memory.handle().listen("tcp://127.0.0.1:7", move |_: &Addresses| Trace::new(&mine));
    assert_eq!(address_of(&server.expect("a listener")).port(), 7);
    let peer = memory.connect("127.0.0.1:7").expect("a peer");
    assert!(memory.pump());
    (memory, peer, log)
}

#[test]
fn k01_the_clock_runs_due_callbacks_in_deadline_order() {
    let (memory, ran) = (MemoryReactor::new(), Rc::new(RefCell::new(Vec::new())));
    let handle = memory.handle();
    let at = |deadline: u64, name: &'static str| {
        let (ran, clock) = (Rc::clone(&ran), memory.clock().clone());
        handle.call_later(ms(deadline), move || {
            ran.borrow_mut().push((name, clock.now().as_nanos() / 1_000_000));
        })
    };
    for (deadline, name) in [(30, "c"), (10, "a"), (20, "b"), (20, "b, set later"), (101, "too late")] {
        at(deadline, name);
    }
    let (inner, ran_too, clock) = (handle.clone(), Rc::clone(&ran), memory.clock().clone());
    handle.call_later(ms(10), move || {
        // Set while advancing, due while advancing: before what was set long ago for later.
        for (delay, name) in [(5, "inner"), (0, "inner, at once"), (91, "inner, too late")] {
            let (ran, clock) = (Rc::clone(&ran_too), clock.clone());
            inner.call_later(ms(delay), move || {
                ran.borrow_mut().push((name, clock.now().as_nanos() / 1_000_000));
            });
        }
    });
    memory.pump();
    assert!(ran.borrow().is_empty(), "time stands still");
    memory.advance(ms(100));
    assert_eq!(
        *ran.borrow(),
        [("a", 10), ("inner, at once", 10), ("inner", 15), ("b", 20), ("b, set later", 20), ("c", 30)]
    );
    assert_eq!(now(&memory), 100);
    memory.advance(ms(1));
    assert_eq!(ran.borrow()[6..], [("too late", 101), ("inner, too late", 101)]);
}

#[test]
fn k01_a_run_jumps_from_deadline_to_deadline() {
    let (memory, ran) = (MemoryReactor::new(), Rc::new(RefCell::new(Vec::new())));
    for hours in [3, 1, 2] {
        let (ran, clock) = (Rc::clone(&ran), memory.clock().clone());
        memory.handle().call_later(Duration::from_secs(hours * 3600), move || {
            ran.borrow_mut().push((hours, clock.now().as_nanos() / 3_600_000_000_000));
        });
    }
    memory.run().expect("a run");
    assert_eq!(*ran.borrow(), [(1, 1), (2, 2), (3, 3)]);
}

/// An echo that fails if it is called while another callback, or the test's own call, is on the stack.
fn guarded(depth: &Rc<Cell<u32>>, log: &Log) -> Trace {
    let depth = Rc::clone(depth);
    Trace::new(log).with(move |transport, event, data| {
        assert_eq!(depth.replace(1), 0, "{event:?} on the stack of a writer");
        if matches!(event, Event::Data(_)) && !data.contains(&b'.') {
            transport.write(data);
            transport.write([data, b"."].concat());
            transport.flush();
        }
        depth.set(0);
    })
}

#[test]
fn k02_writes_never_call_the_peer_on_the_writers_stack() {
    for seed in 0..16 {
        let (memory, depth) = (MemoryReactor::seeded(seed), Rc::new(Cell::new(0)));
        let (near, far, made) = (Log::new(), Log::new(), Rc::new(Cell::new(None)));
        let server = memory.handle().listen("tcp://127.0.0.1:7", {
            let (depth, far) = (Rc::clone(&depth), far.clone());
            move |_: &Addresses| guarded(&depth, &far)
        });
        drop(server.expect("a listener"));
        let (client, seen) = (guarded(&depth, &near), Rc::clone(&made));
        memory.handle().connect(
            "tcp://127.0.0.1:7",
            |_: &Addresses| client,
            move |outcome| seen.set(outcome.ok()),
        );
        assert!(memory.pump());
        let transport = made.take().expect("a connection");
        depth.set(1);
        transport.write(b"ping");
        transport.flush();
        assert!(far.bytes().is_empty() && near.bytes().is_empty());
        depth.set(0);
        assert!(memory.pump());
        assert_eq!(far.bytes()[..4], *b"ping");
        assert!(near.received() >= 8, "the echo came: {:?}", near.bytes());
    }
}

#[test]
fn k02_a_scripted_peer_and_another_loop_call_nobody_either() {
    let (memory, peer, log) = logged(Choices::tame());
    peer.write(b"hello");
    peer.finish();
    assert_eq!(log.all(), [Event::Made], "the loop sees it in its next turn");
    assert!(memory.pump());
    assert_eq!(log.bytes(), b"hello");

    let other = MemoryReactor::on(memory.network(), memory.clock());
    let made = Rc::new(Cell::new(None));
    let seen = Rc::clone(&made);
    other.handle().connect(
        "tcp://127.0.0.1:7",
        |_: &Addresses| Trace::new(&Log::new()),
        move |outcome| seen.set(outcome.ok()),
    );
    assert!(other.pump() && memory.pump());
    let transport = made.take().expect("a connection");
    transport.write(b" again");
    assert!(other.pump());
    assert_eq!(log.received(), 5, "the other loop's turn is no turn of this one");
    assert!(memory.pump());
    assert_eq!(log.bytes(), b"hello again");
}

#[test]
fn k03_the_pump_delivers_writes_one_at_a_time_joined_or_in_pieces() {
    let cases: [(Chunking, &[usize]); 4] = [
        (Chunking::AsWritten, &[3, 1, 4]),
        (Chunking::Joined, &[8]),
        (Chunking::Fixed(3), &[3, 3, 2]),
        (Chunking::Fixed(1), &[1; 8]),
    ];
    for (chunking, sizes) in cases {
        let (memory, peer, log) = logged(Choices::tame());
        memory.network().set_chunking(chunking);
        for write in ["abc", "d", "efgh"] {
            peer.write(write.as_bytes());
        }
        assert!(memory.pump());
        let expected: Vec<_> = sizes.iter().copied().map(Event::Data).collect();
        assert_eq!(log.all()[1..], expected, "{chunking:?}");
        assert_eq!(log.bytes(), b"abcdefgh");
    }
}

#[test]
fn k03_the_pump_delivers_chosen_splits() {
    // How many choices it takes until the bytes are written.
    let recorded = Choices::tame().recorded();
    drop(logged(recorded.clone()));
    let before = recorded.log().len();
    // One byte; half of the seven that are left; 1 + 1 of the three; and with one left there is no choice.
    let script = std::iter::repeat_n(0, before).chain([1, 2, 3, 1]);
    let (memory, peer, log) = logged(Choices::script(script));
    memory.network().set_chunking(Chunking::Chosen);
    peer.write(b"abcdefgh");
    assert!(memory.pump());
    assert_eq!(log.all()[1..], [1, 4, 2, 1].map(Event::Data));
    assert_eq!(log.bytes(), b"abcdefgh");
}

/// What a transport answers before and after its close.
fn write_around_close(transport: &Transport) -> Vec<(WriteStatus, bool)> {
    let mut seen = Vec::new();
    let mut note = |status| seen.push((status, transport.is_closing()));
    note(transport.write(b"before"));
    transport.close();
    note(transport.write(b"after"));
    note(transport.write_owned("after"));
    note(transport.write_vectored(&[std::io::IoSlice::new(b"after")]));
    transport.write_eof();
    transport.close();
    note(transport.write(b"after"));
    seen
}

conformance! {
    fn k04_a_fake_transport_drops_writes_after_close_as_the_real_one_does(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        let real = write_around_close(&transport);
        let got = RefCell::new(Vec::new());
        world.until(|| {
            got.borrow_mut().extend(raw.read());
            raw.is_finished() && log.is_lost()
        });
        assert_eq!(*got.borrow(), b"before");

        let recorder = Recorder::new();
        let fake = write_around_close(recorder.transport());
        assert_eq!(recorder.written(), b"before");
        assert!(recorder.is_finished() && !recorder.is_aborted());
        let lost = recorder.lost().expect("it is closed");
        assert_eq!((real, log.reason()), (fake, Some(crate::support::reason_name(&lost))));
    }
}

/// A small program that uses most of a loop, and what happened in it. The loop ends by itself.
fn program(reactor: &Reactor) -> [Vec<Event>; 2] {
    let (handle, client, served) = (reactor.handle(), Log::new(), Log::new());
    let mine = served.clone();
    let server = handle.listen("tcp://127.0.0.1:0", move |_: &Addresses| {
        Trace::new(&mine).with(|transport, event, data| {
            if matches!(event, Event::Data(_)) {
                transport.write(data);
            }
        })
    });
    let server = server.expect("a listener");
    let (log, connecting) = (client.clone(), handle.clone());
    handle.call_later(ms(1), move || {
        let address = address_of(&server);
        let protocol = Trace::new(&log).with(move |transport, event, _| match event {
            Event::Made => {
                transport.write(b"hello");
                transport.write_eof();
            }
            Event::Eof => server.stop(),
            _ => {}
        });
        connecting.connect(address, |_: &Addresses| protocol, |outcome| assert!(outcome.is_ok()));
    });
    reactor.run().expect("a run");
    assert_eq!((client.bytes(), served.bytes()), (b"hello".to_vec(), b"hello".to_vec()));
    [client.all(), served.all()]
}

#[test]
fn k06_the_memory_reactor_implements_the_same_traits_as_the_real_ones() {
    let memory = Memory::new(&Network::new(Choices::tame()), &Clock::new());
    let fake = program(&Reactor::with_backend(memory).expect("a loop"));
    for backend in backends::here() {
        assert_eq!(program(&backends::reactor(backend)), fake, "{backend}");
    }
    let clean = Event::Lost("Clean".into());
    assert_eq!(fake[0], [Event::Made, Event::Data(5), Event::Eof, clean]);

    // The test kit's loop is the same type, so it takes the same program.
    let kit = MemoryReactor::new();
    kit.clock().set_automatic(true);
    assert_eq!(program(kit.reactor()), fake);
}

#[test]
fn k07_the_clock_advances_with_the_pump() {
    let (memory, peer, log) = logged(Choices::tame());
    let (peer, steps) = (Rc::new(peer), Rc::new(RefCell::new(Vec::new())));
    // Every two milliseconds the peer sends a byte; in between it is looked at what the loop has.
    for at in 1..=6 {
        let (peer, steps, log) = (Rc::clone(&peer), Rc::clone(&steps), log.clone());
        let clock = memory.clock().clone();
        memory.handle().call_later(ms(at), move || {
            if at % 2 == 1 {
                assert_eq!(peer.write(b"x"), 1);
            }
            steps.borrow_mut().push((clock.now().as_nanos() / 1_000_000, log.received()));
        });
    }
    assert!(memory.pump());
    assert!(steps.borrow().is_empty() && now(&memory) == 0, "a pump alone moves no clock");
    memory.advance(ms(10));
    assert_eq!(*steps.borrow(), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3)]);
    assert_eq!(now(&memory), 10, "the clock stands where it was told to");
}

#[test]
fn k07_loops_that_share_a_clock_and_a_network_are_pumped_one_by_one() {
    let (here, peer, log) = logged(Choices::tame());
    let there = MemoryReactor::on(here.network(), here.clock());
    peer.write(b"for here");
    let turns = there.handle().stats().turns;
    assert!(there.pump(), "what waits for another loop is no business of this one");
    assert!(there.handle().stats().turns - turns <= 1);
    assert!(here.is_busy() && !there.is_busy());
    assert_eq!(log.received(), 0);
    there.advance(ms(5));
    assert_eq!((now(&here), log.received()), (5, 0));
    assert!(here.pump());
    assert_eq!(log.received(), 8);
}
