//! R: reading and read flow control.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::backend::SystemCalls;
use marline_reactor::{Reason, Transport};
use rustix::io::Errno;

use crate::support::{Event, Log, Raw, Trace, World, skip};
use crate::{conformance, streams};

fn data_events(log: &Log) -> usize {
    log.all().iter().filter(|event| matches!(event, Event::Data(_))).count()
}

/// Gives wires room for whatever a peer writes at once.
fn widen(world: &World) {
    if let Some(memory) = world.as_memory() {
        memory.network().set_capacity(8 * 1024 * 1024);
    }
}

/// What a kernel, or a wire, takes of the payload while nobody reads.
fn write_what_fits(world: &World, raw: &Raw) -> Vec<u8> {
    let mut payload = world.payload();
    let count = raw.write(&payload);
    payload.truncate(count);
    payload
}

streams! {
    fn r01_r07_nothing_is_received_during_a_pause_and_everything_once_after_it(world: &World) {
        widen(world);
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        world.write(&raw, b"before");
        world.until(|| log.received() == 6);
        let before = log.all();
        transport.pause_reading();
        assert!(!transport.is_reading());
        let mut sent = b"before".to_vec();
        for _ in 0..3 {
            sent.extend(write_what_fits(world, &raw));
            world.settle();
            assert_eq!(log.all(), before);
        }
        assert!(sent.len() > 6);
        transport.resume_reading();
        assert!(transport.is_reading());
        assert_eq!(log.all(), before, "no callback runs on the stack of the resume");
        world.until(|| log.received() == sent.len());
        world.settle();
        assert!(log.bytes() == sent, "the bytes differ");
    }

    fn r02_a_pause_inside_data_received_is_effective_at_once(world: &World) {
        widen(world);
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log).on(Event::Data(0), Transport::pause_reading));
        let sent = write_what_fits(world, &raw);
        world.until(|| data_events(&log) > 0);
        let mut chunks = 1;
        while log.received() < sent.len() {
            (0..3).for_each(|_| world.turn());
            assert_eq!(data_events(&log), chunks);
            transport.resume_reading();
            chunks += 1;
            world.until(|| data_events(&log) == chunks);
        }
        world.settle();
        assert_eq!(data_events(&log), chunks);
        assert!(log.bytes() == sent, "the bytes differ");
    }

    fn r02_a_pause_from_another_callback_of_the_same_turn_is_effective_at_once(world: &World) {
        let first = Log::new();
        let (one, one_raw) = world.accept_one(Trace::new(&first));
        let (second, seen) = (Log::new(), first.clone());
        let paused_at = Rc::new(Cell::new(None));
        let note = Rc::clone(&paused_at);
        let pauser = Trace::new(&second).on(Event::Data(0), move |_| {
            one.pause_reading();
            note.set(note.get().or(Some(seen.received())));
        });
        let (_, raw) = world.accept_one(pauser);
        raw.write(b"pause the other");
        one_raw.write(&world.payload());
        world.until(|| paused_at.get().is_some());
        world.settle();
        assert_eq!(Some(first.received()), paused_at.get());
    }

    fn r03_a_pause_inside_connection_made_is_honoured(world: &World) {
        let (log, made) = (Log::new(), Rc::new(RefCell::new(None)));
        let server = {
            let (log, made) = (log.clone(), Rc::clone(&made));
            world.listen(move |_| {
                let made = Rc::clone(&made);
                Trace::new(&log).on(Event::Made, move |transport| {
                    transport.pause_reading();
                    *made.borrow_mut() = Some(transport.clone());
                })
            })
        };
        let raw = world.connect_raw(&server);
        // The bytes are there before the connection is accepted.
        let sent = write_what_fits(world, &raw);
        world.until(|| log.count(&Event::Made) == 1);
        (0..5).for_each(|_| world.turn());
        assert_eq!(log.all(), [Event::Made]);
        made.take().expect("a connection").resume_reading();
        world.until(|| log.received() == sent.len());
        assert!(log.bytes() == sent, "the bytes differ");
    }

    fn r06_after_a_pause_the_data_comes_then_the_end_then_the_loss(world: &World) {
        for closes in [false, true] {
            widen(world);
            let log = Log::new();
            let (transport, raw) = world.accept_one(Trace::new(&log));
            transport.pause_reading();
            let sent = write_what_fits(world, &raw);
            if closes {
                raw.close();
            } else {
                raw.finish();
            }
            world.settle();
            assert_eq!(log.all(), [Event::Made]);
            transport.resume_reading();
            world.until(|| log.is_lost());
            assert!(log.bytes() == sent, "the bytes differ");
            assert_eq!(log.events(), [Event::Made, Event::Eof, Event::Lost("Clean".into())]);
            let all = log.all();
            assert_eq!(all[all.len() - 2..], [Event::Eof, Event::Lost("Clean".into())]);
        }
    }

    fn r07_bytes_that_were_given_back_during_a_pause_come_once_and_in_order(world: &World) {
        widen(world);
        let log = Log::new();
        let given_back = Rc::new(Cell::new(false));
        let done = Rc::clone(&given_back);
        let protocol = Trace::new(&log).with(move |transport, event, data| {
            if matches!(event, Event::Data(_)) && !done.replace(true) {
                transport.pause_reading();
                transport.unread(&data[data.len() / 2..]);
            }
        });
        let (transport, raw) = world.accept_one(protocol);
        let sent = write_what_fits(world, &raw);
        world.until(|| given_back.get());
        let first = log.received();
        world.settle();
        assert_eq!((data_events(&log), log.received()), (1, first));
        transport.resume_reading();
        let returned = first - first / 2;
        world.until(|| log.received() == sent.len() + returned);
        let kept = first / 2;
        let bytes = log.bytes();
        assert!(bytes[..first] == sent[..first] && bytes[first..] == sent[kept..], "the bytes differ");
    }

    fn r08_many_pauses_under_load_lose_and_repeat_nothing(world: &World) {
        let log = Log::new();
        let pauses = Rc::new(Cell::new(0));
        let count = Rc::clone(&pauses);
        let protocol = Trace::new(&log).on(Event::Data(0), move |transport| {
            count.set(count.get() + 1);
            let (number, other) = (count.get(), transport.clone());
            match number % 4 {
                // Within the callback, from a later batch, from a timer, and not at all.
                0 => {
                    transport.pause_reading();
                    transport.resume_reading();
                }
                1 => {
                    transport.pause_reading();
                    transport.handle().call_soon(move || other.resume_reading());
                }
                2 => {
                    transport.pause_reading();
                    transport.handle().call_later(Duration::from_micros(50), move || other.resume_reading());
                }
                _ => {}
            }
        });
        let payload = world.payload();
        if let Some(memory) = world.as_memory() {
            // A narrow wire, so that there are many cycles also where everything that is there arrives joined.
            memory.network().set_capacity(payload.len() / 64);
        }
        let (_, raw) = world.accept_one(protocol);
        for piece in payload.chunks(payload.len() / 200) {
            world.write(&raw, piece);
            world.turn();
        }
        world.until(|| log.received() == payload.len());
        world.settle();
        assert!(log.bytes() == payload, "the bytes differ");
        assert!(pauses.get() > 20, "{} callbacks", pauses.get());
    }
}

