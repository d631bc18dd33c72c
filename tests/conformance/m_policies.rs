//! M: policies around protocols.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::framing::{LineProtocol, Lines};
use marline_reactor::policy::{ConnectionLimit, IdleTimeout, RateLimit, TotalTimeout};
use marline_reactor::{Addresses, Instant, Transport};

use crate::support::{Event, Log, Raw, Trace, World, flood, pour, runs_out};
use crate::{conformance, streams};

const IDLE: Duration = Duration::from_millis(80);

/// A protocol that logs, and the moment at which it was told of the loss.
fn timed(log: &Log) -> (Trace, Rc<Cell<Option<Instant>>>) {
    let moment = Rc::new(Cell::new(None));
    let note = Rc::clone(&moment);
    let lost = Event::Lost(String::new());
    (Trace::new(log).on(lost, move |transport| note.set(Some(transport.handle().now()))), moment)
}

/// Waits until one more byte has gone in that direction, or the connection is lost. Whether it has.
fn move_one(world: &World, transport: &Transport, raw: &Raw, inwards: bool) -> bool {
    let before = transport.traffic();
    if inwards {
        raw.write(b"x");
    } else {
        transport.write(b"x");
    }
    world.until(|| {
        let now = transport.traffic();
        transport.is_lost() || (now.received, now.sent) != (before.received, before.sent)
    });
    !transport.is_lost()
}

