//! H: the end of one direction.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{Addresses, WriteStatus};

use crate::support::{Event, Log, Trace, World, collect, collect_up_to, flood, pour};
use crate::{conformance, streams};

/// The events, without those of the flow, which come as they may; data joined.
fn story(log: &Log) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for event in log.all() {
        match (events.last_mut(), event) {
            (_, Event::Pause | Event::Resume) => {}
            (Some(Event::Data(sum)), Event::Data(count)) => *sum += count,
            (_, event) => events.push(event),
        }
    }
    events
}

fn clean() -> Event {
    Event::Lost("Clean".into())
}

/// Joins two connections of the same loop to each other.
fn join(world: &World, near: Trace, far: Trace) {
    let mut far = Some(far);
    let server = world.handle().listen(world.free_endpoint(), move |_: &Addresses| far.take());
    let endpoint = world.endpoint_of(&server.expect("a listener"));
    world.handle().connect(endpoint, move |_: &Addresses| near, |_| {});
}

streams! {
    fn h01_eof_comes_once_after_all_data(world: &World) {
        let log = Log::new();
        let (_, raw) = world.accept_one(Trace::new(&log));
        let payload = world.payload();
        pour(world, &raw, &payload);
        raw.finish();
        world.until(|| log.is_lost());
        world.settle();
        assert_eq!(story(&log), [Event::Made, Event::Data(payload.len()), Event::Eof, clean()]);
        assert!(log.bytes() == payload, "bytes were lost, repeated or moved");
    }

    fn h02_the_default_answer_flushes_and_closes(world: &World) {
        let log = Log::new();
        let payload = world.payload();
        let answer = payload.clone();
        let (transport, raw) = world.accept_one(
            Trace::new(&log).on(Event::Eof, move |transport| {
                transport.write(&answer);
            }),
        );
        let first = world.payload();
        transport.write(&first);
        raw.finish();
        let got = collect(world, &raw);
        assert!(got[..first.len()] == first && got[first.len()..] == payload, "what was written arrives");
        world.until(|| log.is_lost());
        assert!(!raw.is_reset() && !transport.write(b"x").is_accepted());
        assert_eq!(story(&log), [Event::Made, Event::Eof, clean()]);
    }

    fn h03_keeping_open_leaves_writing_possible(world: &World) {
        let log = Log::new();
        let payload = world.payload();
        let (transport, raw) = world.accept_one(Trace::new(&log).keep_open());
        raw.write(b"data");
        raw.finish();
        world.until(|| log.count(&Event::Eof) == 1);
        assert!(transport.write(&payload).is_accepted());
        assert!(collect_up_to(world, &raw, payload.len()) == payload);
        world.settle();
        assert!(transport.write(&payload).is_accepted());
        transport.write_eof();
        assert!(collect(world, &raw) == payload);
        world.until(|| log.is_lost());
        assert_eq!(story(&log), [Event::Made, Event::Data(4), Event::Eof, clean()]);
    }

    fn h04_the_end_comes_after_the_buffered_bytes(world: &World) {
        let log = Log::new();
        let payload = world.payload();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.write(&payload);
        transport.write_eof();
        assert!(collect(world, &raw) == payload, "bytes were lost, repeated or moved");
        world.settle();
        assert!(!raw.is_reset() && !log.is_lost());
        assert_eq!(transport.buffered(), 0);
    }

    fn h13_data_comes_after_our_own_end(world: &World) {
        let log = Log::new();
        let payload = world.payload();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.write(b"question");
        transport.write_eof();
        assert_eq!(collect(world, &raw), b"question");
        pour(world, &raw, &payload);
        world.until(|| log.received() == payload.len());
        assert!(transport.is_reading() && !transport.is_closing());
        raw.finish();
        world.until(|| log.is_lost());
        world.settle();
        assert!(log.bytes() == payload, "bytes were lost, repeated or moved");
        assert_eq!(story(&log), [Event::Made, Event::Data(payload.len()), Event::Eof, clean()]);
    }

    fn h07_both_ends_in_either_order_are_one_clean_loss(world: &World) {
        for ours_first in [true, false] {
            let log = Log::new();
            let payload = world.payload();
            let (transport, raw) = world.accept_one(Trace::new(&log).keep_open());
            transport.write(&payload);
            if ours_first {
                transport.write_eof();
                assert!(collect(world, &raw) == payload);
                assert!(!log.is_lost(), "the peer's direction is open");
                raw.finish();
            } else {
                raw.finish();
                world.until(|| log.count(&Event::Eof) == 1);
                world.settle();
                assert!(!log.is_lost(), "our direction is open");
                transport.write_eof();
                assert!(collect(world, &raw) == payload);
            }
            world.until(|| log.is_lost());
            world.settle();
            assert_eq!(story(&log), [Event::Made, Event::Eof, clean()]);
            assert_eq!(log.lost().map(|lost| lost.unsent()), Some(0));
        }
    }

    fn h12_data_and_hang_up_together_give_the_data_first(world: &World) {
        let log = Log::new();
        let payload = world.payload();
        let payload = &payload[..payload.len().min(32 * 1024)];
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.pause_reading();
        world.settle();
        // Both arrive while the loop does not look, so one look finds both.
        assert_eq!(raw.write(payload), payload.len());
        raw.close();
        transport.resume_reading();
        world.until(|| log.is_lost());
        world.settle();
        assert!(log.bytes() == payload, "bytes were lost, repeated or moved");
        assert_eq!(story(&log), [Event::Made, Event::Data(payload.len()), Event::Eof, clean()]);
    }
}

