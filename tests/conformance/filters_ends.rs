//! Filters: how connections with them end.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::Transport;
use marline_reactor::filter::{FilterError, ReadAhead};

use crate::conformance;
use crate::support::toys::{Calls, LEAVE, Toy, turned};
use crate::support::{Event, Log, Raw, Trace, World, collect, failures, flood, is_over};

const KEY: u8 = 0x15;

/// A connection with a filter that is established.
fn filtered(world: &World, filter: Toy, protocol: Trace, log: &Log) -> (Transport, Raw) {
    let (transport, raw) = world.accept_one(protocol);
    assert!(transport.push_filter(filter, ReadAhead::Feed).is_ok(), "the connection lives");
    world.until(|| log.count(&Event::Established) == 1);
    (transport, raw)
}

conformance! {
    fn a_close_takes_leave_behind_what_was_written(world: &World) {
        let (log, calls) = (Log::new(), Calls::default());
        let (transport, raw) = filtered(world, Toy::new(KEY).takes_leave().noting(&calls), Trace::new(&log), &log);
        transport.write(b"the last");
        transport.close();
        let expected = [turned(KEY, b"the last"), vec![LEAVE]].concat();
        assert_eq!(world.read(&raw, 9), expected);
        // What comes meanwhile is dropped.
        world.write(&raw, &vec![b'x'; 100_000]);
        world.settle();
        assert!(!log.is_lost());
        world.write(&raw, &[LEAVE]);
        assert!(collect(world, &raw).is_empty());
        raw.close();
        world.until(|| log.is_lost());
        assert_eq!((log.received(), log.losses(), log.reason().as_deref()), (0, 1, Some("Clean")));
        assert_eq!(calls.count("close"), 1);
        assert!(!raw.is_reset());
    }

    fn a_peer_that_never_answers_is_given_up(world: &World) {
        let (log, timers) = (Log::new(), world.handle().stats().timers);
        let (transport, raw) = filtered(world, Toy::new(KEY).takes_leave(), Trace::new(&log), &log);
        transport.set_close_timeout(Duration::from_millis(60));
        transport.close();
        assert_eq!(world.read(&raw, 1), [LEAVE]);
        world.until(|| log.is_lost());
        assert_eq!((log.losses(), log.reason().as_deref()), (1, Some("Timeout")));
        assert_eq!(world.handle().stats().timers, timers);
    }

    fn a_leave_of_two_goes_from_the_top_down(world: &World) {
        let log = Log::new();
        let (transport, raw) = filtered(world, Toy::new(KEY).takes_leave(), Trace::new(&log), &log);
        let upper = Toy::new(0x40).takes_leave().with(|name, _| {
            // An error in its leave ends that alone.
            if name == "inbound" { Err(FilterError::new("nobody cares")) } else { Ok(()) }
        });
        transport.push_filter(upper, ReadAhead::Feed).expect("a connection");
        world.until(|| log.count(&Event::Established) == 2);
        transport.close();
        assert_eq!(world.read(&raw, 1), turned(KEY, &[LEAVE]));
        world.settle();
        assert!(raw.read().is_empty());
        world.write(&raw, b"z");
        assert_eq!(world.read(&raw, 1), [LEAVE]);
        world.write(&raw, &[LEAVE]);
        raw.close();
        world.until(|| log.is_lost());
        assert_eq!((log.losses(), log.reason().as_deref()), (1, Some("Clean")));
    }

    fn the_end_or_a_reset_ends_a_leave(world: &World) {
        for end in [Raw::finish as fn(&Raw), Raw::reset, Raw::close] {
            let log = Log::new();
            let (transport, raw) = filtered(world, Toy::new(KEY).takes_leave(), Trace::new(&log), &log);
            transport.close();
            assert_eq!(world.read(&raw, 1), [LEAVE]);
            let before = world.handle().now();
            end(&raw);
            world.until(|| log.is_lost());
            assert!(world.handle().now() - before < Duration::from_secs(5));
            assert_eq!((log.losses(), log.reason().as_deref()), (1, Some("Clean")));
        }
    }

    fn an_end_of_ours_may_stay_above_and_go_below_later(world: &World) {
        let (log, calls) = (Log::new(), Calls::default());
        let later = Rc::new(Cell::new(false));
        let filter = Shy { calls: calls.clone(), later: Rc::clone(&later) };
        let (transport, raw) = world.accept_one(Trace::new(&log).keep_open());
        transport.push_filter(filter, ReadAhead::Feed).expect("a connection");
        transport.write(b"x");
        transport.write_eof();
        assert_eq!(world.read(&raw, 5), b"x<eof");
        world.settle();
        assert!(!raw.is_finished() && !is_over(&raw));
        assert!(!transport.write(b"more").is_accepted());
        world.write(&raw, b"still read");
        world.until(|| log.received() == 10);
        // Now it goes below, too.
        world.write(&raw, b"!");
        assert!(collect(world, &raw).is_empty());
        assert_eq!((calls.count("outbound_end"), log.is_lost()), (1, false));
        raw.finish();
        world.until(|| log.is_lost());
        assert_eq!((log.count(&Event::Eof), log.reason().as_deref()), (1, Some("Clean")));
    }

    fn a_truncated_direction_delivers_what_came_first(world: &World) {
        let log = Log::new();
        let filter = Toy::new(KEY).with(|name, _| {
            if name == "inbound_end" { Err(FilterError::truncated()) } else { Ok(()) }
        });
        let (transport, raw) = filtered(world, filter, Trace::new(&log), &log);
        transport.pause_reading();
        world.write(&raw, &turned(KEY, b"all there is"));
        raw.finish();
        world.settle();
        assert!(!log.is_lost());
        transport.resume_reading();
        world.until(|| log.is_lost());
        assert_eq!(log.bytes(), b"all there is");
        assert!(log.lost().is_some_and(|lost| lost.is_truncated()));
        assert_eq!(log.count(&Event::Eof), 0);
    }

    fn what_came_before_a_failure_is_delivered(world: &World) {
        let log = Log::new();
        let (_transport, raw) = world.accept_one(Trace::new(&log));
        _transport.push_filter(ByOne, ReadAhead::Feed).expect("a connection");
        world.write(&raw, b"good#bad");
        world.until(|| log.is_lost());
        assert_eq!((log.bytes(), log.reason().as_deref()), (b"good".to_vec(), Some("Failed")));
        world.until(|| is_over(&raw));
        assert!(!raw.is_reset());
    }

    fn a_failing_filter_whose_peer_does_not_read(world: &World) {
        let log = Log::new();
        let filter = Toy::new(KEY).with(|name, flow| {
            flow.send(b"alert");
            if name == "inbound" { Err(FilterError::new("bad")) } else { Ok(()) }
        });
        let (transport, raw) = filtered(world, filter, Trace::new(&log), &log);
        transport.set_close_timeout(Duration::from_millis(60));
        flood(world, &transport);
        raw.write(b"x");
        world.until(|| log.is_lost());
        assert_eq!((log.losses(), log.reason().as_deref()), (1, Some("Failed")));
    }

    fn published_values_live_until_the_loss_was_told(world: &World) {
        let (log, value) = (Log::new(), Rc::new(String::from("known")));
        let shared = Rc::downgrade(&value);
        let filter = Toy::new(KEY).with({
            let value = Cell::new(Some(value));
            move |_, flow| {
                value.take().into_iter().for_each(|value| flow.publish(value));
                Ok(())
            }
        });
        let seen = Rc::new(Cell::new(0));
        let counted = Rc::clone(&seen);
        let protocol = Trace::new(&log).with(move |transport, event, _| {
            let is_known = transport.published::<String>().is_some_and(|value| *value == "known");
            if is_known && matches!(event, Event::Established | Event::Lost(_)) {
                counted.set(counted.get() + 1);
            }
        });
        let (transport, raw) = filtered(world, filter, protocol, &log);
        transport.close();
        raw.close();
        world.until(|| log.is_lost());
        assert_eq!(seen.get(), 2);
        world.settle();
        assert!(transport.published::<String>().is_none());
        assert_eq!(shared.strong_count(), 0);
    }

    fn a_panic_in_a_destructor_harms_nobody(world: &World) {
        let failed = failures(&world.handle());
        for end in [Transport::abort as fn(&Transport), Transport::close] {
            let log = Log::new();
            let bomb = Bomb;
            let filter = Toy::new(KEY).with(move |_, _| {
                let _ = &bomb;
                Ok(())
            });
            let (transport, raw) = filtered(world, filter, Trace::new(&log), &log);
            end(&transport);
            raw.close();
            world.until(|| log.is_lost());
            world.settle();
        }
        assert_eq!(failed.borrow().len(), 2);
        assert_eq!(world.handle().stats().connections, 0);
    }

    fn shutdown_ends_each_once_and_drops_its_filters(world: &World) {
        let world = world.fresh();
        let (log, held) = (Log::new(), Rc::new(()));
        let shared = Rc::downgrade(&held);
        let filter = Toy::new(KEY).rounds(1).with(move |_, flow| {
            let _ = &held;
            flow.set_deadline(Some(Duration::from_secs(100)));
            Ok(())
        });
        let (transport, _raw) = world.accept_one(Trace::new(&log));
        transport.push_filter(filter, ReadAhead::Feed).expect("a connection");
        world.settle();
        world.handle().shutdown();
        world.run();
        assert_eq!((log.losses(), log.reason().as_deref()), (1, Some("Shutdown")));
        assert_eq!((shared.strong_count(), world.handle().stats().timers), (0, 0));
    }

    fn a_reactor_that_is_dropped_drops_its_filters(world: &World) {
        let world = world.fresh();
        let held = Rc::new(());
        let shared = Rc::downgrade(&held);
        let (transport, raw) = world.accept_one(Trace::new(&Log::new()));
        let filter = Toy::new(KEY).rounds(1).with(move |_, _| {
            let _ = &held;
            Ok(())
        });
        transport.push_filter(filter, ReadAhead::Feed).expect("a connection");
        world.settle();
        drop(world);
        assert_eq!(shared.strong_count(), 0);
        drop((transport, raw));
    }
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a destructor that panics");
    }
}

