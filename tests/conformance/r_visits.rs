//! R, W, S: what a callback that is shown bytes does to its connection, and finds out about it, holds at once, also where bytes and answers
//! take the shortest way through the loop.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use marline_reactor::{Lost, Protocol, Transport, WriteStatus};

use crate::support::{World, pattern};
use crate::{conformance, streams};

streams! {
    fn w01_what_is_written_before_and_after_a_question_goes_in_order(world: &World) {
        let asked: [fn(&Transport); 6] = [
            |transport| assert!(transport.buffered() >= 2),
            |transport| assert!(transport.traffic().received >= 1),
            |transport| transport.set_watermarks(1, 2_000).expect("a lower one is lower"),
            |transport| transport.flush(),
            |transport| transport.notify_drained(),
            |transport| {
                transport.pause_reading();
                transport.resume_reading();
            },
        ];
        for ask in asked {
            let (_, raw) = world.accept_one(move |transport: &Transport, data: &[u8]| {
                let mut pieces = vec![data.to_vec(), b"<>".to_vec()];
                pieces.iter().for_each(|piece| assert_eq!(transport.write(piece), WriteStatus::Ok));
                ask(transport);
                assert!(transport.write(b"!").is_accepted());
                pieces.clear();
            });
            for _ in 0..3 {
                world.write(&raw, b"x");
                assert_eq!(world.read(&raw, 4), b"x<>!");
            }
        }
    }

    fn w01_owned_bytes_large_ones_and_copies_keep_their_order(world: &World) {
        let large = pattern(20_000);
        let large = Rc::new(large);
        let written = Rc::clone(&large);
        let (_, raw) = world.accept_one(move |transport: &Transport, _: &[u8]| {
            transport.write(b"few");
            transport.write_owned(b"owned".to_vec());
            transport.write(b"again");
            transport.write(&*written);
            transport.write(b"last");
        });
        world.write(&raw, b"?");
        let read = world.read(&raw, 17 + large.len());
        assert!(read == [b"fewownedagain".as_slice(), &large, b"last"].concat(), "the bytes differ");
    }

    fn s23_what_was_written_before_a_close_is_sent(world: &World) {
        let (transport, raw) = world.accept_one(|transport: &Transport, data: &[u8]| {
            transport.write(data);
            transport.close();
            assert_eq!(transport.write(b"late"), WriteStatus::Closed);
        });
        world.write(&raw, b"1");
        assert_eq!(world.read(&raw, 1), b"1");
        world.until(|| raw.is_finished());
        assert!(transport.is_closing());
    }

    fn r02_a_callback_that_pauses_is_the_last_until_it_resumes(world: &World) {
        let seen = Rc::new(Cell::new(0));
        let count = Rc::clone(&seen);
        let (transport, raw) = world.accept_one(move |transport: &Transport, data: &[u8]| {
            count.set(count.get() + data.len());
            transport.write(data);
            transport.pause_reading();
        });
        world.write(&raw, b"a");
        assert_eq!(world.read(&raw, 1), b"a");
        raw.write(b"bc");
        world.settle();
        assert_eq!(seen.get(), 1);
        transport.resume_reading();
        world.until(|| {
            transport.resume_reading();
            seen.get() == 3
        });
        assert_eq!(world.read(&raw, 2), b"bc");
    }

    fn r07_what_is_given_back_comes_again_before_the_rest(world: &World) {
        let parts = Rc::new(RefCell::new(Vec::new()));
        let noted = Rc::clone(&parts);
        let (_, raw) = world.accept_one(move |transport: &Transport, data: &[u8]| {
            noted.borrow_mut().push(data[0]);
            transport.write(&data[..1]);
            transport.unread(&data[1..]);
        });
        world.write(&raw, b"abcdef");
        assert_eq!(world.read(&raw, 6), b"abcdef");
        world.write(&raw, b"g");
        assert_eq!(world.read(&raw, 1), b"g");
        assert_eq!(&*parts.borrow(), b"abcdefg");
    }

    fn s21_a_successor_that_is_named_in_a_visit_gets_what_comes_next(world: &World) {
        let (_, raw) = world.accept_one(|transport: &Transport, data: &[u8]| {
            transport.write(data);
            transport
                .set_protocol(
                    |transport: &Transport, data: &[u8]| {
                        transport.write(data.to_ascii_uppercase());
                    },
                    b"",
                )
                .expect("it stands");
            transport.write(b".");
        });
        world.write(&raw, b"a");
        assert_eq!(world.read(&raw, 2), b"a.");
        world.write(&raw, b"b");
        assert_eq!(world.read(&raw, 1), b"B");
    }

    fn r13_memory_that_a_protocol_offers_later_is_used_from_then_on(world: &World) {
        for size in [1, 3, 4_096] {
            let got = Rc::new(RefCell::new(Vec::new()));
            let (transport, raw) = world.accept_one(Late::new(&got, size, |_| {}));
            let mut payload = world.payload();
            payload.truncate(3_000);
            for piece in payload.chunks(700) {
                let before = got.borrow().len();
                world.write(&raw, piece);
                world.until(|| got.borrow().len() == before + piece.len());
            }
            assert!(*got.borrow() == payload, "the bytes differ");
            assert!(transport.traffic().received >= payload.len() as u64);
        }
    }

    fn w04_an_empty_write_says_how_the_connection_stands(world: &World) {
        let said = Rc::new(RefCell::new(Vec::new()));
        let noted = Rc::clone(&said);
        let (_, raw) = world.accept_one(move |transport: &Transport, _: &[u8]| {
            noted.borrow_mut().push(transport.write(b""));
            transport.write(b"!");
            transport.write_eof();
            noted.borrow_mut().push(transport.write(b""));
        });
        world.write(&raw, b"1");
        assert_eq!(world.read(&raw, 1), b"!");
        assert_eq!(&said.borrow()[..2], [WriteStatus::Ok, WriteStatus::Closed]);
    }

    fn r02_who_is_asked_for_memory_may_ask_pause_and_have_none(world: &World) {
        let got = Rc::new(RefCell::new(Vec::new()));
        let (transport, raw) = world.accept_one(Asks { got: Rc::clone(&got), transport: None, asked: 0 });
        world.write(&raw, b"1");
        world.until(|| got.borrow().len() == 1);
        let before = transport.traffic().received;
        assert!(world.is_secure() || before == 1, "{before} bytes for one");
        raw.write(b"23");
        world.settle();
        assert_eq!(&*got.borrow(), b"1", "it paused when it was asked");
        world.until(|| {
            transport.resume_reading();
            got.borrow().len() == 3
        });
        assert!(world.is_secure() || transport.traffic().received == 3);
    }

    fn r02_who_pauses_when_asked_for_memory_gets_it_filled_later(world: &World) {
        let got = Rc::new(RefCell::new(Vec::new()));
        let (transport, raw) = world.accept_one(Late::new(&got, 16, Transport::pause_reading));
        world.write(&raw, b"1");
        world.until(|| got.borrow().len() == 1);
        raw.write(b"paused");
        world.settle();
        assert_eq!(&*got.borrow(), b"1");
        world.until(|| {
            transport.resume_reading();
            got.borrow().len() == 7
        });
        assert_eq!(&*got.borrow(), b"1paused");
    }
}

