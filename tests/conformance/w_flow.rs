//! W: write flow control.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use marline_reactor::{Transport, WriteStatus};

use crate::support::{Event, Faults, Log, Raw, Trace, World, collect_up_to, pattern};
use crate::{conformance, streams};

/// Runs a test on a connection whose sends are held, so that what is buffered is the test's to decide.
fn held(world: &World, log: &Log, protocol: Trace, test: impl FnOnce(&World, &Faults, &Transport, &Raw)) {
    world.with_faults(|world, faults| {
        let (transport, raw) = world.accept_one(protocol);
        world.send_whole();
        faults.hold_sends();
        test(world, faults, &transport, &raw);
        assert_alternating(log);
    });
}

fn flow_events(log: &Log) -> Vec<Event> {
    let flow = |event: &Event| matches!(event, Event::Pause | Event::Resume);
    log.all().into_iter().filter(flow).collect()
}

/// W15, which holds in every test; and no callback's own assertion failed.
fn assert_alternating(log: &Log) {
    assert_eq!(log.reason(), None, "{:?}", log.lost());
    for (index, event) in flow_events(log).iter().enumerate() {
        let wanted = if index % 2 == 0 { Event::Pause } else { Event::Resume };
        assert_eq!(*event, wanted, "event {index} of {:?}", log.all());
    }
}

/// Asserts what each flow callback may rely on about the size.
fn watched(log: &Log) -> Trace {
    Trace::new(log).with(|transport, event, _| {
        let (low, high) = transport.watermarks();
        match event {
            Event::Pause => assert!(transport.buffered() > high, "{} waits", transport.buffered()),
            Event::Resume => assert!(transport.buffered() <= low, "{} waits", transport.buffered()),
            _ => {}
        }
    })
}