conformance! {
    fn m10_a_connection_on_which_nothing_moves_is_ended_once(world: &World) {
        let log = Log::new();
        let begun = world.handle().now();
        let (protocol, lost_at) = timed(&log);
        let (transport, raw) = world.accept_one(IdleTimeout::new(IDLE, protocol));
        world.until(|| log.is_lost());
        assert!(transport.is_lost());
        assert_eq!(log.all(), [Event::Made, Event::Lost("Timeout".into())]);
        assert!(log.lost().is_some_and(|lost| lost.is_timeout() && lost.unsent() == 0));
        assert!(lost_at.get().expect("a loss") >= begun + IDLE);
        if world.is_memory() {
            assert_eq!(lost_at.get(), Some(begun + IDLE));
        }
        // Nothing was cut off, so the peer sees an end and no reset.
        world.until(|| raw.is_finished() || raw.is_reset());
        assert!(raw.is_finished());
        world.advance(2 * IDLE);
        assert_eq!((log.losses(), world.handle().stats().timers), (1, 0));
    }

    fn m10_bytes_in_either_direction_restart_it(world: &World) {
        for inwards in [true, false] {
            let log = Log::new();
            let begun = world.handle().now();
            let (protocol, lost_at) = timed(&log);
            let (transport, raw) = world.accept_one(IdleTimeout::new(IDLE, protocol));
            let mut moved_at = begun;
            // On real sockets the test itself may be kept waiting for longer than the connection may be idle.
            while world.handle().now() < begun + 3 * IDLE && !transport.is_lost() {
                let before = world.handle().now();
                if move_one(world, &transport, &raw, inwards) {
                    moved_at = before;
                }
                world.advance(IDLE / 3);
            }
            assert!(!world.is_memory() || !transport.is_lost(), "it was never idle for long enough");
            world.until(|| log.is_lost());
            assert_eq!(log.reason().as_deref(), Some("Timeout"));
            let lost_at = lost_at.get().expect("a loss");
            assert!(lost_at >= moved_at + IDLE, "{lost_at:?}, though something moved at {moved_at:?}");
            if world.is_memory() {
                assert!(lost_at <= moved_at + IDLE + IDLE / 4, "{lost_at:?} is late after {moved_at:?}");
            }
            assert_eq!(log.losses(), 1);
        }
    }

    fn m10_it_is_cancelled_by_the_loss_and_by_a_successor(world: &World) {
        let before = world.handle().stats().timers;
        let (log, hour) = (Log::new(), Duration::from_secs(3600));
        let layers = |log: &Log| TotalTimeout::new(2 * hour, IdleTimeout::new(hour, Trace::new(log)));
        let (transport, raw) = world.accept_one(layers(&log));
        assert_eq!(world.handle().stats().timers, before + 2);
        raw.finish();
        world.until(|| log.is_lost());
        assert_eq!(log.reason().as_deref(), Some("Clean"));
        assert!(transport.is_lost());
        assert_eq!(world.handle().stats().timers, before);

        let (replaced, successor) = (Log::new(), Log::new());
        let (transport, _raw) = world.accept_one(layers(&replaced));
        transport.set_protocol(Trace::new(&successor), &[]).expect("a live connection");
        world.until(|| successor.count(&Event::Made) == 1);
        assert_eq!(world.handle().stats().timers, before);
        transport.abort();
        world.until(|| successor.is_lost());
        assert_eq!(replaced.all(), [Event::Made]);
        assert!(runs_out(world));
    }

    fn m10_who_waits_for_a_peer_that_takes_nothing_is_idle(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(IdleTimeout::new(IDLE, Trace::new(&log)));
        flood(world, &transport);
        // Closing waits for the same peer, and longer.
        transport.close();
        world.until(|| log.is_lost());
        assert!(log.lost().is_some_and(|lost| lost.is_timeout() && lost.unsent() > 0), "{:?}", log.lost());
        world.until(|| raw.is_reset() || raw.read().is_empty() && raw.is_finished());
        assert!(raw.is_reset(), "what was cut off does not look whole");
    }

    fn m10_who_is_not_read_because_of_a_rate_is_not_idle(world: &World) {
        const BYTES: usize = 1000;
        let log = Log::new();
        let begun = world.handle().now();
        let (protocol, lost_at) = timed(&log);
        // Paid for in four times the time for which it may be idle.
        let rate = RateLimit::new(BYTES as u64 * 1000 / (4 * IDLE.as_millis() as u64), 0, protocol);
        let (_, raw) = world.accept_one(IdleTimeout::new(IDLE, rate));
        raw.write(&[b'x'; BYTES]);
        world.until(|| log.is_lost());
        assert_eq!(log.reason().as_deref(), Some("Timeout"));
        // A machine that stands still for so long may end it between two pieces.
        if world.is_memory() || log.received() == BYTES {
            assert_eq!(log.received(), BYTES);
            assert!(lost_at.get().expect("a loss") >= begun + 4 * IDLE);
        }
    }

    fn m10_a_successor_that_the_protocol_names_itself_is_without_the_policy(world: &World) {
        let (log, successor) = (Log::new(), Log::new());
        let next = successor.clone();
        let protocol = Trace::new(&log).on(Event::Data(0), move |transport| {
            transport.set_protocol(Trace::new(&next), b"unread").expect("a live connection");
        });
        let hour = Duration::from_secs(3600);
        let (transport, raw) = world.accept_one(IdleTimeout::new(hour, TotalTimeout::new(hour, protocol)));
        assert_eq!(world.handle().stats().timers, 2);
        raw.write(b"x");
        world.until(|| successor.received() == 6);
        assert_eq!((world.handle().stats().timers, transport.is_closing()), (0, false));
        assert_eq!(log.losses(), 0);
        raw.finish();
        world.until(|| successor.is_lost());
        assert_eq!(log.losses(), 0, "who was replaced hears of no loss");
    }

    fn m10_the_total_time_passes_whatever_moves(world: &World) {
        let log = Log::new();
        let begun = world.handle().now();
        let (protocol, lost_at) = timed(&log);
        let (transport, raw) = world.accept_one(TotalTimeout::new(2 * IDLE, protocol));
        while move_one(world, &transport, &raw, true) {
            world.advance(IDLE / 3);
        }
        world.until(|| log.is_lost());
        assert_eq!((log.reason().as_deref(), log.losses()), (Some("Timeout"), 1));
        assert!(lost_at.get().expect("a loss") >= begun + 2 * IDLE);
        if world.is_memory() {
            assert_eq!(lost_at.get(), Some(begun + 2 * IDLE));
        }
        assert_eq!(world.handle().stats().timers, 0);
    }

    fn a_limit_refuses_who_is_one_too_many(world: &World) {
        let (log, limit) = (Log::new(), ConnectionLimit::new().total(3).per_peer(2));
        let listen = || {
            let log = log.clone();
            let factory = limit.wrap(move |_: &Addresses| Trace::new(&log));
            world.handle().listen(world.free_endpoint(), factory).expect("a listener")
        };
        let servers = [listen(), listen()];
        let raws = [world.connect_raw(&servers[0]), world.connect_raw(&servers[1])];
        world.until(|| log.count(&Event::Made) == 2);
        let refused = world.connect_raw(&servers[0]);
        world.until(|| limit.refused() == 1);
        world.until(|| refused.is_finished() || refused.is_reset());
        let here = [127, 0, 0, 1].into();
        assert_eq!((limit.connections(), limit.connections_from(here)), (2, 2));
        assert_eq!(log.count(&Event::Made), 2, "a refused connection has no protocol");
        raws[0].close();
        world.until(|| limit.connections() == 1);
        let _third = world.connect_raw(&servers[1]);
        world.until(|| log.count(&Event::Made) == 3);
        assert_eq!((limit.connections(), limit.refused()), (2, 1));
    }

    fn a_place_is_given_back_at_the_loss_whatever_became_of_the_protocol(world: &World) {
        type Act = fn(&Transport, &Event);
        let acts: [Act; 4] = [
            |transport, event| if matches!(event, Event::Data(_)) { transport.close() },
            |_, event| assert!(!matches!(event, Event::Data(_)), "a panic of the protocol"),
            |transport, event| match event {
                Event::Data(_) => transport.abort(),
                Event::Lost(_) => panic!("a panic of the protocol"),
                _ => {}
            },
            |transport, event| if matches!(event, Event::Made) { transport.fail("no") },
        ];
        for act in acts {
            let (log, limit) = (Log::new(), ConnectionLimit::new());
            let seen = log.clone();
            let factory = limit.wrap(move |_: &Addresses| {
                Trace::new(&seen).with(move |transport, event, _| act(transport, event))
            });
            let server = world.handle().listen(world.free_endpoint(), factory).expect("a listener");
            let at_notice = Rc::new(Cell::new(None));
            let (note, counted) = (Rc::clone(&at_notice), limit.clone());
            server.on_lost(move |_, _| note.set(Some(counted.connections())));
            let raw = world.connect_raw(&server);
            world.until(|| log.count(&Event::Made) == 1);
            raw.write(b"x");
            world.until(|| at_notice.get().is_some());
            assert_eq!(at_notice.get(), Some(0), "it was given back before others heard of the loss");
            assert_eq!(log.losses(), 1);
            server.stop();
        }
    }

    fn a_place_is_kept_by_a_successor_of_the_protocol(world: &World) {
        let (made, limit) = (Rc::new(RefCell::new(None)), ConnectionLimit::new().total(1));
        let place = Rc::clone(&made);
        let factory = limit.wrap(move |_: &Addresses| {
            let place = Rc::clone(&place);
            Trace::new(&Log::new()).on(Event::Made, move |transport| {
                *place.borrow_mut() = Some(transport.clone());
            })
        });
        let server = world.handle().listen(world.free_endpoint(), factory).expect("a listener");
        let raw = world.connect_raw(&server);
        world.until(|| made.borrow().is_some());
        let (transport, log) = (made.take().expect("a connection"), Log::new());
        transport.set_protocol(Trace::new(&log), &[]).expect("a live connection");
        world.until(|| log.count(&Event::Made) == 1);
        world.settle();
        assert_eq!(limit.connections(), 1, "the connection still stands");
        raw.finish();
        world.until(|| log.is_lost());
        assert_eq!(limit.connections(), 0);
    }

    fn a_factory_that_refuses_or_panics_gives_the_place_back(world: &World) {
        let (limit, asked) = (ConnectionLimit::new(), Rc::new(Cell::new(0)));
        let count = Rc::clone(&asked);
        let factory = limit.wrap(move |_: &Addresses| -> Option<Trace> {
            count.set(count.get() + 1);
            assert!(count.get() > 1, "a panic of the factory");
            None
        });
        let server = world.handle().listen(world.free_endpoint(), factory).expect("a listener");
        for number in 1..=2 {
            let raw = world.connect_raw(&server);
            world.until(|| asked.get() == number);
            world.until(|| raw.is_finished() || raw.is_reset());
            assert_eq!((limit.connections(), limit.refused()), (0, 0));
        }
    }

    fn what_a_rate_limit_holds_back_is_free_for_a_successor(world: &World) {
        let (log, successor) = (Log::new(), Log::new());
        let begun = world.handle().now();
        let (transport, raw) = world.accept_one(RateLimit::new(1, 0, Trace::new(&log)));
        raw.write(&[b'x'; 1000]);
        world.until(|| log.received() > 0);
        assert!(!transport.is_reading());
        transport.resume_reading();
        assert!(!transport.is_reading(), "the protocol's own pause is another one");
        world.settle();
        raw.write(b"more");
        transport.set_protocol(Trace::new(&successor), &[]).expect("a live connection");
        world.until(|| log.received() + successor.received() == 1004);
        assert!(transport.is_reading());
        assert_eq!(world.handle().stats().timers, 0);
        assert!(!world.is_memory() || world.handle().now() == begun, "that took no time");
    }
}

