//! S: close, abort, reset, stop and shutdown.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::{ListenError, Phase, Transport};

use crate::support::{Event, Log, Raw, Trace, World, collect, flood};
use crate::{conformance, streams};

fn reset_seen(world: &World, raw: &Raw) {
    world.until(|| {
        let _ = raw.read();
        raw.is_reset()
    });
}

streams! {
    fn s23_s27_close_flushes_everything_and_resets_nobody(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        let payload = world.payload();
        let (first, second) = payload.split_at(payload.len() / 3);
        transport.write(first);
        transport.write_owned(second.to_vec());
        transport.close();
        assert_eq!(transport.write(b"late"), marline_reactor::WriteStatus::Closed);
        assert!(collect(world, &raw) == payload, "bytes were lost, repeated or moved");
        world.until(|| log.is_lost());
        world.settle();
        assert!(raw.is_finished() && !raw.is_reset());
        assert_eq!(log.losses(), 1);
        assert_eq!(log.lost().map(|lost| (lost.is_clean(), lost.unsent())), Some((true, 0)));
    }

    fn s27_close_over_bytes_nobody_read_does_not_reset_the_peer(world: &World) {
        let log = Log::new();
        let payload = world.payload();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.pause_reading();
        world.settle();
        raw.write(&payload);
        world.settle();
        transport.write(&payload);
        transport.close();
        assert!(collect(world, &raw) == payload, "what was written before the close arrives");
        assert!(!raw.is_reset());
        raw.finish();
        world.until(|| log.is_lost());
        assert_eq!((log.received(), log.count(&Event::Eof), log.reason().as_deref()), (0, 0, Some("Clean")));
    }

    fn s24_writes_after_close_are_dropped(world: &World) {
        let log = Log::new();
        let payload = world.payload();
        let sent = payload.clone();
        let (transport, raw) = world.accept_one(Trace::new(&log).on(Event::Data(0), move |transport| {
            transport.write(&sent);
            transport.close();
            assert!(!transport.write(b"dropped").is_accepted());
            assert!(!transport.write_owned(b"dropped".to_vec()).is_accepted());
            assert!(!transport.write_vectored(&[std::io::IoSlice::new(b"dropped")]).is_accepted());
            transport.flush();
        }));
        raw.write(b"go");
        world.until(|| transport.is_closing());
        assert!(!transport.write(b"dropped").is_accepted());
        assert!(collect(world, &raw) == payload, "only what was written before the close arrives");
        raw.finish();
        world.until(|| log.is_lost());
        assert!(!transport.write(b"dropped").is_accepted());
        assert_eq!(log.lost().map(|lost| (lost.is_clean(), lost.unsent())), Some((true, 0)));
    }
}

