//! Filters: those with a handshake.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::filter::{FilterError, ReadAhead};
use marline_reactor::{Reason, Transport};

use crate::conformance;
use crate::support::toys::{ANSWER, ASK, Calls, Toy, turned};
use crate::support::{Event, Log, Raw, Trace, World, collect, failures, is_over};

const KEY: u8 = 0x15;

fn push(transport: &Transport, filter: Toy) {
    assert!(transport.push_filter(filter, ReadAhead::Feed).is_ok(), "the connection lives");
}

/// A connection with the filter on it, which has begun.
fn shaking(world: &World, filter: Toy, protocol: Trace) -> (Transport, Raw) {
    let (transport, raw) = world.accept_one(protocol);
    push(&transport, filter);
    (transport, raw)
}

fn answer(world: &World, raw: &Raw, rounds: usize) {
    for _ in 0..rounds {
        assert_eq!(world.read(raw, 1), [ASK]);
        world.write(raw, &[ANSWER]);
    }
}

/// The reason is this error of a filter's.
fn is_failure(log: &Log, text: &str) -> bool {
    log.lost().is_some_and(|lost| match lost.reason() {
        Reason::Failed(error) => error.to_string().contains(text),
        _ => false,
    })
}

conformance! {
    fn nothing_flows_before_the_handshake_is_done(world: &World) {
        let log = Log::new();
        let (transport, raw) = shaking(world, Toy::new(KEY).rounds(3), Trace::new(&log));
        assert!(transport.write(b"early ").is_accepted());
        answer(world, &raw, 2);
        assert_eq!(world.read(&raw, 1), [ASK]);
        world.settle();
        assert!(raw.read().is_empty() && log.events() == [Event::Made]);
        assert_eq!(transport.buffered(), 6);
        // The last of the handshake and what follows come as one.
        let mut last = vec![ANSWER];
        last.extend(turned(KEY, b"hello"));
        world.write(&raw, &last);
        world.until(|| log.received() == 5);
        assert_eq!(log.bytes(), b"hello");
        assert_eq!(log.events(), [Event::Made, Event::Established]);
        assert!(matches!(log.all()[1], Event::Established), "{:?}", log.all());
        assert!(transport.write(b"late").is_accepted());
        assert_eq!(world.read(&raw, 10), turned(KEY, b"early late"));
        world.until(|| transport.buffered() == 0);
        transport.close();
        raw.close();
        world.until(|| log.is_lost());
    }

    fn nothing_is_sent_before_filter_established_returned(world: &World) {
        let log = Log::new();
        let protocol = Trace::new(&log).on(Event::Established, |transport| {
            transport.write(b" and then");
        });
        let (transport, raw) = shaking(world, Toy::new(KEY).rounds(1), protocol);
        transport.write(b"first");
        answer(world, &raw, 1);
        assert_eq!(world.read(&raw, 14), turned(KEY, b"first and then"));
        assert_eq!(log.count(&Event::Established), 1);
    }

    fn an_abort_in_filter_established_keeps_back_what_waits(world: &World) {
        let log = Log::new();
        let protocol = Trace::new(&log).on(Event::Established, Transport::abort);
        let (transport, raw) = shaking(world, Toy::new(KEY).rounds(1), protocol);
        transport.write(b"secret");
        answer(world, &raw, 1);
        world.until(|| log.is_lost());
        world.settle();
        assert!(raw.read().is_empty());
        assert_eq!(log.reason().as_deref(), Some("Aborted"));
        assert_eq!(log.losses(), 1);
    }

    fn a_close_in_filter_established_sends_what_waits(world: &World) {
        let log = Log::new();
        let protocol = Trace::new(&log).on(Event::Established, Transport::close);
        let (transport, raw) = shaking(world, Toy::new(KEY).rounds(1), protocol);
        transport.write(b"all of it");
        answer(world, &raw, 1);
        assert_eq!(collect(world, &raw), turned(KEY, b"all of it"));
        raw.close();
        world.until(|| log.is_lost());
        assert_eq!(log.reason().as_deref(), Some("Clean"));
    }

    fn single_bytes_make_no_difference(world: &World) {
        let (log, calls) = (Log::new(), Calls::default());
        let (_transport, raw) = shaking(world, Toy::new(KEY).rounds(5).noting(&calls), Trace::new(&log));
        let mut all = vec![ANSWER; 5];
        all.extend(turned(KEY, b"data"));
        for byte in all {
            world.write(&raw, &[byte]);
            world.turn_a_little();
        }
        world.until(|| log.received() == 4);
        assert_eq!(log.bytes(), b"data");
        assert_eq!((log.count(&Event::Established), calls.count("start")), (1, 1));
        raw.finish();
        world.until(|| log.is_lost());
    }

    fn the_handshake_goes_on_while_the_protocol_paused(world: &World) {
        let log = Log::new();
        let (transport, raw) = shaking(world, Toy::new(KEY).rounds(3), Trace::new(&log));
        transport.pause_reading();
        answer(world, &raw, 2);
        assert_eq!(world.read(&raw, 1), [ASK]);
        let mut last = vec![ANSWER];
        last.extend(turned(KEY, b"kept back"));
        world.write(&raw, &last);
        world.until(|| log.count(&Event::Established) == 1);
        world.settle();
        assert_eq!(log.received(), 0);
        transport.resume_reading();
        world.until(|| log.received() == 9);
        assert_eq!(log.bytes(), b"kept back");
    }

    fn a_close_during_the_handshake_ends_promptly(world: &World) {
        let (log, calls) = (Log::new(), Calls::default());
        let filter = Toy::new(KEY).rounds(2).takes_leave().noting(&calls);
        let (transport, raw) = shaking(world, filter, Trace::new(&log));
        transport.write(b"never sent");
        answer(world, &raw, 1);
        assert_eq!(world.read(&raw, 1), [ASK]);
        let before = world.handle().now();
        transport.close();
        world.until(|| is_over(&raw));
        raw.close();
        world.until(|| log.is_lost());
        assert!(world.handle().now() - before < Duration::from_secs(5));
        assert_eq!((log.losses(), log.reason().as_deref()), (1, Some("Aborted")));
        assert_eq!(log.lost().map(|lost| lost.unsent()), Some(10));
        assert_eq!(calls.count("close") + calls.count("outbound"), 0);
    }

    fn a_failure_tells_the_peer_and_ends_without_reset(world: &World) {
        let log = Log::new();
        let (transport, raw) = shaking(world, Toy::new(KEY).rounds(2), Trace::new(&log));
        transport.write(b"never sent");
        assert_eq!(world.read(&raw, 1), [ASK]);
        // It goes on sending, as it does not know yet.
        world.write(&raw, b"#");
        world.write(&raw, &vec![b'#'; 50_000]);
        assert_eq!(collect(world, &raw), b"bad");
        assert!(!raw.is_reset());
        raw.close();
        world.until(|| log.is_lost());
        assert!(is_failure(&log, "no answer of the handshake's"), "{:?}", log.lost());
        assert_eq!((log.losses(), log.received(), log.count(&Event::Established)), (1, 0, 0));
        world.settle();
        assert!(!raw.is_reset());
    }

    fn a_handshake_whose_peer_ends_is_truncated(world: &World) {
        let log = Log::new();
        let (_transport, raw) = shaking(world, Toy::new(KEY).rounds(2), Trace::new(&log));
        answer(world, &raw, 1);
        raw.finish();
        world.until(|| log.is_lost());
        assert_eq!((log.losses(), log.reason().as_deref()), (1, Some("Truncated")));
        assert_eq!(log.count(&Event::Eof), 0);
    }

    fn an_end_that_came_before_the_filter_is_told_to_it(world: &World) {
        let (log, calls) = (Log::new(), Calls::default());
        let (transport, raw) = world.accept_one(Trace::new(&log).keep_open());
        raw.finish();
        world.until(|| log.count(&Event::Eof) == 1);
        push(&transport, Toy::new(KEY).rounds(2).noting(&calls));
        world.until(|| log.is_lost());
        assert_eq!(log.reason().as_deref(), Some("Truncated"));
        assert_eq!(calls.count("inbound_end"), 1);
    }

    fn a_deadline_ends_it_with_a_timeout_and_no_timer_is_left(world: &World) {
        let (log, timers) = (Log::new(), world.handle().stats().timers);
        let filter = Toy::new(KEY).rounds(2).with(|name, flow| {
            match name {
                "start" => flow.set_deadline(Some(Duration::from_millis(30))),
                "deadline" => return Err(FilterError::timeout()),
                _ => {}
            }
            Ok(())
        });
        let (transport, raw) = shaking(world, filter, Trace::new(&log));
        transport.write(b"never sent");
        answer(world, &raw, 1);
        world.until(|| log.is_lost());
        assert_eq!((log.losses(), log.reason().as_deref()), (1, Some("Timeout")));
        assert_eq!(world.handle().stats().timers, timers);
    }

    fn a_deadline_is_over_with_the_connection_and_with_the_filter(world: &World) {
        let timers = world.handle().stats().timers;
        for ends in [Transport::abort as fn(&Transport), Transport::close] {
            let log = Log::new();
            let filter = Toy::new(KEY).rounds(2).with(|_, flow| {
                flow.set_deadline(Some(Duration::from_secs(1000)));
                Ok(())
            });
            let (transport, raw) = shaking(world, filter, Trace::new(&log));
            assert_eq!(world.read(&raw, 1), [ASK]);
            ends(&transport);
            raw.close();
            world.until(|| log.is_lost());
            assert_eq!(world.handle().stats().timers, timers);
        }
    }

    fn a_panic_in_any_method_ends_that_connection_only(world: &World) {
        let methods = ["start", "inbound", "inbound_end", "outbound", "outbound_end", "close", "deadline"];
        for method in methods {
            let (log, calls, failed) = (Log::new(), Calls::default(), failures(&world.handle()));
            let filter = Toy::new(KEY).rounds(1).noting(&calls).with(move |name, flow| {
                if name == "start" {
                    flow.set_deadline(Some(Duration::from_millis(300)));
                }
                assert!(name != method, "as the test wants");
                Ok(())
            });
            let (transport, raw) = shaking(world, filter, Trace::new(&log).keep_open());
            transport.write(b"some bytes");
            world.write(&raw, &[ANSWER, b'x']);
            let wanted = |name: &str| method == name || log.is_lost();
            world.until(|| wanted("start") || wanted("inbound") || log.count(&Event::Established) == 1);
            match method {
                "inbound_end" => raw.finish(),
                "outbound_end" => transport.write_eof(),
                "close" => transport.close(),
                _ => {}
            }
            world.until(|| log.is_lost());
            assert_eq!((log.losses(), log.reason().as_deref()), (1, Some("Panicked")), "{method}");
            assert_eq!(calls.count(method), 1);
            drop(failed);
        }
        assert_eq!(world.handle().stats().connections, 0);
    }

    fn a_silent_peer_costs_no_turns(world: &World) {
        let log = Log::new();
        let (transport, raw) = shaking(world, Toy::new(KEY).rounds(2), Trace::new(&log));
        transport.write(b"waits");
        answer(world, &raw, 1);
        assert_eq!(world.read(&raw, 1), [ASK]);
        idle(world);
        // Nor does one that paused, with bytes behind the handshake.
        transport.pause_reading();
        let mut last = vec![ANSWER];
        last.extend(vec![7; 3000]);
        world.write(&raw, &last);
        world.until(|| log.count(&Event::Established) == 1);
        idle(world);
        transport.resume_reading();
        world.until(|| log.received() == 3000);
        idle(world);
        transport.abort();
        world.until(|| log.is_lost());
    }

    fn the_handshake_begins_when_the_callback_returns(world: &World) {
        let (log, calls, story) = (Log::new(), Calls::default(), Rc::new(RefCell::new(Vec::new())));
        let (begins, seen) = (calls.clone(), Rc::clone(&story));
        let protocol = Trace::new(&log).on(Event::Data(0), move |transport| {
            push(transport, Toy::new(KEY).rounds(1).noting(&begins));
            transport.write(b"through");
            seen.borrow_mut().push(begins.all());
        });
        let (_transport, raw) = world.accept_one(protocol);
        world.write(&raw, b"g");
        answer(world, &raw, 1);
        assert_eq!(world.read(&raw, 7), turned(KEY, b"through"));
        assert_eq!(*story.borrow(), [Vec::<&str>::new()]);
        assert_eq!(calls.all()[0], "start");
    }

    fn two_pushes_are_established_one_after_the_other(world: &World) {
        let (log, other) = (Log::new(), Rc::new(Cell::new(false)));
        let protocol = Trace::new(&log).on(Event::Established, move |transport| {
            if !other.replace(true) {
                push(transport, Toy::new(0x40).rounds(1));
            }
        });
        let (transport, raw) = shaking(world, Toy::new(KEY).rounds(1), protocol);
        transport.write(b"waits for both?");
        answer(world, &raw, 1);
        // What was written before the second goes through the first alone.
        assert_eq!(world.read(&raw, 15), turned(KEY, b"waits for both?"));
        assert_eq!(world.read(&raw, 1), turned(KEY, &[ASK]));
        world.write(&raw, &turned(KEY, &[ANSWER]));
        world.until(|| log.count(&Event::Established) == 2);
        transport.write(b"both");
        assert_eq!(world.read(&raw, 4), turned(KEY ^ 0x40, b"both"));
    }
}

/// The loop has nothing to do, and does nothing.
pub fn idle(world: &World) {
    world.settle();
    let before = world.handle().stats();
    assert_eq!(before.ready, 0);
    for _ in 0..20 {
        world.wait(Duration::from_millis(1));
    }
    let after = world.handle().stats();
    assert_eq!((after.receives, after.sends), (before.receives, before.sends));
    assert_eq!((after.callbacks, after.events), (before.callbacks, before.events));
}