conformance! {
    fn w13_pause_writing_only_above_high(world: &World) {
        let log = Log::new();
        held(world, &log, watched(&log), |world, faults, transport, _| {
            transport.set_watermarks(10, 100).expect("watermarks");
            assert_eq!(transport.write([1; 60]), WriteStatus::Ok);
            assert_eq!(transport.write([1; 40]), WriteStatus::Ok);
            world.settle();
            assert_eq!((transport.buffered(), faults.held()), (100, 1));
            assert_eq!(flow_events(&log), []);
            assert_eq!(transport.write([1; 1]), WriteStatus::OverHigh);
            // The status is there at once, the callback never on the stack of the write.
            assert_eq!(flow_events(&log), []);
            world.until(|| flow_events(&log) == [Event::Pause]);
            assert_eq!(transport.write([1; 500]), WriteStatus::OverHigh);
            world.settle();
            assert_eq!(flow_events(&log), [Event::Pause]);
            faults.release_sends();
            world.until(|| flow_events(&log) == [Event::Pause, Event::Resume]);
        });
    }

    fn w13_the_backend_has_one_chance_to_send_before_the_pause(world: &World) {
        let log = Log::new();
        held(world, &log, watched(&log), |world, faults, transport, raw| {
            transport.set_watermarks(10, 100).expect("watermarks");
            assert_eq!(transport.write([1; 500]), WriteStatus::OverHigh);
            // The turn's flush lends the bytes to the backend, which sends them in its next wait.
            world.turn();
            assert_eq!((transport.buffered(), faults.held()), (500, 1));
            faults.release_sends();
            world.settle();
            assert_eq!((transport.buffered(), raw.read().len()), (0, 500));
            assert_eq!(flow_events(&log), []);
        });
    }

    fn room_is_what_fits_below_the_high_watermark(world: &World) {
        let log = Log::new();
        held(world, &log, watched(&log), |world, faults, transport, _| {
            transport.set_watermarks(10, 100).expect("watermarks");
            assert_eq!(transport.room(), Some(100));
            for (count, room) in [(99, Some(1)), (1, Some(0)), (1, None)] {
                transport.write(vec![1; count]);
                assert_eq!(transport.room(), room);
            }
            faults.release_sends();
            world.until(|| transport.buffered() == 0);
            assert_eq!(transport.room(), Some(100));
            let other = Log::new();
            let (gone, _raw) = world.accept_one(Trace::new(&other));
            gone.abort();
            world.until(|| other.is_lost());
            world.settle();
            assert_eq!(gone.room(), None);
        });
    }

    fn w14_w23_resume_writing_at_low_and_lent_bytes_count(world: &World) {
        for (second, resumes) in [(51, false), (50, true), (3, true)] {
            let log = Log::new();
            held(world, &log, watched(&log), |world, faults, transport, _| {
                transport.set_watermarks(50, 100).expect("watermarks");
                transport.write([1; 100]);
                world.settle();
                assert_eq!((transport.buffered(), faults.held()), (100, 1));
                transport.write(vec![2; second]);
                world.until(|| flow_events(&log) == [Event::Pause]);
                assert_eq!((transport.buffered(), faults.held()), (100 + second, 1));
                // The first hundred leave; what came after them is lent to the backend then, and still counts.
                faults.release_held();
                world.until(|| transport.buffered() == second);
                world.settle();
                assert_eq!((transport.buffered(), faults.held()), (second, 1));
                assert_eq!(log.count(&Event::Resume), usize::from(resumes));
                faults.release_sends();
                world.until(|| log.count(&Event::Resume) == 1 && transport.buffered() == 0);
            });
        }
    }

    fn a_write_beyond_the_limit_fails_the_connection(world: &World) {
        let (log, other) = (Log::new(), Log::new());
        let (transport, raw) = world.accept_one(Trace::new(&log));
        let (bystander, far) = world.accept_one(Trace::new(&other));
        transport.set_write_limit(1000);
        assert!(transport.write([1; 1001]).is_accepted(), "up to the limit, and one write more");
        assert_eq!(transport.write([2; 1]), marline_reactor::WriteStatus::Closed);
        world.until(|| log.is_lost() && raw.is_reset());
        let lost = log.lost().expect("a loss");
        assert!(lost.to_string().contains("more than 1000 bytes waited"), "{lost}");
        assert_eq!((lost.unsent(), log.losses()), (1001, 1));
        bystander.write("still here");
        assert_eq!(collect_up_to(world, &far, 10), b"still here");
        assert!(!other.is_lost());
    }

    fn w16_a_high_of_zero_pauses_as_soon_as_anything_is_buffered(world: &World) {
        let log = Log::new();
        held(world, &log, watched(&log), |world, faults, transport, _| {
            transport.set_watermarks(0, 0).expect("watermarks");
            world.settle();
            transport.write(b"");
            world.settle();
            assert_eq!(flow_events(&log), []);
            assert_eq!(transport.write(b"1"), WriteStatus::OverHigh);
            world.until(|| flow_events(&log) == [Event::Pause]);
            faults.release_sends();
            world.until(|| flow_events(&log) == [Event::Pause, Event::Resume]);
            // From here on the backend sends at once, so nothing is ever buffered when the flow is looked at.
            assert_eq!(transport.write(b"2"), WriteStatus::OverHigh);
            world.until(|| transport.buffered() == 0);
            world.settle();
            assert_eq!(flow_events(&log), [Event::Pause, Event::Resume]);
        });
    }

    fn w17_a_high_below_low_is_an_error_and_changes_nothing(world: &World) {
        let log = Log::new();
        held(world, &log, watched(&log), |world, _, transport, _| {
            assert_eq!(transport.watermarks(), (16 * 1024, 64 * 1024));
            transport.set_watermarks(5, 10).expect("watermarks");
            transport.write([1; 7]);
            let error = transport.set_watermarks(6, 5).expect_err("an error");
            assert_eq!(error.to_string(), "the low watermark (6) is above the high one (5)");
            assert_eq!(transport.watermarks(), (5, 10));
            world.settle();
            assert_eq!(flow_events(&log), []);
            transport.set_watermarks(5, 5).expect("equal watermarks are fine");
            world.until(|| flow_events(&log) == [Event::Pause]);
        });
    }

    fn w18_lowering_high_below_the_size_pauses_and_raising_low_resumes(world: &World) {
        let log = Log::new();
        held(world, &log, watched(&log), |world, _, transport, _| {
            transport.set_watermarks(10, 100).expect("watermarks");
            transport.write([1; 50]);
            world.settle();
            transport.set_watermarks(10, 50).expect("watermarks");
            world.settle();
            assert_eq!(flow_events(&log), []);
            transport.set_watermarks(10, 49).expect("watermarks");
            assert_eq!(flow_events(&log), []);
            world.until(|| flow_events(&log) == [Event::Pause]);
            transport.set_watermarks(49, 100).expect("watermarks");
            world.settle();
            assert_eq!(flow_events(&log), [Event::Pause]);
            transport.set_watermarks(50, 100).expect("watermarks");
            world.until(|| flow_events(&log) == [Event::Pause, Event::Resume]);
        });
    }

    fn w18_a_high_that_is_raised_again_before_the_loop_looks_triggers_nothing(world: &World) {
        let log = Log::new();
        held(world, &log, watched(&log), |world, _, transport, _| {
            transport.write([1; 50]);
            transport.set_watermarks(10, 20).expect("watermarks");
            transport.set_watermarks(10, 50).expect("watermarks");
            world.settle();
            assert_eq!(flow_events(&log), []);
        });
    }

    fn w19_a_large_write_that_completes_at_once_triggers_no_pause(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(watched(&log));
        world.send_whole();
        transport.set_watermarks(0, 10).expect("watermarks");
        for _ in 0..5 {
            assert_eq!(transport.write([1; 9000]), WriteStatus::OverHigh);
            world.settle();
            assert_eq!((transport.buffered(), world.read(&raw, 9000).len()), (0, 9000));
        }
        assert_eq!(log.events(), [Event::Made]);
    }

    fn w19_nor_does_one_inside_a_callback(world: &World) {
        let log = Log::new();
        // A ring sends in the next wait, whoever flushes. All others have sent after a flush.
        let flushes = !world.is_completion();
        let protocol = Trace::new(&log).on(Event::Data(0), move |transport| {
            assert_eq!(transport.write([1; 9000]), WriteStatus::OverHigh);
            if flushes {
                transport.flush();
                assert_eq!(transport.buffered(), 0);
            }
            assert_eq!(transport.write([1; 9000]), WriteStatus::OverHigh);
        });
        let (transport, raw) = world.accept_one(protocol);
        world.send_whole();
        transport.set_watermarks(0, 10).expect("watermarks");
        raw.write(b"go");
        assert_eq!(world.read(&raw, 18_000).len(), 18_000);
        world.settle();
        assert_eq!(log.events(), [Event::Made]);
    }

    fn w20_refilling_inside_resume_writing_pauses_again(world: &World) {
        let log = Log::new();
        let refills = Rc::new(Cell::new(3));
        let left = Rc::clone(&refills);
        let protocol = Trace::new(&log).on(Event::Resume, move |transport| {
            if left.get() > 0 {
                left.set(left.get() - 1);
                assert_eq!(transport.write([1; 200]), WriteStatus::OverHigh);
            }
        });
        held(world, &log, protocol, |world, faults, transport, raw| {
            transport.set_watermarks(10, 100).expect("watermarks");
            transport.write([1; 200]);
            for round in 1..=4 {
                world.until(|| log.count(&Event::Pause) == round);
                assert_eq!(log.count(&Event::Resume), round - 1);
                faults.release_held();
                world.until(|| log.count(&Event::Resume) == round);
            }
            world.settle();
            assert_eq!((transport.buffered(), raw.read().len()), (0, 800));
            assert_eq!(flow_events(&log).len(), 8);
        });
    }

    fn w20_a_write_that_is_sent_from_resume_writing_at_once_pauses_nothing(world: &World) {
        let log = Log::new();
        let protocol = Trace::new(&log).on(Event::Resume, |transport| {
            transport.write([1; 200]);
        });
        held(world, &log, protocol, |world, faults, transport, raw| {
            transport.set_watermarks(10, 100).expect("watermarks");
            transport.write([1; 200]);
            world.until(|| flow_events(&log) == [Event::Pause]);
            faults.release_sends();
            world.until(|| log.count(&Event::Resume) == 1);
            world.settle();
            assert_eq!((transport.buffered(), raw.read().len()), (0, 400));
            assert_eq!(flow_events(&log), [Event::Pause, Event::Resume]);
        });
    }
}