conformance! {
    fn s25_s26_abort_discards_and_resets(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        let written = flood(world, &transport);
        let waiting = transport.buffered();
        transport.abort();
        assert!(!transport.write(b"after abort").is_accepted());
        let got = RefCell::new(Vec::new());
        world.until(|| {
            got.borrow_mut().extend(raw.read());
            raw.is_reset()
        });
        world.until(|| log.is_lost());
        assert!(got.borrow().len() <= written - waiting);
        assert!(got.borrow().iter().all(|byte| *byte == b'f'), "bytes written after abort were sent");
        let lost = log.lost().expect("a loss");
        assert!(!raw.is_finished() && lost.unsent() > 0 && lost.unsent() <= written);
        assert_eq!((log.losses(), log.reason().as_deref()), (1, Some("Aborted")));
    }

    fn s25_abort_in_the_turn_of_the_write_sends_nothing(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log).on(Event::Data(0), |transport| {
            transport.write(b"discarded");
            transport.abort();
        }));
        raw.write(b"go");
        let got = RefCell::new(Vec::new());
        world.until(|| {
            got.borrow_mut().extend(raw.read());
            raw.is_reset()
        });
        world.until(|| log.is_lost());
        assert_eq!(*got.borrow(), b"");
        assert_eq!(log.lost().map(|lost| lost.unsent()), Some(9));
        assert!(transport.is_closing());
    }

    fn s28_close_after_abort_changes_nothing(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.abort();
        transport.close();
        world.until(|| log.is_lost());
        world.until(|| raw.is_reset());
        assert_eq!(log.events(), [Event::Made, Event::Lost("Aborted".into())]);
    }

    fn s29_abort_is_prompt_though_the_peer_does_not_read(world: &World) {
        for close_first in [false, true] {
            let log = Log::new();
            let (transport, raw) = world.accept_one(Trace::new(&log));
            // Whatever waits for a deadline waits longer than the test.
            transport.set_close_timeout(Duration::from_secs(3600));
            flood(world, &transport);
            if close_first {
                transport.close();
                world.settle();
                assert!(!log.is_lost(), "there are bytes to send");
            }
            let begun = world.handle().now();
            transport.abort();
            world.until(|| log.is_lost());
            assert!(!world.is_memory() || world.handle().now() == begun, "time passed");
            assert_eq!(log.reason().as_deref(), Some("Aborted"));
            reset_seen(world, &raw);
        }
    }

    fn s29_a_peer_that_never_reads_cannot_hold_a_close(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.set_close_timeout(Duration::from_millis(150));
        flood(world, &transport);
        let begun = world.handle().now();
        transport.close();
        world.until(|| log.is_lost());
        assert!(world.handle().now() - begun >= Duration::from_millis(150));
        let lost = log.lost().expect("a loss");
        assert!(lost.is_timeout() && lost.unsent() > 0);
        assert_eq!((log.losses(), log.reason().as_deref()), (1, Some("Timeout")));
        reset_seen(world, &raw);
    }

    fn s29_a_slow_peer_is_waited_for(world: &World) {
        let Some(memory) = world.as_memory() else {
            return crate::support::skip("the deadline is one of inactivity, which takes virtual time to show");
        };
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        flood(world, &transport);
        transport.close();
        for _ in 0..5 {
            world.advance(Duration::from_secs(25));
            assert!(!log.is_lost());
            assert!(!raw.read_up_to(100).is_empty());
            memory.pump();
        }
        world.advance(Duration::from_secs(31));
        assert_eq!(log.reason().as_deref(), Some("Timeout"));
    }

    fn s32_close_inside_resume_writing_is_one_loss(world: &World) {
        for at in [Event::Resume, Event::Pause] {
            let log = Log::new();
            let wanted = at.clone();
            let (transport, raw) = world.accept_one(Trace::new(&log).with(move |transport, event, _| {
                if *event == wanted {
                    transport.close();
                    transport.close();
                }
            }));
            let written = flood(world, &transport);
            let got = Cell::new(0);
            world.until(|| {
                got.set(got.get() + raw.read().len());
                raw.is_finished()
            });
            raw.finish();
            world.until(|| log.is_lost());
            world.settle();
            assert_eq!(got.get(), written);
            assert_eq!((log.count(&at), log.losses(), log.reason().as_deref()), (1, 1, Some("Clean")));
        }
    }

    fn s33_a_reset_is_never_an_end(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log).keep_open());
        raw.write(b"data");
        world.until(|| log.received() == 4);
        raw.reset();
        world.until(|| log.is_lost());
        world.settle();
        assert_eq!(log.events(), [Event::Made, Event::Lost("Reset".into())]);
        assert!(log.lost().is_some_and(|lost| lost.is_reset()));
        assert!(transport.is_closing() && !transport.is_reading());
        assert!(!transport.write(b"x").is_accepted());
        assert_eq!((transport.buffered(), transport.local_address()), (0, None));
    }

    fn s33_not_even_after_the_peers_end(world: &World) {
        let log = Log::new();
        let (_, raw) = world.accept_one(Trace::new(&log).keep_open());
        raw.finish();
        world.until(|| log.count(&Event::Eof) == 1);
        raw.reset();
        world.until(|| log.is_lost());
        assert_eq!(log.events(), [Event::Made, Event::Eof, Event::Lost("Reset".into())]);
    }

    fn s33_with_bytes_that_wait_and_reading_paused(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.pause_reading();
        flood(world, &transport);
        raw.reset();
        world.until(|| log.is_lost());
        world.settle();
        let lost = log.lost().expect("a loss");
        assert!(lost.is_reset() && lost.unsent() > 0);
        assert_eq!((log.count(&Event::Eof), log.losses()), (0, 1));
    }

    fn s33_while_closing(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        flood(world, &transport);
        transport.close();
        world.settle();
        raw.reset();
        world.until(|| log.is_lost());
        world.settle();
        assert_eq!((log.losses(), log.reason().as_deref()), (1, Some("Reset")));
        assert_eq!(world.handle().stats().timers, 0, "the deadline of closing is gone");
    }

    fn s33_after_our_own_end(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.write_eof();
        assert_eq!(collect(world, &raw), b"");
        raw.reset();
        world.until(|| log.is_lost());
        assert_eq!(log.events(), [Event::Made, Event::Lost("Reset".into())]);
    }

    fn s22_stop_only_leaves_run(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log).on(Event::Data(0), |transport| {
            transport.write(b"answer");
            transport.handle().stop();
        }));
        for round in 1..=2 {
            raw.write(b"question");
            world.run();
            assert!(log.received() >= 1 && !log.is_lost(), "round {round}");
            assert!(!transport.is_closing());
            world.until(|| log.received() == 8 * round);
        }
        let handle = world.handle();
        handle.call_soon({
            let handle = handle.clone();
            move || handle.stop()
        });
        world.run();
        assert!(!handle.is_over());
        assert_eq!(log.events(), [Event::Made]);
    }

    fn s22_shutdown_tells_everybody_and_is_final(world: &World) {
        let handle = world.handle();
        let server = world.listen(|_| Trace::new(&Log::new()));
        let endpoint = world.endpoint_of(&server);
        let (idle, paused, stuck, closing) = (Log::new(), Log::new(), Log::new(), Log::new());
        let logs = [&idle, &paused, &stuck, &closing];
        let ends: Vec<(Transport, Raw)> = logs.iter().map(|log| world.accept_one(Trace::new(log))).collect();
        ends[1].0.pause_reading();
        ends[1].1.write(b"never received");
        flood(world, &ends[2].0);
        flood(world, &ends[3].0);
        ends[3].0.close();
        let order = Rc::new(RefCell::new(Vec::new()));
        for phase in [Phase::After, Phase::During, Phase::Before] {
            let (order, seen) = (Rc::clone(&order), idle.clone());
            handle.on_shutdown(phase, move |_| order.borrow_mut().push((phase, seen.is_lost())));
        }
        handle.shutdown();
        handle.shutdown();
        assert!(logs.iter().all(|log| !log.is_lost()), "nothing happens during the call");
        world.run();
        assert_eq!(*order.borrow(), [(Phase::Before, false), (Phase::During, false), (Phase::After, true)]);
        for log in logs {
            assert_eq!((log.losses(), log.reason().as_deref()), (1, Some("Shutdown")));
        }
        assert!(handle.is_over() && world.reactor().run().is_err_and(|error| error.is_over()));
        assert!(!ends[0].0.write(b"x").is_accepted());
        let refused = handle.listen(&endpoint, |_| Trace::new(&Log::new()));
        assert!(matches!(refused, Err(ListenError::Over)), "{refused:?}");
        assert_eq!(world.open_sockets(), 0);
    }

    fn s22_shutdown_ends_although_protocols_connect_again(world: &World) {
        let handle = world.handle();
        let listener = world.listen_raw();
        let endpoint = listener.endpoint();
        if let Some(memory) = world.as_memory() {
            // A connect that is never answered, as to a host behind a firewall.
            memory.network().ignore(listener.address());
        }
        let outcomes = Rc::new(RefCell::new(Vec::new()));
        let told = Rc::clone(&outcomes);
        let (_, _raw) = world.accept_one(Trace::new(&Log::new()).on(Event::Lost(String::new()), move |transport| {
            let told = Rc::clone(&told);
            let again = move |outcome: Result<Transport, _>| told.borrow_mut().push(outcome.is_ok());
            transport.handle().connect(endpoint.as_str(), |_| Trace::new(&Log::new()), again);
        }));
        handle.shutdown();
        world.until(|| handle.is_over());
        assert_eq!(*outcomes.borrow(), [false]);
        assert_eq!(world.open_sockets(), 0);
    }
}