conformance! {
    fn r04_pause_and_resume_are_idempotent(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.resume_reading();
        (0..3).for_each(|_| transport.pause_reading());
        raw.write(b"one");
        world.settle();
        assert_eq!(log.received(), 0);
        transport.resume_reading();
        world.until(|| log.received() == 3);
        (0..3).for_each(|_| transport.resume_reading());
        raw.write(b"two");
        world.until(|| log.received() == 6);
        world.settle();
        assert_eq!((log.bytes(), log.events()), (b"onetwo".to_vec(), vec![Event::Made]));
    }

    fn r05_on_a_closing_or_closed_transport_they_do_nothing(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        raw.write(b"unread");
        transport.write(b"flushed");
        transport.close();
        transport.resume_reading();
        transport.pause_reading();
        assert!(!transport.is_reading());
        assert_eq!(world.read(&raw, 7), b"flushed");
        transport.resume_reading();
        raw.close();
        world.until(|| log.is_lost());
        let before = world.handle().stats().callbacks;
        transport.pause_reading();
        transport.resume_reading();
        assert!(!transport.is_reading());
        world.settle();
        assert_eq!(world.handle().stats().callbacks, before);
        assert_eq!(log.all(), [Event::Made, Event::Lost("Clean".into())]);
    }

    fn r05_a_pause_before_the_close_does_not_keep_the_connection(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.pause_reading();
        raw.write(b"never delivered");
        world.settle();
        transport.write(b"last words");
        transport.close();
        assert_eq!(world.read(&raw, 10), b"last words");
        raw.close();
        world.until(|| log.is_lost());
        assert_eq!(log.all(), [Event::Made, Event::Lost("Clean".into())]);
    }

    fn r05_a_resume_inside_connection_lost_does_nothing(world: &World) {
        let log = Log::new();
        let lost = Event::Lost(String::new());
        let (transport, raw) = world.accept_one(Trace::new(&log).on(lost, Transport::resume_reading));
        transport.pause_reading();
        raw.write(b"never delivered");
        world.settle();
        transport.abort();
        world.until(|| log.is_lost());
        world.settle();
        assert_eq!(log.all(), [Event::Made, Event::Lost("Aborted".into())]);
    }

    fn r10_chunks_and_pauses_cost_no_registration(world: &World) {
        if world.is_adversarial() && world.is_guest() {
            return skip("while something is held back the host is woken, which is a call");
        }
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        world.write(&raw, b"first");
        world.until(|| log.received() == 5);
        let before = world.handle().stats().system_calls;
        for round in 1..=50 {
            world.write(&raw, b"chunk");
            world.until(|| log.received() == 5 + 5 * round);
        }
        let after = world.handle().stats().system_calls;
        assert_eq!(apart_from_waits_and_receives(world, after), apart_from_waits_and_receives(world, before));
        assert!(after.receives - before.receives <= 100 + 250 * u64::from(world.is_seeded()));
        for _ in 0..10 {
            transport.pause_reading();
            transport.resume_reading();
            transport.pause_reading();
            world.turn();
            transport.resume_reading();
            world.turn();
        }
        let paused = world.handle().stats().system_calls;
        // Not even a look whether there is something: nothing was announced.
        assert_eq!(paused.receives - after.receives, 0);
        assert_eq!(apart_from_waits_and_receives(world, paused), apart_from_waits_and_receives(world, before));
    }

    fn r12_a_spurious_readiness_has_no_visible_effect(world: &World) {
        world.with_faults(|world, faults| {
            let log = Log::new();
            let (transport, raw) = world.accept_one(Trace::new(&log).keep_open());
            world.settle();
            let announce = || {
                let before = (log.all(), world.handle().stats().callbacks);
                faults.announce_input(5);
                let asked = faults.asked().receives;
                (0..7).for_each(|_| world.turn());
                assert!(!faults.pending());
                assert_eq!((log.all(), world.handle().stats().callbacks), before);
                faults.asked().receives - asked
            };
            // Each is looked into, with an answer of nothing, and that is all.
            assert_eq!(announce(), 5);
            world.write(&raw, b"data");
            world.until(|| log.received() == 4);
            announce();
            transport.pause_reading();
            assert_eq!(announce(), 0);
            transport.resume_reading();
            // The announcement that came during the pause is still to be looked into.
            (0..3).for_each(|_| world.turn());
            assert_eq!(log.received(), 4);
            raw.finish();
            world.until(|| log.count(&Event::Eof) == 1);
            announce();
            assert_eq!((log.bytes(), log.events()), (b"data".to_vec(), vec![Event::Made, Event::Eof]));
        });
    }

    fn r12_nor_has_one_in_the_middle_of_a_stream(world: &World) {
        world.with_faults(|world, faults| {
            let log = Log::new();
            let (_, raw) = world.accept_one(Trace::new(&log));
            let payload = world.payload();
            faults.announce_input(100_000);
            for piece in payload.chunks(payload.len() / 20) {
                world.write(&raw, piece);
                world.turn();
            }
            world.until(|| log.received() == payload.len());
            faults.announce_input(0);
            assert!(log.bytes() == payload, "the bytes differ");
            assert_eq!(log.events(), [Event::Made]);
        });
    }

    fn r15_a_watched_peers_end_is_told_during_a_pause_without_data(world: &World) {
        for closes in [false, true] {
            let log = Log::new();
            let (transport, raw) = world.accept_one(Trace::new(&log));
            transport.pause_reading();
            transport.watch_peer();
            raw.write(b"still here");
            world.settle();
            assert_eq!(log.all(), [Event::Made]);
            if closes {
                raw.close();
            } else {
                raw.finish();
            }
            a_turn_later(world);
            assert_eq!(log.all(), [Event::Made, Event::PeerClosed]);
            world.settle();
            assert_eq!(log.all(), [Event::Made, Event::PeerClosed]);
            transport.resume_reading();
            world.until(|| log.is_lost());
            assert_eq!(log.bytes(), b"still here");
            let clean = Event::Lost("Clean".into());
            assert_eq!(log.events(), [Event::Made, Event::PeerClosed, Event::Eof, clean]);
        }
    }

    fn r15_a_watched_peers_reset_is_the_loss_also_during_a_pause(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.pause_reading();
        transport.watch_peer();
        raw.write(b"never delivered");
        world.settle();
        raw.reset();
        a_turn_later(world);
        if world.is_completion() {
            // The loss was certain in that turn. It is told when the ring has closed the descriptor.
            world.until(|| log.is_lost());
        }
        assert_eq!(log.all(), [Event::Made, Event::Lost("Reset".into())]);
    }

    fn r15_an_end_before_the_watch_is_told_too(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.pause_reading();
        raw.finish();
        world.settle();
        assert_eq!(log.all(), [Event::Made]);
        transport.watch_peer();
        assert_eq!(log.all(), [Event::Made]);
        a_turn_later(world);
        assert_eq!(log.all(), [Event::Made, Event::PeerClosed]);
        transport.watch_peer();
        world.settle();
        assert_eq!(log.all(), [Event::Made, Event::PeerClosed]);
    }

    fn r_a_receive_error_is_one_loss_with_that_error(world: &World) {
        world.with_faults(|world, faults| {
            let log = Log::new();
            let (_, raw) = world.accept_one(Trace::new(&log));
            world.settle();
            faults.fail_receives([Errno::HOSTUNREACH]);
            raw.write(b"never seen");
            world.until(|| log.is_lost());
            world.settle();
            assert_eq!(log.all(), [Event::Made, Event::Lost("Io".into())]);
            let lost = log.lost().expect("a loss");
            let Reason::Io(error) = lost.reason() else { panic!("{lost:?}") };
            assert_eq!(Errno::from_io_error(error), Some(Errno::HOSTUNREACH));
        });
    }
}

/// One turn with an event in it; where chance has it, an event may be left to later turns.
fn a_turn_later(world: &World) {
    world.turn_with_event();
    // A host's turn does not wait, so on a ring it begins the poll, and the next one tells of it.
    let late = world.most_turns_late().max(usize::from(world.is_guest_on_ring()));
    for _ in 0..late {
        world.turn();
    }
}

fn apart_from_waits_and_receives(world: &World, calls: SystemCalls) -> [u64; 7] {
    let SystemCalls { sends, accepts, registrations, connects, shutdowns, closes, others, .. } = calls;
    // What wakes the host is read in each turn.
    let others = if world.is_guest_on_ring() { 0 } else { others };
    [sends, accepts, registrations, connects, shutdowns, closes, others]
}
