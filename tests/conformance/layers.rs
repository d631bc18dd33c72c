//! What a transport offers to layers around protocols: counts, suspensions, attached values, and the end at a deadline.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use marline_reactor::{Protocol, Traffic, Transport};
use marline_tasks::Stream;

use crate::support::{Event, Log, Trace, World, collect, collect_up_to, flood, pour};
use crate::{conformance, streams};

/// Receives into memory of its own.
struct Own {
    memory: [u8; 512],
    received: Rc<Cell<usize>>,
}

impl Protocol for Own {
    fn data_received(&mut self, _: &Transport, _: &[u8]) {
        unreachable!("it has memory of its own");
    }

    fn receive_buffer(&mut self) -> Option<&mut [u8]> {
        Some(&mut self.memory)
    }

    fn buffer_filled(&mut self, _: &Transport, count: usize) {
        self.received.set(self.received.get() + count);
    }
}

/// Puts its mark on a list when it is dropped.
struct Mark(&'static str, Rc<RefCell<Vec<&'static str>>>);

impl Drop for Mark {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

streams! {
    fn a_connection_counts_what_it_moves(world: &World) {
        let (payload, log, count) = (world.payload(), Log::new(), Rc::new(Cell::new(Traffic::default())));
        let (note, mut gave_back) = (Rc::clone(&count), false);
        let protocol = Trace::new(&log).keep_open().with(move |transport, event, data| match event {
            // Bytes that are given back are received once.
            Event::Data(_) if !std::mem::replace(&mut gave_back, true) => transport.unread(data),
            Event::Lost(_) => note.set(transport.traffic()),
            _ => {}
        });
        let (transport, raw) = world.accept_one(protocol);
        pour(world, &raw, &payload);
        world.until(|| transport.traffic().received == payload.len() as u64);
        transport.write(&payload);
        transport.write(b"end");
        assert_eq!(collect_up_to(world, &raw, payload.len() + 3).len(), payload.len() + 3);
        world.until(|| transport.traffic().sent == payload.len() as u64 + 3);
        raw.finish();
        transport.close();
        world.until(|| log.is_lost());
        let counted = count.get();
        assert_eq!((counted.received, counted.sent), (payload.len() as u64, payload.len() as u64 + 3));
        assert_eq!(transport.traffic(), Traffic::default(), "it is gone");
    }

    fn what_is_received_into_own_memory_counts(world: &World) {
        let (payload, received) = (world.payload(), Rc::new(Cell::new(0)));
        let own = Own { memory: [0; 512], received: Rc::clone(&received) };
        let (transport, raw) = world.accept_one(own);
        pour(world, &raw, &payload);
        world.until(|| received.get() == payload.len());
        assert_eq!(transport.traffic().received, payload.len() as u64);
    }
}

conformance! {
    fn reading_goes_on_when_nobody_wants_it_to_stop(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        let (one, two) = (transport.suspend_reading(), transport.suspend_reading());
        transport.pause_reading();
        raw.write(b"x");
        let steps: [Box<dyn FnOnce()>; 3] = [
            Box::new(|| drop(one)),
            Box::new(|| transport.resume_reading()),
            Box::new(|| drop(two)),
        ];
        for step in steps {
            world.settle();
            assert!(!transport.is_reading());
            assert_eq!(log.received(), 0);
            step();
        }
        assert!(transport.is_reading());
        world.until(|| log.received() == 1);
    }

    fn a_suspension_that_outlives_the_connection_touches_no_other(world: &World) {
        let (log, next) = (Log::new(), Log::new());
        let (transport, raw) = world.accept_one(Trace::new(&log));
        let suspension = transport.suspend_reading();
        transport.abort();
        world.until(|| log.is_lost());
        drop(raw);
        let (second, raw) = world.accept_one(Trace::new(&next));
        let other = second.suspend_reading();
        drop(suspension);
        drop(transport.suspend_reading());
        raw.write(b"x");
        world.settle();
        assert_eq!(next.received(), 0);
        drop(other);
        world.until(|| next.received() == 1);
    }

    fn a_stream_does_not_take_a_suspension_for_a_pause_of_the_programs(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        let suspension = transport.suspend_reading();
        assert!(!transport.is_paused());
        let stream = Stream::from_transport(&transport).expect("a live connection");
        world.settle();
        let after = Log::new();
        stream.into_protocol(Trace::new(&after)).expect("a live connection");
        world.until(|| after.count(&Event::Made) == 1);
        assert!(!transport.is_paused() && !transport.is_reading());
        drop(suspension);
        raw.write(b"x");
        world.until(|| after.received() == 1);
    }

    fn what_is_attached_goes_after_the_loss_was_told(world: &World) {
        let (log, marks) = (Log::new(), Rc::new(RefCell::new(Vec::new())));
        let told = Rc::clone(&marks);
        let lost = Event::Lost(String::new());
        let protocol = Trace::new(&log).on(lost, move |_| told.borrow_mut().push("told"));
        let (transport, raw) = world.accept_one(Trace::new(&Log::new()));
        transport.attach(Mark("one", Rc::clone(&marks)));
        transport.attach(Mark("two", Rc::clone(&marks)));
        transport.set_protocol(protocol, &[]).expect("a live connection");
        world.until(|| log.count(&Event::Made) == 1);
        assert!(marks.borrow().is_empty(), "they belong to the connection");
        raw.close();
        world.until(|| log.is_lost());
        assert_eq!(*marks.borrow(), ["told", "one", "two"]);
        transport.attach(Mark("late", Rc::clone(&marks)));
        world.until(|| marks.borrow().len() == 4);
    }

    fn a_deadline_of_the_programs_ends_a_connection_as_what_it_is(world: &World) {
        let log = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&log));
        transport.time_out();
        transport.time_out();
        assert!(!log.is_lost(), "no callback runs on the stack of the call");
        world.until(|| log.is_lost());
        assert_eq!(log.all(), [Event::Made, Event::Lost("Timeout".into())]);
        assert!(collect(world, &raw).is_empty() && raw.is_finished());

        let cut = Log::new();
        let (transport, raw) = world.accept_one(Trace::new(&cut));
        flood(world, &transport);
        transport.time_out();
        world.until(|| cut.is_lost());
        assert!(cut.lost().is_some_and(|lost| lost.is_timeout() && lost.unsent() > 0));
        world.until(|| raw.is_reset() || raw.read().is_empty() && raw.is_finished());
        assert!(raw.is_reset());
    }
}

#[test]
fn what_is_attached_goes_with_the_loop() {
    for world in World::each() {
        let marks = Rc::new(RefCell::new(Vec::new()));
        let (transport, _raw) = world.accept_one(Trace::new(&Log::new()));
        transport.attach(Mark("gone", Rc::clone(&marks)));
        transport.attach(transport.suspend_reading());
        drop(world);
        assert_eq!(*marks.borrow(), ["gone"]);
        transport.attach(Mark("refused", Rc::clone(&marks)));
        assert_eq!(*marks.borrow(), ["gone", "refused"]);
    }
}