streams! {
    fn w15_w24_pause_and_resume_alternate_and_the_size_returns_to_zero(world: &World) {
        let log = Log::new();
        let rest = Rc::new(RefCell::new(world.payload()));
        let source = Rc::clone(&rest);
        // The protocol writes whenever it may, as a program does that respects flow control.
        let size = world.payload().len();
        let protocol = Trace::new(&log).with(move |transport, event, _| {
            let (low, high) = transport.watermarks();
            match event {
                Event::Made => transport.set_watermarks(size / 16, size / 8).expect("watermarks"),
                Event::Pause => assert!(transport.buffered() > high),
                Event::Resume => assert!(transport.buffered() <= low),
                _ => {}
            }
            if matches!(event, Event::Made | Event::Resume) {
                fill(transport, &mut source.borrow_mut());
            }
        });
        if let Some(memory) = world.as_memory() {
            memory.network().set_capacity(1000);
        }
        let (transport, raw) = world.accept_one(protocol);
        // What was written without a pause being due is followed by more.
        let mut seen = Vec::new();
        let wanted = world.payload();
        while seen.len() < wanted.len() {
            fill(&transport, &mut rest.borrow_mut());
            world.turn();
            seen.extend(raw.read_up_to(5000));
        }
        assert!(seen == wanted, "the bytes differ");
        world.until(|| transport.buffered() == 0 && flow_events(&log).len() % 2 == 0);
        assert_alternating(&log);
        if world.is_memory() {
            assert!(log.count(&Event::Pause) > 0, "a wire of 1000 bytes holds back");
        }
        transport.notify_drained();
        transport.notify_drained();
        world.until(|| log.count(&Event::Drained) > 0);
        assert_eq!(transport.buffered(), 0);
    }

    fn w24_the_size_is_zero_after_each_drain(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        for round in 1..=3 {
            transport.write(world.payload());
            transport.notify_drained();
            world.read(&raw, world.payload().len());
            world.until(|| log.count(&Event::Drained) == round);
            assert_eq!(transport.buffered(), 0);
        }
        assert_alternating(&log);
    }
}

/// Writes until the status says that it is enough.
fn fill(transport: &Transport, rest: &mut Vec<u8>) {
    if transport.buffered() > transport.watermarks().1 {
        return;
    }
    while !rest.is_empty() {
        let piece: Vec<u8> = rest.drain(..rest.len().min(10_000)).collect();
        if transport.write(piece) != WriteStatus::Ok {
            return;
        }
    }
}

/// A flow callback is decided on what is true when it runs, not when it was queued.
#[test]
fn w15_a_pause_that_is_no_longer_due_is_not_told() {
    World::on_memory(|world| {
        let log = Log::new();
        held(world, &log, watched(&log), |world, faults, transport, raw| {
            transport.set_watermarks(10, 100).expect("watermarks");
            let flusher = transport.clone();
            transport.write(pattern(150));
            world.turn();
            assert_eq!(faults.held(), 1);
            // The turn that looks at the flow runs this first: by then the size says resume, so nothing is told.
            world.handle().call_soon(move || flusher.set_watermarks(200, 300).expect("watermarks"));
            world.settle();
            assert_eq!(flow_events(&log), []);
            faults.release_sends();
            world.settle();
            assert_eq!((raw.read().len(), flow_events(&log)), (150, vec![]));
        });
    });
}