conformance! {
    fn h02_what_waits_is_sent_before_the_close(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        let written = flood(world, &transport);
        raw.finish();
        world.until(|| log.count(&Event::Eof) == 1);
        world.settle();
        assert!(!log.is_lost() && transport.is_closing());
        assert_eq!(collect(world, &raw).len(), written);
        world.until(|| log.is_lost());
        assert_eq!(story(&log), [Event::Made, Event::Eof, clean()]);
    }

    fn h03_keeping_open_does_not_spin(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log).keep_open());
        raw.finish();
        world.until(|| log.count(&Event::Eof) == 1);
        world.settle();
        let before = world.handle().stats();
        world.advance(Duration::from_millis(100));
        let after = world.handle().stats();
        assert_eq!((after.events, after.receives), (before.events, before.receives));
        // A few are the harness's; a loop that spins makes thousands.
        assert!(after.turns - before.turns < 60, "{} turns with nothing to do", after.turns - before.turns);
        // Nor do a pause and its end make it look again.
        transport.pause_reading();
        transport.resume_reading();
        world.settle();
        assert_eq!(log.all(), [Event::Made, Event::Eof]);
        assert!(!transport.is_closing());
    }

    fn h05_bytes_after_write_eof_are_refused(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log).on(Event::Data(0), |transport| {
            transport.write(b"before");
            transport.write_eof();
            assert_eq!(transport.write(b"after"), WriteStatus::Closed);
            assert_eq!(transport.write_owned(b"after".to_vec()), WriteStatus::Closed);
            assert_eq!(transport.write_vectored(&[std::io::IoSlice::new(b"after")]), WriteStatus::Closed);
        }));
        raw.write(b"x");
        assert_eq!(collect(world, &raw), b"before");
        assert_eq!(transport.write(b"after"), WriteStatus::Closed);
        world.settle();
        assert_eq!(log.events(), [Event::Made]);
        assert_eq!(transport.buffered(), 0);
    }

    fn h06_a_second_write_eof_does_nothing(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.write(b"data");
        transport.write_eof();
        transport.write_eof();
        assert_eq!(collect(world, &raw), b"data");
        let shutdowns = world.handle().stats().system_calls.shutdowns;
        assert_eq!(shutdowns, 1);
        transport.write_eof();
        world.settle();
        assert_eq!(world.handle().stats().system_calls.shutdowns, shutdowns);
        raw.finish();
        world.until(|| log.is_lost());
        transport.write_eof();
        world.settle();
        assert_eq!(log.events(), [Event::Made, Event::Eof, clean()]);
    }

    fn h06_nor_does_write_eof_after_close(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        let written = flood(world, &transport);
        transport.close();
        transport.write_eof();
        assert_eq!(collect(world, &raw).len(), written);
        world.until(|| log.is_lost());
        world.settle();
        assert_eq!(world.handle().stats().system_calls.shutdowns, 0);
        assert_eq!((log.losses(), log.reason().as_deref()), (1, Some("Clean")));
    }

    fn h07_write_eof_inside_of_eof_received(world: &World) {
        let log = Log::new();
        let (_, raw) = world.accept_one(Trace::new(&log).keep_open().on(Event::Eof, |transport| {
            transport.write(b"goodbye");
            transport.write_eof();
        }));
        raw.finish();
        assert_eq!(collect(world, &raw), b"goodbye");
        world.until(|| log.is_lost());
        world.settle();
        assert_eq!(log.all(), [Event::Made, Event::Eof, clean()]);
    }

    fn h10_simultaneous_ends_do_not_hang(world: &World) {
        let (left, right) = (Log::new(), Log::new());
        let ends = |log: &Log| {
            Trace::new(log).keep_open().on(Event::Made, |transport| {
                transport.write(b"all there is");
                transport.write_eof();
            })
        };
        let far = ends(&right);
        join(world, ends(&left), far);
        world.until(|| left.is_lost() && right.is_lost());
        world.settle();
        for log in [&left, &right] {
            assert_eq!(story(log), [Event::Made, Event::Data(12), Event::Eof, clean()]);
        }
    }

    fn h10_nor_do_simultaneous_closes(world: &World) {
        let (left, right) = (Log::new(), Log::new());
        let closes = |log: &Log, count: &Rc<Cell<usize>>| {
            let count = Rc::clone(count);
            Trace::new(log).on(Event::Made, move |transport| {
                transport.write(b"all there is");
                transport.close();
                count.set(count.get() + 1);
            })
        };
        let made = Rc::new(Cell::new(0));
        let far = closes(&right, &made);
        join(world, closes(&left, &made), far);
        world.until(|| left.is_lost() && right.is_lost());
        world.settle();
        assert_eq!(made.get(), 2);
        for log in [&left, &right] {
            assert_eq!((log.losses(), log.received()), (1, 0));
        }
    }

    fn h11_a_failure_in_eof_received_closes_both_directions(world: &World) {
        for panics in [true, false] {
            let log = Log::new();
            let (transport, raw) = world.accept_one(Trace::new(&log).keep_open().on(Event::Eof, move |transport| {
                transport.write_eof();
                assert!(!panics, "a failure");
                transport.fail("a failure");
            }));
            raw.write(b"data");
            raw.finish();
            world.until(|| log.is_lost());
            world.settle();
            let reason = if panics { "Panicked" } else { "Failed" };
            assert_eq!(story(&log), [Event::Made, Event::Data(4), Event::Eof, Event::Lost(reason.into())]);
            world.until(|| raw.is_reset());
            assert!(transport.is_closing());
        }
        assert_eq!(world.handle().stats().connections, 0);
    }

    fn h01_the_end_waits_for_a_paused_reader(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log).on(Event::Data(0), |transport| {
            transport.pause_reading();
        }));
        raw.write(b"data");
        raw.finish();
        world.until(|| log.received() > 0);
        world.settle();
        assert_eq!(log.count(&Event::Eof), 0);
        world.until(|| {
            transport.resume_reading();
            log.is_lost()
        });
        assert_eq!(story(&log), [Event::Made, Event::Data(4), Event::Eof, clean()]);
    }
}
