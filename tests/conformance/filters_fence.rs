//! Filters: what was written before one comes goes the old way, and what was received before is the filter's.

use std::cell::Cell;
use std::fs::File;
use std::rc::Rc;
use std::sync::Arc;

use marline_reactor::filter::{FilterError, ReadAhead, ReadAheadRefused};
use marline_reactor::framing::{LineProtocol, Lines};
use marline_reactor::{Lost, Reason, Transport};
use marline_tests::files::file_of;

use crate::support::toys::{ANSWER, Calls, Toy, turned};
use crate::support::{Event, Log, Trace, World, collect, reason_name, skip};
use crate::{conformance, streams};

const KEY: u8 = 0x15;
const OTHER: u8 = 0x62;

fn push(transport: &Transport, filter: Toy) {
    assert!(transport.push_filter(filter, ReadAhead::Feed).is_ok(), "the connection lives");
}

/// Everything our side sends after a close, where the far end closes too.
#[track_caller]
fn all_of_it(world: &World, raw: &crate::support::Raw, log: &Log) -> Vec<u8> {
    let all = collect(world, raw);
    raw.close();
    world.until(|| log.is_lost());
    all
}

streams! {
    fn what_waits_leaves_as_it_is(world: &World) {
        let (log, payload) = (Log::new(), world.payload());
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.write(&payload);
        // As much as the system takes is under way, and the far end does not read.
        world.turn_a_little();
        push(&transport, Toy::new(KEY));
        transport.write(&payload);
        world.turn_a_little();
        push(&transport, Toy::new(OTHER));
        transport.write(&payload);
        world.until(|| log.count(&Event::Established) > 0);
        world.turn_a_little();
        transport.close();
        let expected =
            [payload.clone(), turned(KEY, &payload), turned(KEY ^ OTHER, &payload)].concat();
        assert!(all_of_it(world, &raw, &log) == expected);
        assert_eq!(log.reason().as_deref(), Some("Clean"));
        assert_eq!(log.lost().map(|lost| lost.unsent()), Some(0));
    }

    fn pushes_at_once_with_writes_between(world: &World) {
        if world.is_secure() {
            return skip("TLS below does not wait for the peer's goodbye then, which meets a reset");
        }
        let (log, payload) = (Log::new(), world.payload());
        let sent = payload.clone();
        let protocol = Trace::new(&log).on(Event::Data(0), move |transport| {
            transport.write(&sent);
            push(transport, Toy::new(KEY));
            transport.write(b"between");
            push(transport, Toy::new(OTHER));
            transport.write(&sent);
            transport.close();
        });
        let (_transport, raw) = world.accept_one(protocol);
        world.write(&raw, b"!");
        let expected =
            [payload.clone(), turned(KEY, b"between"), turned(KEY ^ OTHER, &payload)].concat();
        // To close in the same callback is to close before the filters began; what has to go through them is not sent.
        let all = all_of_it(world, &raw, &log);
        assert!(all == expected[..payload.len()], "{} of {}", all.len(), expected.len());
        assert_eq!(log.reason().as_deref(), Some("Aborted"));
    }

    fn a_handshake_waits_for_what_was_written_before(world: &World) {
        let (log, payload) = (Log::new(), world.payload());
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.write(&payload);
        push(&transport, Toy::new(KEY).rounds(2));
        transport.write(&payload);
        assert!(world.read(&raw, payload.len()) == payload);
        for _ in 0..2 {
            assert_eq!(world.read(&raw, 1), b"?");
            world.write(&raw, &[ANSWER]);
        }
        assert!(world.read(&raw, payload.len()) == turned(KEY, &payload));
        world.until(|| transport.buffered() == 0);
        raw.close();
        world.until(|| log.is_lost());
    }

    fn an_alert_goes_behind_what_was_written_before(world: &World) {
        let (log, payload) = (Log::new(), world.payload());
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.write(&payload);
        push(&transport, Toy::new(KEY).with(|name, flow| {
            if name == "start" {
                flow.send(b"alert");
                return Err(FilterError::new("cannot start"));
            }
            Ok(())
        }));
        transport.write(&payload);
        assert!(all_of_it(world, &raw, &log) == [&payload[..], b"alert"].concat());
        assert_eq!(log.reason().as_deref(), Some("Failed"));
        assert_eq!(log.lost().map(|lost| lost.unsent()), Some(payload.len()));
    }

    fn files_keep_their_side_of_the_fence(world: &World) {
        let (log, payload) = (Log::new(), world.payload());
        let file: Arc<File> = Arc::new(file_of(&payload));
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.write(b"[");
        transport.send_file(Arc::clone(&file), ..).expect("a file");
        transport.write(b"]");
        push(&transport, Toy::new(KEY));
        transport.write(b"[");
        transport.send_file(file, ..).expect("a file");
        transport.write(b"]");
        world.turn_a_little();
        transport.close();
        let framed = [b"[", &payload[..], b"]"].concat();
        let expected = [framed.clone(), turned(KEY, &framed)].concat();
        assert!(all_of_it(world, &raw, &log) == expected);
    }
}

