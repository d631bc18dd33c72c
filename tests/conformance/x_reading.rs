//! X: reading through TLS.

use std::cell::RefCell;
use std::rc::Rc;

use marline_reactor::{Protocol, Transport};

use crate::secured;
use crate::support::secure::{Begun, Setup};
use crate::support::{Event, Log, Trace, World, pattern};

/// Receives into memory of its own, and pauses each time.
struct Own {
    memory: [u8; 100],
    received: Rc<RefCell<Vec<usize>>>,
    bytes: Rc<RefCell<Vec<u8>>>,
}

impl Protocol for Own {
    fn data_received(&mut self, _: &Transport, _: &[u8]) {
        unreachable!("it has memory of its own");
    }

    fn receive_buffer(&mut self) -> Option<&mut [u8]> {
        Some(&mut self.memory)
    }

    fn buffer_filled(&mut self, transport: &Transport, count: usize) {
        transport.pause_reading();
        self.received.borrow_mut().push(count);
        self.bytes.borrow_mut().extend_from_slice(&self.memory[..count]);
    }
}

/// Sends so much at once.
fn send(world: &World, begun: &Begun, payload: &[u8], parts: usize) {
    let mut records = Vec::new();
    for part in payload.chunks(payload.len().div_ceil(parts)) {
        records.extend(begun.party.records(part));
    }
    begun.party.send(&records);
    world.calm(&begun.party);
}

secured! {
    fn x12_a_pause_stops_what_came_with_what_was_delivered(world: &World) {
        for way in world.ways() {
            let log = Log::new();
            let payload = if world.cuts() && !world.is_seeded() { world.payload() } else { pattern(600_000) };
            let protocol = Trace::new(&log).on(Event::Data(0), Transport::pause_reading);
            let begun = world.secure(way, &Setup::default(), protocol);
            send(world, &begun, &payload, 8);
            world.until(|| log.received() > 0);
            let deliveries = || log.all().iter().filter(|event| matches!(event, Event::Data(_))).count();
            let mut expected = 1;
            loop {
                world.calm(&begun.party);
                assert_eq!(deliveries(), expected, "one, and then the pause holds");
                if log.received() == payload.len() {
                    break;
                }
                begun.transport().resume_reading();
                world.until(|| {
                    begun.party.pump();
                    deliveries() > expected
                });
                expected += 1;
            }
            assert!(expected > 1 || world.cuts(), "one delivery");
            assert!(log.bytes() == payload, "bytes were lost, repeated or moved");
        }
    }

    fn x12_a_pause_stops_the_rest_of_a_record_that_is_decrypted(world: &World) {
        for way in world.ways() {
            let (received, bytes) = (Rc::new(RefCell::new(Vec::new())), Rc::default());
            let own = Own { memory: [0; 100], received: Rc::clone(&received), bytes: Rc::clone(&bytes) };
            let begun = world.secure(way, &Setup::default(), own);
            let payload = pattern(1000);
            send(world, &begun, &payload, 2);
            world.until(|| !received.borrow().is_empty());
            while bytes.borrow().len() < payload.len() {
                let before = received.borrow().len();
                world.calm(&begun.party);
                assert_eq!(received.borrow().len(), before, "the pause holds");
                begun.transport().resume_reading();
                world.until(|| received.borrow().len() > before);
            }
            assert!(*bytes.borrow() == payload, "bytes were lost, repeated or moved");
            assert!(received.borrow().len() >= 10);
        }
    }

    fn x12_a_pause_before_the_handshake_is_done_keeps_data_only(world: &World) {
        for way in world.ways() {
            let log = Log::new();
            let protocol = Trace::new(&log).on(Event::Made, Transport::pause_reading);
            let begun = world.secure(way, &Setup::default(), protocol);
            begun.party.say(b"data");
            begun.party.say_goodbye();
            world.calm(&begun.party);
            assert_eq!(log.all(), way.opening());
            begun.transport().resume_reading();
            world.until(|| {
                begun.party.pump();
                log.is_lost()
            });
            assert_eq!(log.bytes(), b"data");
            assert_eq!(log.reason().as_deref(), Some("Clean"));
        }
    }
}