use marline_reactor::filter::{Filter, Flow, Output};
use std::io::IoSlice;

/// Takes one byte at a time, and none that is `#`.
struct ByOne;

impl Filter for ByOne {
    fn inbound(
        &mut self,
        _: &mut Flow<'_>,
        input: &[u8],
        output: &mut Output<'_>,
    ) -> Result<usize, FilterError> {
        match input.first() {
            Some(b'#') => Err(FilterError::new("not that one")),
            Some(byte) => Ok(output.push(&[*byte])),
            None => Ok(0),
        }
    }

    fn outbound(&mut self, flow: &mut Flow<'_>, input: &[IoSlice<'_>]) -> Result<usize, FilterError> {
        input.iter().for_each(|part| flow.send(part));
        Ok(input.iter().map(|part| part.len()).sum())
    }
}

/// Keeps the end of our direction to itself until the peer asks for it.
struct Shy {
    calls: Calls,
    later: Rc<Cell<bool>>,
}

impl Filter for Shy {
    fn inbound(
        &mut self,
        flow: &mut Flow<'_>,
        input: &[u8],
        output: &mut Output<'_>,
    ) -> Result<usize, FilterError> {
        if input == b"!" {
            self.later.set(true);
            flow.shut();
            return Ok(1);
        }
        Ok(output.push(input))
    }

    fn outbound(&mut self, flow: &mut Flow<'_>, input: &[IoSlice<'_>]) -> Result<usize, FilterError> {
        input.iter().for_each(|part| flow.send(part));
        Ok(input.iter().map(|part| part.len()).sum())
    }

    fn outbound_end(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        self.calls.push("outbound_end");
        flow.send(b"<eof");
        Ok(())
    }
}
