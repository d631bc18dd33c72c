//! R: input that a protocol takes itself, when and into what it likes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use marline_reactor::{Lost, OnEof, Protocol, Transport};

use crate::streams;
use crate::support::{World, take_all};

streams! {
    fn r07_what_a_protocol_takes_itself_comes_once_and_in_order(world: &World) {
        let taken = Rc::new(Taker::default());
        let (transport, raw) = world.accept_one(Told::new(&taken));
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
        let (transport, raw) = world.accept_one(Told::new(&taken));
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
        let (transport, raw) = world.accept_one(Told::new(&taken));
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
        let (transport, raw) = world.accept_one(Told::new(&taken));
        world.write(&raw, b"abcdef");
        world.until(|| taken.has_some());
        let given = taken.bytes.take();
        let next = Rc::new(RefCell::new(given));
        let seen = Rc::clone(&next);
        let successor = move |_: &Transport, data: &[u8]| seen.borrow_mut().extend_from_slice(data);
        transport.set_protocol(successor, &[]).unwrap_or_else(|_| panic!("it stands"));
        assert_eq!(transport.try_receive(&mut [0; 8]), None, "it is the successor's");
        world.until(|| next.borrow().len() == 6);
        assert_eq!(&*next.borrow(), b"abcdef");
    }

    fn r07_who_cannot_take_it_gets_it(world: &World) {
        let taken = Rc::new(Taker::default());
        let (transport, raw) = world.accept_one(Told::new(&taken));
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

    fn r01_r02_s10_who_pauses_or_closes_when_it_is_told_gets_nothing(world: &World) {
        for act in [Transport::pause_reading, Transport::close] {
            let taken = Rc::new(Taker::default());
            let (transport, raw) = world.accept_one(Told { taken: Rc::clone(&taken), act, answer: false });
            // The wire may have brought it by way of the protocol, which pauses or closes then.
            world.write(&raw, b"unwanted");
            world.until(|| taken.has_some());
            let before = taken.bytes.borrow().len();
            world.settle();
            assert_eq!((taken.bytes.borrow().len(), taken.late.get()), (before, 0));
            assert!(transport.is_paused() || transport.is_closing() || taken.lost.get());
            transport.abort();
            world.until(|| taken.lost.get());
        }
    }

    fn r04_who_resumes_when_it_is_told_gets_it(world: &World) {
        let taken = Rc::new(Taker::default());
        let act = Transport::resume_reading;
        let (_, raw) = world.accept_one(Told { taken: Rc::clone(&taken), act, answer: true });
        world.write(&raw, b"after all");
        world.until(|| taken.bytes.borrow().len() == 9);
        assert_eq!(&*taken.bytes.borrow(), b"after all");
    }

    fn s21_who_names_a_successor_when_it_is_told_leaves_all_to_it(world: &World) {
        thread_local! {
            static SEEN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        SEEN.take();
        let act = |transport: &Transport| {
            let successor = |_: &Transport, data: &[u8]| SEEN.with_borrow_mut(|seen| seen.extend_from_slice(data));
            transport.set_protocol(successor, &[]).unwrap_or_else(|_| panic!("it stands"));
        };
        for answer in [false, true] {
            let taken = Rc::new(Taker::default());
            let (_, raw) = world.accept_one(Told { taken: Rc::clone(&taken), act, answer });
            world.write(&raw, b"for the next");
            world.until(|| taken.bytes.borrow().len() + SEEN.with_borrow(Vec::len) == 12);
            assert!(taken.bytes.borrow().is_empty() || taken.told.get() == 0);
            SEEN.take();
        }
    }

    fn r01_a_pause_of_the_programs_outlasts_the_taking(world: &World) {
        let taken = Rc::new(Taker::default());
        let (transport, raw) = world.accept_one(Told::new(&taken));
        world.write(&raw, b"some");
        world.until(|| taken.told.get() > 0 || taken.bytes.borrow().len() == 4);
        transport.pause_reading();
        let mut memory = [0; 64];
        while let Some(got) = transport.try_receive(&mut memory) {
            taken.bytes.borrow_mut().extend_from_slice(&memory[..got.count]);
        }
        assert!(transport.is_paused());
        let (told, before) = (taken.told.get(), taken.bytes.borrow().len());
        world.write(&raw, b"more");
        world.settle();
        assert_eq!((taken.told.get(), taken.bytes.borrow().len()), (told, before));
        transport.resume_reading();
        world.until(|| {
            taken.take(&transport, 8);
            taken.bytes.borrow().len() == 8
        });
        assert_eq!(&*taken.bytes.borrow(), b"somemore");
    }

    fn r07_a_pipe_tells_that_it_is_readable_as_well(world: &World) {
        if world.is_secure() {
            return;
        }
        let taken = Rc::new(Taker::default());
        let (opening, far) = world.read_pipe();
        let transport = world.handle().adopt_stream(opening, Told::new(&taken)).expect("a pipe");
        world.settle();
        assert_eq!(far.write(b"through"), 7);
        world.until(|| taken.has_some());
        world.until(|| {
            taken.take(&transport, 3);
            taken.bytes.borrow().len() == 7
        });
        assert_eq!(&*taken.bytes.borrow(), b"through");
        assert!(taken.told.get() > 0, "it was told");
    }

    fn r05_nothing_is_taken_from_what_is_closed(world: &World) {
        let taken = Rc::new(Taker::default());
        let (transport, raw) = world.accept_one(Told::new(&taken));
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
        take_all(transport, room, |data| self.bytes.borrow_mut().extend_from_slice(data));
    }
}

/// Takes what comes itself, when the test says so.
struct Told {
    taken: Rc<Taker>,
    /// What it does when it is told, and answers.
    act: fn(&Transport),
    answer: bool,
}

impl Told {
    fn new(taken: &Rc<Taker>) -> Self {
        Self { taken: Rc::clone(taken), act: |_| {}, answer: true }
    }
}

impl Protocol for Told {
    fn connection_made(&mut self, transport: &Transport) {
        transport.notify_readable();
    }

    fn readable(&mut self, transport: &Transport) -> bool {
        assert_eq!(transport.try_receive(&mut [0; 8]), None, "not within a callback");
        self.taken.told.set(self.taken.told.get() + 1);
        (self.act)(transport);
        self.answer
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        let taken = &self.taken;
        taken.late.set(taken.late.get() + if taken.ends.get() > 0 { data.len() } else { 0 });
        taken.bytes.borrow_mut().extend_from_slice(data);
        if taken.told.get() == 0 {
            (self.act)(transport);
        }
    }

    fn eof_received(&mut self, _: &Transport) -> OnEof {
        self.taken.ends.set(self.taken.ends.get() + 1);
        OnEof::Close
    }

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        assert!(!self.taken.lost.replace(true), "{lost:?}");
    }
}
