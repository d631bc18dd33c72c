//! R: input that a protocol takes itself, when and into what it likes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use marline_reactor::{Lost, OnEof, Protocol, Transport};

use crate::streams;
use crate::support::World;

streams! {
    fn r07_what_a_protocol_takes_itself_comes_once_and_in_order(world: &World) {
        let taken = Rc::new(Taker::default());
        let (transport, raw) = world.accept_one(Told(Rc::clone(&taken)));
        let mut payload = world.payload();
        payload.truncate(60_000);
        world.write(&raw, &payload);
        world.until(|| {
            taken.take(&transport, 999);
            taken.bytes.borrow().len() == payload.len()
        });
        assert!(*taken.bytes.borrow() == payload, "the bytes differ");
        assert!(!transport.is_paused(), "what has nothing left reads");
        assert!(transport.traffic().received >= payload.len() as u64);
    }

    fn r01_what_is_left_with_the_system_stays_there(world: &World) {
        let taken = Rc::new(Taker::default());
        let (transport, raw) = world.accept_one(Told(Rc::clone(&taken)));
        world.write(&raw, b"first");
        world.until(|| taken.has_some());
        let told = taken.told.get();
        world.write(&raw, b" and second");
        world.settle();
        assert_eq!(taken.told.get(), told, "who has not taken what is there is not told again");
        world.until(|| {
            taken.take(&transport, 4);
            taken.bytes.borrow().len() == 16
        });
        assert_eq!(&*taken.bytes.borrow(), b"first and second");
    }

    fn r06_the_end_comes_after_what_was_left_and_then_the_loss(world: &World) {
        let taken = Rc::new(Taker::default());
        let (transport, raw) = world.accept_one(Told(Rc::clone(&taken)));
        world.write(&raw, b"the last words");
        raw.finish();
        world.until(|| {
            taken.take(&transport, 64);
            taken.lost.get()
        });
        assert_eq!(&*taken.bytes.borrow(), b"the last words");
        assert_eq!((taken.ends.get(), taken.late.get()), (1, 0));
        assert_eq!(transport.try_receive(&mut [0; 8]), None);
    }

    fn r07_what_was_left_goes_to_a_successor(world: &World) {
        let taken = Rc::new(Taker::default());
        let (transport, raw) = world.accept_one(Told(Rc::clone(&taken)));
        world.write(&raw, b"abcdef");
        world.until(|| taken.has_some());
        let given = taken.bytes.take();
        let next = Rc::new(RefCell::new(given));
        let seen = Rc::clone(&next);
        let successor = move |_: &Transport, data: &[u8]| seen.borrow_mut().extend_from_slice(data);
        transport.set_protocol(successor, &[]).unwrap_or_else(|_| panic!("it stands"));
        assert_eq!(transport.try_receive(&mut [0; 8]), None, "it is the successor's");
        transport.resume_reading();
        world.until(|| next.borrow().len() == 6);
        assert_eq!(&*next.borrow(), b"abcdef");
    }

    fn r07_who_cannot_take_it_gets_it(world: &World) {
        let taken = Rc::new(Taker::default());
        let (transport, raw) = world.accept_one(Told(Rc::clone(&taken)));
        world.write(&raw, b"of the peer's");
        world.until(|| taken.has_some());
        // The wire may have brought a part of it, by way of the protocol.
        let before = taken.bytes.take();
        transport.unread(&before);
        transport.resume_reading();
        world.until(|| {
            taken.take(&transport, 3);
            taken.bytes.borrow().len() == 13
        });
        assert_eq!(&*taken.bytes.borrow(), b"of the peer's");
    }

    fn r05_nothing_is_taken_from_what_is_closed(world: &World) {
        let taken = Rc::new(Taker::default());
        let (transport, raw) = world.accept_one(Told(Rc::clone(&taken)));
        world.write(&raw, b"too late");
        world.until(|| taken.has_some());
        transport.abort();
        assert_eq!(transport.try_receive(&mut [0; 8]), None);
        world.until(|| taken.lost.get());
        assert_eq!(transport.try_receive(&mut [0; 8]), None);
        drop(raw);
    }
}

/// What became of a connection whose protocol takes its input itself.
#[derive(Default)]
struct Taker {
    bytes: RefCell<Vec<u8>>,
    told: Cell<usize>,
    ends: Cell<usize>,
    lost: Cell<bool>,
    /// Bytes after the end.
    late: Cell<usize>,
}

impl Taker {
    fn has_some(&self) -> bool {
        self.told.get() > 0 || !self.bytes.borrow().is_empty()
    }

    /// Takes all that there is, into so many bytes at a time.
    fn take(&self, transport: &Transport, room: usize) {
        let mut memory = vec![0; room];
        while let Some(taken) = transport.try_receive(&mut memory) {
            assert!(taken.count > 0 && taken.count <= room);
            self.bytes.borrow_mut().extend_from_slice(&memory[..taken.count]);
            if !taken.more {
                return;
            }
        }
        // Whatever cannot be taken is delivered.
        transport.resume_reading();
    }
}

struct Told(Rc<Taker>);

impl Protocol for Told {
    fn connection_made(&mut self, transport: &Transport) {
        transport.notify_readable();
    }

    fn readable(&mut self, transport: &Transport) -> bool {
        assert_eq!(transport.try_receive(&mut [0; 8]), None, "not within a callback");
        self.0.told.set(self.0.told.get() + 1);
        true
    }

    fn data_received(&mut self, _: &Transport, data: &[u8]) {
        self.0.late.set(self.0.late.get() + if self.0.ends.get() > 0 { data.len() } else { 0 });
        self.0.bytes.borrow_mut().extend_from_slice(data);
    }

    fn eof_received(&mut self, _: &Transport) -> OnEof {
        self.0.ends.set(self.0.ends.get() + 1);
        OnEof::Close
    }

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        assert!(!self.0.lost.replace(true), "{lost:?}");
    }
}