/// How fast a test reads: the payload in this part of a second.
const SHARE: u64 = 10;

/// A protocol that checks at each receive that no more came before it than burst and rate allow.
fn bounded(log: &Log, (rate, burst): (u64, u64), mut then: impl FnMut(&Transport) + 'static) -> Trace {
    let (begun, mut before) = (Cell::new(Instant::ZERO), 0);
    Trace::new(log).with(move |transport, event, data| match event {
        Event::Made => begun.set(transport.handle().now()),
        Event::Data(_) => {
            let passed = transport.handle().now() - begun.get();
            let allowed = u128::from(burst) + passed.as_nanos() * u128::from(rate) / 1_000_000_000;
            assert!(before <= allowed + 1, "{before} bytes within {passed:?}, of {allowed}");
            before += data.len() as u128;
            then(transport);
        }
        _ => {}
    })
}

streams! {
    fn a_rate_limit_holds_and_loses_nothing(world: &World) {
        let (payload, log) = (world.payload(), Log::new());
        let limits = (payload.len() as u64 * SHARE, payload.len() as u64 / 8);
        let protocol = RateLimit::new(limits.0, limits.1, bounded(&log, limits, |_| {}));
        let (_, raw) = world.accept_one(protocol);
        pour(world, &raw, &payload);
        raw.finish();
        world.until(|| log.is_lost());
        assert!(log.bytes() == payload, "the bytes differ");
        assert_eq!(log.reason().as_deref(), Some("Clean"), "{:?}", log.lost());
        assert_eq!(world.handle().stats().timers, 0);
    }

    fn a_rate_limit_does_not_fight_with_the_protocols_own_pauses(world: &World) {
        let (payload, log) = (world.payload(), Log::new());
        let limits = (payload.len() as u64 * SHARE, payload.len() as u64 / 8);
        let paused = Rc::new(Cell::new(false));
        let is_paused = Rc::clone(&paused);
        let protocol = bounded(&log, limits, move |transport| {
            assert!(!is_paused.replace(true), "bytes came during the protocol's pause");
            transport.pause_reading();
            let (transport, is_paused) = (transport.clone(), Rc::clone(&is_paused));
            // As a stream does whenever somebody wants bytes.
            transport.handle().call_soon(move || {
                is_paused.set(false);
                transport.resume_reading();
            });
        });
        let (_, raw) = world.accept_one(RateLimit::new(limits.0, limits.1, protocol));
        pour(world, &raw, &payload);
        world.until(|| log.received() == payload.len());
        assert!(log.bytes() == payload, "the bytes differ");
        assert!(!paused.get() || log.count(&Event::Eof) == 0);
    }

    fn a_parser_under_a_rate_limit_gets_every_line_once(world: &World) {
        const RATE: u64 = 20_000;
        let lines = Rc::new(RefCell::new(Vec::new()));
        let protocol = Lines(Collect { lines: Rc::clone(&lines) });
        let begun = world.handle().now();
        let (transport, raw) = world.accept_one(RateLimit::new(RATE, 10, protocol));
        let text: String = (0..200).map(|number| format!("line {number}\n")).collect();
        pour(world, &raw, text.as_bytes());
        world.until(|| lines.borrow().len() == 200);
        let all = lines.borrow().join("\n") + "\n";
        assert_eq!(all, text);
        assert_eq!(transport.traffic().received, text.len() as u64, "what is given back counts once");
        if world.is_memory() {
            let (passed, due) = (world.handle().now() - begun, Duration::from_secs(text.len() as u64) / RATE as u32);
            assert!(passed <= due + Duration::from_millis(1), "{passed:?}, though {due:?} would do");
        }
    }
}

/// Collects lines, and stops after each to have the rest again.
struct Collect {
    lines: Rc<RefCell<Vec<String>>>,
}

impl LineProtocol for Collect {
    fn line_received(&mut self, transport: &Transport, line: &[u8]) {
        self.lines.borrow_mut().push(String::from_utf8_lossy(line).into_owned());
        transport.pause_reading();
        let transport = transport.clone();
        transport.handle().call_soon(move || transport.resume_reading());
    }
}
