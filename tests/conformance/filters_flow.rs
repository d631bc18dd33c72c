//! Filters: one flow control through all of them, and what they cost.

use std::cell::Cell;
use std::io::IoSlice;
use std::rc::Rc;

use marline_reactor::filter::{Filter, FilterError, Flow, Output, ReadAhead};
use marline_reactor::{Protocol, Reason, Transport, WriteStatus};

use crate::filters_handshake::idle;
use crate::support::toys::{Blocks, Calls, Many, Toy, turned};
use crate::support::{Event, Log, Trace, World, flood, pattern};
use crate::{conformance, streams};

const KEY: u8 = 0x15;

fn push(transport: &Transport, filter: impl Filter) {
    assert!(transport.push_filter(filter, ReadAhead::Feed).is_ok(), "the connection lives");
}

/// Every byte so many times.
fn many(bytes: &[u8], times: usize) -> Vec<u8> {
    bytes.iter().flat_map(|byte| std::iter::repeat_n(*byte, times)).collect()
}

streams! {
    fn nothing_is_lost_over_pauses_where_one_expands(world: &World) {
        let log = Log::new();
        let protocol = Trace::new(&log).on(Event::Data(0), Transport::pause_reading);
        let (transport, raw) = world.accept_one(protocol);
        push(&transport, Many::new(100, &Calls::default()));
        push(&transport, Toy::new(KEY));
        let sent = pattern(world.payload().len().min(20_000));
        world.write(&raw, &sent);
        world.until(|| {
            transport.resume_reading();
            log.received() == sent.len() * 100
        });
        assert!(log.bytes() == turned(KEY, &many(&sent, 100)));
    }

    fn blocks_arrive_whole_at_a_protocol_with_its_own_memory(world: &World) {
        let (log, size) = (Log::new(), world.payload().len() / 90 * 90);
        let (transport, raw) = world.accept_one(Own { log: log.clone(), room: vec![0; 777] });
        push(&transport, Toy::new(KEY));
        push(&transport, Blocks::new(90));
        let sent = &world.payload()[..size];
        world.write(&raw, &turned(KEY, sent));
        world.until(|| log.received() == size);
        assert!(log.bytes() == sent);
    }
}

