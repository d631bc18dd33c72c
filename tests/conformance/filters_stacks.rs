//! Filters upon filters, and those that step aside.

use marline_reactor::Transport;
use marline_reactor::filter::{Filter, ReadAhead};

use crate::support::toys::{ANSWER, ASK, Blocks, Calls, Header, Many, Toy, Until, turned};
use crate::support::{Event, Log, Raw, Trace, World, collect};
use crate::{conformance, streams};

const KEYS: [u8; 3] = [0x11, 0x22, 0x44];

fn push(transport: &Transport, filter: impl Filter) {
    assert!(transport.push_filter(filter, ReadAhead::Feed).is_ok(), "the connection lives");
}

/// Answers the handshake of the filter that stands on those with this key.
fn answer(world: &World, raw: &Raw, key: u8) {
    assert_eq!(world.read(raw, 1), turned(key, &[ASK]));
    world.write(raw, &turned(key, &[ANSWER]));
}

streams! {
    fn three_at_once_with_handshakes(world: &World) {
        let (log, payload) = (Log::new(), world.payload());
        let (transport, raw) = world.accept_one(Trace::new(&log));
        KEYS.iter().for_each(|key| push(&transport, Toy::new(*key).rounds(1)));
        transport.write(&payload);
        let mut key = 0;
        for lower in KEYS {
            answer(world, &raw, key);
            key ^= lower;
        }
        assert!(world.read(&raw, payload.len()) == turned(key, &payload));
        world.write(&raw, &turned(key, &payload));
        world.until(|| log.received() == payload.len());
        assert!(log.bytes() == payload);
        assert_eq!(log.count(&Event::Established), 1);
        world.until(|| transport.buffered() == 0);
        transport.close();
        assert!(collect(world, &raw).is_empty());
        raw.close();
        world.until(|| log.is_lost());
        assert_eq!(log.reason().as_deref(), Some("Clean"));
    }

    fn headers_step_aside_and_nothing_is_lost(world: &World) {
        let (log, payload) = (Log::new(), world.payload());
        let (transport, raw) = world.accept_one(Trace::new(&log).keep_open());
        let was_filtered = transport.is_filtered();
        push(&transport, Header(5));
        push(&transport, Header(70));
        transport.write(&payload);
        world.write(&raw, &[vec![b'h'; 75], payload.clone()].concat());
        world.until(|| log.received() == payload.len());
        assert!(log.bytes() == payload);
        assert!(world.read(&raw, payload.len() + 14) == [b"header:header:", &payload[..]].concat());
        world.until(|| transport.is_filtered() == was_filtered && transport.buffered() == 0);
        // From here on it is as before: both directions, and their ends.
        transport.write(b"end");
        transport.write_eof();
        assert_eq!(collect(world, &raw), b"end");
        raw.finish();
        world.until(|| log.is_lost());
        assert_eq!(log.reason().as_deref(), Some("Clean"));
        assert_eq!((log.count(&Event::Established), log.count(&Event::Eof), log.losses()), (1, 1, 1));
    }

    fn one_leaves_in_the_middle_of_a_stream(world: &World) {
        let (log, payload) = (Log::new(), world.payload());
        let (transport, raw) = world.accept_one(Trace::new(&log));
        push(&transport, Toy::new(KEYS[0]));
        world.until(|| log.count(&Event::Established) == 1);
        push(&transport, Until(1000));
        push(&transport, Toy::new(KEYS[1]));
        world.write(&raw, &turned(KEYS[0] ^ KEYS[1], &payload));
        world.until(|| log.received() == payload.len());
        assert!(log.bytes() == payload);
        raw.finish();
        world.until(|| log.is_lost());
        assert_eq!(log.reason().as_deref(), Some("Clean"));
    }

    fn blocks_between_others(world: &World) {
        let (log, size) = (Log::new(), world.payload().len() / 96 * 96);
        let payload = world.payload()[..size].to_vec();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        push(&transport, Toy::new(KEYS[0]));
        push(&transport, Blocks::new(96));
        push(&transport, Toy::new(KEYS[1]));
        // In pieces that do not fit.
        for piece in payload.chunks(701) {
            transport.write_owned(piece.to_vec());
        }
        assert!(world.read(&raw, size) == turned(KEYS[0] ^ KEYS[1], &payload));
        world.write(&raw, &turned(KEYS[0] ^ KEYS[1], &payload));
        world.until(|| log.received() == size);
        assert!(log.bytes() == payload);
        world.until(|| transport.buffered() == 0);
    }
}

conformance! {
    fn blocks_of_many_small_pieces(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        push(&transport, Blocks::new(1000));
        for piece in [b'x'; 3000] {
            transport.write_owned(vec![piece]);
        }
        assert_eq!(world.read(&raw, 3000), [b'x'; 3000]);
        world.until(|| transport.buffered() == 0);
    }

    fn what_never_becomes_a_block_ends_with_a_timeout(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        push(&transport, Blocks::new(1000));
        world.until(|| log.count(&Event::Established) == 1);
        transport.set_close_timeout(std::time::Duration::from_millis(50));
        transport.write([b'x'; 1500]);
        transport.close();
        world.until(|| log.is_lost());
        assert_eq!(log.reason().as_deref(), Some("Timeout"));
        assert_eq!(log.lost().map(|lost| lost.unsent()), Some(500));
        drop(raw);
    }

    fn the_end_passes_those_that_stepped_aside(world: &World) {
        let (log, calls) = (Log::new(), Calls::default());
        let (transport, raw) = world.accept_one(Trace::new(&log));
        push(&transport, Toy::new(KEYS[0]));
        push(&transport, Toy::new(0).noting(&calls).with(|name, flow| {
            if name == "inbound_end" {
                flow.finish();
            }
            Ok(())
        }));
        raw.finish();
        world.until(|| log.is_lost());
        assert_eq!((log.count(&Event::Eof), calls.count("inbound_end")), (1, 1));
        // And with none below.
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        push(&transport, Until(usize::MAX));
        raw.finish();
        world.until(|| log.is_lost());
        assert_eq!((log.count(&Event::Eof), log.reason().as_deref()), (1, Some("Clean")));
    }

    fn one_that_ends_above_leaves_no_work_below(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log).keep_open());
        push(&transport, Many::new(2, &Calls::default()));
        push(&transport, Toy::new(0).with(|name, flow| {
            if name == "inbound" {
                flow.end();
            }
            Ok(())
        }));
        world.write(&raw, &[b'x'; 40_000]);
        world.until(|| log.count(&Event::Eof) == 1);
        raw.finish();
        crate::filters_handshake::idle(world);
        transport.write(b"still open");
        assert_eq!(world.read(&raw, 20), b"ssttiillll  ooppeenn");
        transport.close();
        assert!(collect(world, &raw).is_empty());
        raw.close();
        world.until(|| log.is_lost());
        assert_eq!(log.reason().as_deref(), Some("Clean"));
    }
}