conformance! {
    fn s15_of_many_visits_in_a_row_those_that_panic_end_alone(world: &World) {
        let lost = Rc::new(RefCell::new(Vec::new()));
        let connections: Vec<_> = (0..9u8)
            .map(|number| world.accept_one(Fragile { number, lost: Rc::clone(&lost), words: VecDeque::new() }))
            .collect();
        for round in 0..2 {
            // All are written before the loop looks, so that they come together.
            let whole = |number: &usize| round == 0 || number % 3 != 1;
            connections.iter().enumerate().filter(|(number, _)| whole(number)).for_each(|(_, (_, raw))| {
                raw.write(if round == 0 { b"1" } else { b"2" });
            });
            for (number, (_, raw)) in connections.iter().enumerate() {
                if number % 3 != 1 {
                    assert_eq!(world.read(raw, 2).len(), 2, "number {number} in round {round}");
                }
            }
        }
        world.until(|| lost.borrow().len() == 3);
        let mut numbers = lost.borrow().clone();
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 4, 7]);
    }
}

/// Answers with two bytes; every third one panics when it has written.
struct Fragile {
    number: u8,
    lost: Rc<RefCell<Vec<u8>>>,
    words: VecDeque<u8>,
}

impl Protocol for Fragile {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.words.extend(data);
        transport.write([self.number, self.words.len() as u8]);
        assert!(self.number % 3 != 1, "number {}", self.number);
    }

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        assert!(self.number % 3 != 1 || lost.reason().to_string().contains("number"), "{lost:?}");
        self.lost.borrow_mut().push(self.number);
    }
}

/// Asks about its connection when it is asked for memory, pauses the second time, and has none.
struct Asks {
    got: Rc<RefCell<Vec<u8>>>,
    transport: Option<Transport>,
    asked: usize,
}

impl Protocol for Asks {
    fn connection_made(&mut self, transport: &Transport) {
        self.transport = Some(transport.clone());
    }

    fn receive_buffer(&mut self) -> Option<&mut [u8]> {
        let transport = self.transport.as_ref()?;
        assert!(!transport.is_closing());
        if self.got.borrow().len() == 1 && self.asked == 0 {
            self.asked = 1;
            transport.pause_reading();
        }
        None
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        assert!(!transport.is_paused(), "nothing comes while it is paused");
        self.got.borrow_mut().extend_from_slice(data);
    }
}

/// Is shown the first bytes, and has memory for those that come after.
struct Late {
    got: Rc<RefCell<Vec<u8>>>,
    memory: Vec<u8>,
    size: usize,
    /// What it does when it is asked for memory for the first time.
    first: Option<fn(&Transport)>,
    transport: Option<Transport>,
}

impl Late {
    fn new(got: &Rc<RefCell<Vec<u8>>>, size: usize, first: fn(&Transport)) -> Self {
        Self { got: Rc::clone(got), memory: Vec::new(), size, first: Some(first), transport: None }
    }
}

impl Protocol for Late {
    fn connection_made(&mut self, transport: &Transport) {
        self.transport = Some(transport.clone());
    }

    fn receive_buffer(&mut self) -> Option<&mut [u8]> {
        if self.memory.is_empty() {
            return None;
        }
        if let (Some(first), Some(transport)) = (self.first.take(), &self.transport) {
            first(transport);
        }
        Some(&mut self.memory)
    }

    fn buffer_filled(&mut self, _: &Transport, count: usize) {
        self.got.borrow_mut().extend_from_slice(&self.memory[..count]);
    }

    fn data_received(&mut self, _: &Transport, data: &[u8]) {
        self.got.borrow_mut().extend_from_slice(data);
        self.memory = vec![0; self.size];
    }
}