conformance! {
    fn a_paused_protocol_stops_what_is_inside_of_filters(world: &World) {
        let (log, calls) = (Log::new(), Calls::default());
        let protocol = Trace::new(&log).on(Event::Data(0), Transport::pause_reading);
        let (transport, raw) = world.accept_one(protocol);
        push(&transport, Many::new(100, &calls));
        world.write(&raw, &[b'x'; 5000]);
        world.until(|| log.received() > 0);
        let (seen, asked) = (log.received(), calls.count("inbound"));
        idle(world);
        assert_eq!((log.received(), calls.count("inbound")), (seen, asked));
        transport.resume_reading();
        world.until(|| log.received() > seen);
        idle(world);
        transport.abort();
        world.until(|| log.is_lost());
    }

    fn a_peer_that_does_not_read_bounds_what_filters_are_asked_for(world: &World) {
        let (log, calls, taken) = (Log::new(), Calls::default(), Rc::new(Cell::new(0)));
        let (transport, raw) = world.accept_one(Trace::new(&log));
        push(&transport, Toy::new(KEY));
        push(&transport, Counting { taken: Rc::clone(&taken), at_once: true, fails: false });
        push(&transport, Many::new(10, &calls));
        world.until(|| log.count(&Event::Established) == 1);
        let count = flood(world, &transport);
        // The buffers of the system, and one portion on its way.
        let before = taken.get();
        assert!(before < count * 10, "{before} of {count}");
        assert_eq!(log.count(&Event::Pause), 1);
        transport.write([b'f'; 1000]);
        idle(world);
        assert!(taken.get() - before <= 64 * 1024 * 10);
        assert!(transport.buffered() > 0);
        raw.close();
        world.until(|| log.is_lost());
    }

    fn a_large_piece_is_taken_within_the_write_only_by_a_filter_that_allows_it(world: &World) {
        for at_once in [false, true] {
            let (log, taken) = (Log::new(), Rc::new(Cell::new(0)));
            let (transport, raw) = world.accept_one(Trace::new(&log));
            push(&transport, Counting { taken: Rc::clone(&taken), at_once, fails: false });
            world.until(|| log.count(&Event::Established) == 1);
            assert_eq!(transport.write([b'a'; 20_000]), WriteStatus::Ok);
            assert_eq!(taken.get(), if at_once { 20_000 } else { 0 });
            transport.write([b'b'; 100]);
            // Something waits before it now.
            transport.write([b'c'; 20_000]);
            assert_eq!(taken.get(), if at_once { 20_000 } else { 0 });
            let all = world.read(&raw, 40_100);
            assert!(all == [&[b'a'; 20_000][..], &[b'b'; 100], &[b'c'; 20_000]].concat());
            world.until(|| transport.buffered() == 0);
            raw.close();
            world.until(|| log.is_lost());
        }
    }

    fn what_has_left_within_the_write_counts_for_no_limit(world: &World) {
        let (log, taken) = (Log::new(), Rc::new(Cell::new(0)));
        let (transport, raw) = world.accept_one(Trace::new(&log));
        push(&transport, Counting { taken, at_once: true, fails: false });
        world.until(|| log.count(&Event::Established) == 1);
        transport.set_write_limit(512 * 1024);
        let bytes = pattern(1024 * 1024 + 100);
        assert_ne!(transport.write(&bytes), WriteStatus::Closed);
        assert!(world.read(&raw, bytes.len()) == bytes);
        world.until(|| transport.buffered() == 0);
        assert!(!log.is_lost());
    }

    fn a_filter_that_fails_within_the_write_ends_the_connection(world: &World) {
        let (log, taken) = (Log::new(), Rc::new(Cell::new(0)));
        let (transport, _raw) = world.accept_one(Trace::new(&log));
        push(&transport, Counting { taken, at_once: true, fails: true });
        world.until(|| log.count(&Event::Established) == 1);
        assert_eq!(transport.write([b'a'; 20_000]), WriteStatus::Closed);
        assert!(!log.is_lost(), "the protocol hears of it later");
        world.until(|| log.is_lost());
        assert!(matches!(log.lost().expect("a loss").reason(), Reason::Failed(_)));
    }

    fn buffered_returns_to_nothing_and_the_protocol_hears_of_it(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        push(&transport, Toy::new(KEY));
        world.until(|| log.count(&Event::Established) == 1);
        let count = flood(world, &transport);
        transport.notify_drained();
        let all = world.read(&raw, count);
        assert!(all == turned(KEY, &vec![b'f'; count]));
        world.until(|| log.count(&Event::Drained) == 1);
        assert_eq!(transport.buffered(), 0);
        world.settle();
        let made = [Event::Made, Event::Established, Event::Pause];
        assert_eq!(log.events()[..3], made);
        assert_eq!((log.count(&Event::Pause), log.count(&Event::Resume)), (1, 1));
        idle(world);
    }

    fn the_write_limit_counts_what_waits_above(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        push(&transport, Toy::new(KEY).rounds(1));
        transport.set_write_limit(10_000);
        transport.write([0; 10_001]);
        transport.write([0; 1]);
        world.until(|| log.is_lost());
        assert_eq!(log.reason().as_deref(), Some("Failed"));
        drop(raw);
    }

    fn many_small_writes_are_one_send(world: &World) {
        let log = Log::new();
        let protocol = Trace::new(&log).on(Event::Data(0), |transport| {
            for _ in 0..1000 {
                transport.write(b"0123456789");
            }
        });
        let (transport, raw) = world.accept_one(protocol);
        push(&transport, Toy::new(KEY));
        world.until(|| log.count(&Event::Established) == 1);
        world.settle();
        world.send_whole();
        let before = world.handle().stats().sends;
        world.write(&raw, b"x");
        assert_eq!(world.read(&raw, 10_000), turned(KEY, &b"0123456789".repeat(1000)));
        world.until(|| transport.buffered() == 0);
        let sends = world.handle().stats().sends - before;
        assert!(sends == 1 || world.is_seeded(), "{sends}");
    }

    fn receiving_costs_no_more_than_without(world: &World) {
        if world.is_seeded() {
            return;
        }
        let mut costs = Vec::new();
        for with in [false, true] {
            let log = Log::new();
            let (transport, raw) = world.accept_one(Trace::new(&log));
            if with {
                push(&transport, Toy::new(0));
                push(&transport, Toy::new(0));
                world.until(|| log.count(&Event::Established) == 1);
            }
            world.settle();
            let before = world.handle().stats().receives;
            for round in 1..=20 {
                world.write(&raw, &[b'x'; 1000]);
                world.until(|| log.received() == round * 1000);
                world.settle();
            }
            costs.push(world.handle().stats().receives - before);
            transport.abort();
            world.until(|| log.is_lost());
        }
        assert!(costs[1] <= costs[0], "{costs:?}");
    }
}

/// A protocol with memory of its own.
struct Own {
    log: Log,
    room: Vec<u8>,
}

impl Protocol for Own {
    fn data_received(&mut self, _: &Transport, _: &[u8]) {
        unreachable!("it has memory of its own");
    }

    fn receive_buffer(&mut self) -> Option<&mut [u8]> {
        Some(&mut self.room)
    }

    fn buffer_filled(&mut self, _: &Transport, count: usize) {
        self.log.take_in(&self.room[..count]);
    }
}

/// Counts the bytes that it is asked to send.
struct Counting {
    taken: Rc<Cell<usize>>,
    at_once: bool,
    fails: bool,
}

impl Filter for Counting {
    fn inbound(
        &mut self,
        _: &mut Flow<'_>,
        input: &[u8],
        output: &mut Output<'_>,
    ) -> Result<usize, FilterError> {
        Ok(output.push(input))
    }

    fn outbound(&mut self, flow: &mut Flow<'_>, input: &[IoSlice<'_>]) -> Result<usize, FilterError> {
        if self.fails {
            return Err(FilterError::new("as it was told"));
        }
        input.iter().for_each(|part| flow.send(part));
        let count = input.iter().map(|part| part.len()).sum();
        self.taken.set(self.taken.get() + count);
        Ok(count)
    }

    fn takes_at_once(&self) -> bool {
        self.at_once
    }
}