conformance! {
    fn a_file_that_became_shorter_does_not_move_the_fence(world: &World) {
        let (log, file) = (Log::new(), Arc::new(file_of(&[b'f'; 5000])));
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.send_file(Arc::clone(&file), ..).expect("a file");
        push(&transport, Toy::new(KEY));
        transport.write([b'w'; 9000]);
        file.set_len(1000).expect("a shorter file");
        world.turn_a_little();
        transport.close();
        let expected = [vec![b'f'; 1000], turned(KEY, &[b'w'; 9000])].concat();
        assert!(all_of_it(world, &raw, &log) == expected);
    }

    fn the_fence_holds_for_what_is_in_flight(world: &World) {
        world.with_faults(|world, faults| {
            let log = Log::new();
            let (transport, raw) = world.accept_one(Trace::new(&log));
            faults.hold_sends();
            transport.write([b'a'; 100]);
            world.turn_a_little();
            push(&transport, Toy::new(KEY));
            transport.write([b'b'; 50]);
            world.turn_a_little();
            push(&transport, Toy::new(OTHER));
            transport.write([b'c'; 30]);
            world.turn_a_little();
            assert_eq!(transport.buffered(), 180);
            faults.release_sends();
            let expected =
                [vec![b'a'; 100], turned(KEY, &[b'b'; 50]), turned(KEY ^ OTHER, &[b'c'; 30])].concat();
            assert_eq!(world.read(&raw, 180), expected);
            world.until(|| transport.buffered() == 0);
        });
    }

    fn a_push_to_a_connection_that_closes_hands_the_filter_back(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.close();
        assert!(transport.push_filter(Toy::new(KEY), ReadAhead::Feed).is_err());
        raw.close();
        world.until(|| log.is_lost());
        assert!(transport.push_filter(Toy::new(KEY), ReadAhead::Feed).is_err());
    }

    fn bytes_put_back_are_the_filters(world: &World) {
        for read_ahead in [ReadAhead::Feed, ReadAhead::Refuse] {
            let (log, seen) = (Log::new(), Log::new());
            let plain = seen.clone();
            let pushed = Cell::new(false);
            let protocol = Trace::new(&log).with(move |transport, event, data| {
                if !matches!(event, Event::Data(_)) || pushed.get() {
                    return;
                }
                let end = data.iter().position(|byte| *byte == b'S').map(|place| place + 1);
                plain.take_in(&data[..end.unwrap_or(data.len())]);
                if let Some(end) = end {
                    pushed.set(true);
                    transport.push_filter(Toy::new(KEY), read_ahead).expect("a connection");
                    transport.unread(&data[end..]);
                }
            });
            let (transport, raw) = world.accept_one(protocol);
            world.write(&raw, &[b"12S".to_vec(), turned(KEY, b"hidden")].concat());
            if read_ahead == ReadAhead::Feed {
                world.until(|| log.bytes().ends_with(b"hidden"));
                transport.abort();
            } else {
                world.until(|| log.is_lost() || log.bytes().ends_with(b"hidden"));
                // Where it came as one, it is refused; nothing is lost otherwise.
                if let Some(lost) = log.lost() {
                    let Reason::Failed(error) = lost.reason() else { panic!("{lost:?}") };
                    assert!(error.downcast_ref::<ReadAheadRefused>().is_some_and(|refused| refused.bytes > 0));
                }
                transport.abort();
            }
            world.until(|| log.is_lost());
            assert_eq!(seen.bytes(), b"12S");
        }
    }

    fn nothing_is_refused_where_nothing_came(world: &World) {
        let (log, calls) = (Log::new(), Calls::default());
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.push_filter(Toy::new(KEY).noting(&calls), ReadAhead::Refuse).expect("a connection");
        world.until(|| calls.count("start") == 1);
        world.write(&raw, &turned(KEY, b"good"));
        world.until(|| log.received() == 4);
        assert_eq!(log.bytes(), b"good");
    }

    fn the_strictest_of_filters_pushed_together_counts(world: &World) {
        let log = Log::new();
        let protocol = Trace::new(&log).with(|transport, event, data| {
            if matches!(event, Event::Data(_)) {
                transport.push_filter(Toy::new(KEY), ReadAhead::Refuse).expect("a connection");
                transport.push_filter(Toy::new(OTHER), ReadAhead::Feed).expect("a connection");
                transport.unread(data);
            }
        });
        let (_transport, raw) = world.accept_one(protocol);
        world.write(&raw, b"x");
        world.until(|| log.is_lost());
        assert_eq!(log.reason().as_deref(), Some("Failed"));
    }

    fn what_a_parser_holds_is_the_filters(world: &World) {
        for read_ahead in [ReadAhead::Feed, ReadAhead::Refuse] {
            let log = Log::new();
            let (transport, raw) = world.accept_one(Lines(Upgrading { log: log.clone(), read_ahead }));
            let hidden = turned(KEY, b"one\ntwo\n");
            world.write(&raw, &[b"hello\nSTARTTLS\n".to_vec(), hidden].concat());
            world.until(|| log.is_lost() || log.bytes().ends_with(b"two,"));
            if read_ahead == ReadAhead::Feed || !log.is_lost() {
                assert_eq!(log.bytes(), b"hello,STARTTLS,one,two,");
            } else {
                assert_eq!((log.bytes(), log.reason().as_deref()), (b"hello,STARTTLS,".to_vec(), Some("Failed")));
            }
            transport.abort();
            world.until(|| log.is_lost());
        }
    }

    fn what_is_handed_to_a_successor_is_the_filters(world: &World) {
        let (old, new) = (Log::new(), Log::new());
        let next = Rc::new(Cell::new(Some(Trace::new(&new))));
        let protocol = Trace::new(&old).with(move |transport, event, data| {
            let Event::Data(_) = event else { return };
            let Some(next) = next.take() else { return };
            push(transport, Toy::new(KEY));
            transport.set_protocol(next, &data[1..]).expect("a connection");
        });
        let (_transport, raw) = world.accept_one(protocol);
        world.write(&raw, &[b"S".to_vec(), turned(KEY, b"hidden")].concat());
        world.until(|| new.received() == 6);
        assert_eq!(new.bytes(), b"hidden");
        assert_eq!(new.events(), [Event::Made, Event::Established]);
    }
}

/// Notes its lines, and upgrades when one says so.
struct Upgrading {
    log: Log,
    read_ahead: ReadAhead,
}

impl LineProtocol for Upgrading {
    fn line_received(&mut self, transport: &Transport, line: &[u8]) {
        self.log.take_in(line);
        self.log.take_in(b",");
        if line == b"STARTTLS" {
            transport.push_filter(Toy::new(KEY), self.read_ahead).expect("a connection");
        }
    }

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        self.log.lose(lost);
        self.log.push(Event::Lost(reason_name(lost)));
    }
}
