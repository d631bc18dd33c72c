//! W: what a callback writes, of which a backend may send what is little from where it was written.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use marline_reactor::{Lost, Protocol, Reason, Transport};

use crate::streams;
use crate::support::{World, pattern};

/// How long answers are, and the pieces that they are written in: little and not so little, by one byte and by many.
const ANSWERS: [(usize, usize); 10] = [
    (1, 1),
    (63, 64),
    (2047, 600),
    (2048, 2048),
    (2049, 2048),
    (2049, 1),
    (6000, 1500),
    (20_000, 700),
    (40_000, 9000),
    (70_000, 3000),
];
/// So many connections answer in a turn that not all of it finds room, with answers of this length.
const CONNECTIONS: usize = 140;
const LONG: usize = 2000;

streams! {
    fn w01_answers_of_any_length_in_pieces_of_any_length_stay_in_order(world: &World) {
        let server = world.listen(|_| InPieces);
        let raws: Vec<_> = ANSWERS.iter().map(|_| world.connect_raw(&server)).collect();
        for round in 0..ANSWERS.len() {
            for (index, raw) in raws.iter().enumerate() {
                world.write(raw, &[((round + index) % ANSWERS.len()) as u8]);
            }
            for (index, raw) in raws.iter().enumerate() {
                let (len, _) = ANSWERS[(round + index) % ANSWERS.len()];
                assert!(world.read(raw, len) == pattern(len), "{len} bytes differ");
            }
        }
    }

    fn w01_more_answers_than_find_room_in_a_turn_are_all_sent(world: &World) {
        let server = world.listen(|_| Answers(LONG));
        let raws: Vec<_> = (0..CONNECTIONS).map(|_| world.connect_raw(&server)).collect();
        for _ in 0..3 {
            raws.iter().for_each(|raw| world.write(raw, b"?"));
            for raw in &raws {
                assert!(world.read(raw, LONG) == pattern(LONG), "the bytes differ");
            }
        }
    }

    fn s14_what_a_protocol_wrote_before_it_panicked_is_sent_to_nobody_else(world: &World) {
        let server = world.listen(|_| Panics);
        let raws: Vec<_> = (0..12).map(|_| world.connect_raw(&server)).collect();
        for round in 0..4 {
            // One of three panics each time, and the others are still there.
            let (doomed, others): (Vec<_>, Vec<_>) = (0..12).filter(|index| index / 3 >= round).partition(|index| index / 3 == round);
            doomed.iter().for_each(|index| world.write(&raws[*index], b"!"));
            others.iter().for_each(|index| world.write(&raws[*index], b"?"));
            for index in others {
                assert_eq!(world.read(&raws[index], 8), b"answered");
            }
            for index in doomed {
                world.until(|| raws[index].read().is_empty() && (raws[index].is_finished() || raws[index].is_reset()));
            }
        }
    }

    fn w23_what_an_abort_leaves_unsent_and_what_was_sent_are_all_that_was_written(world: &World) {
        for act in [Aborts::AtOnce, Aborts::Soon, Aborts::AfterOthers] {
            let told = Rc::new(RefCell::new(None));
            let (_, raw) = world.accept_one(Aborting { act, told: Rc::clone(&told) });
            let (_, other) = world.accept_one(Answers(9));
            world.write(&other, b"?");
            world.write(&raw, b"?");
            world.until(|| told.borrow().is_some());
            let (lost, sent): (Lost, u64) = told.take().expect("it was told");
            assert!(matches!(lost.reason(), Reason::Aborted), "{lost}");
            assert_eq!(sent + lost.unsent() as u64, LONG as u64, "{lost}");
            assert_eq!(world.read(&other, 9), pattern(9));
        }
    }

    fn w07_what_is_flushed_to_another_connection_in_a_callback_is_that_ones(world: &World) {
        let (other, others) = world.accept_one(Answers(1));
        let relays = Relays { other, by_errand: Cell::new(false) };
        let (_, raw) = world.accept_one(relays);
        for _ in 0..6 {
            world.write(&raw, b"?");
            assert_eq!(world.read(&raw, 13), b"mine and more");
            assert_eq!(world.read(&others, 11), b"yours, too.");
        }
    }
}

/// Answers a number by that answer.
struct InPieces;

impl Protocol for InPieces {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        for number in data {
            let (len, piece) = ANSWERS[usize::from(*number)];
            for piece in pattern(len).chunks(piece) {
                assert!(transport.write(piece).is_accepted());
            }
        }
    }
}

/// Answers by so many bytes.
struct Answers(usize);

impl Protocol for Answers {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        data.iter().for_each(|_| assert!(transport.write(pattern(self.0)).is_accepted()));
    }
}

/// Answers, and panics after that if it is told to.
struct Panics;

impl Protocol for Panics {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        if data.contains(&b'!') {
            assert!(transport.write(b"no one's").is_accepted());
            panic!("after it has written");
        }
        assert!(transport.write(b"answered").is_accepted());
    }
}

/// When it aborts: in its callback, behind it, or when others had their turn.
#[derive(Clone, Copy)]
enum Aborts {
    AtOnce,
    Soon,
    AfterOthers,
}

struct Aborting {
    act: Aborts,
    told: Rc<RefCell<Option<(Lost, u64)>>>,
}

impl Protocol for Aborting {
    fn data_received(&mut self, transport: &Transport, _: &[u8]) {
        assert!(transport.write(pattern(LONG)).is_accepted());
        let (handle, transport) = (transport.handle(), transport.clone());
        match self.act {
            Aborts::AtOnce => transport.abort(),
            Aborts::Soon => drop(handle.call_soon(move || transport.abort())),
            Aborts::AfterOthers => {
                let inner = handle.clone();
                drop(handle.call_soon(move || drop(inner.call_soon(move || transport.abort()))));
            }
        }
    }

    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        self.told.replace(Some((lost.clone(), transport.traffic().sent)));
    }
}

/// Writes to itself and to another, whose bytes it flushes in between; in a call that takes the input every second time.
struct Relays {
    other: Transport,
    by_errand: Cell<bool>,
}

impl Relays {
    fn relay(transport: &Transport, other: &Transport) {
        assert!(transport.write(b"mine ").is_accepted());
        assert!(other.write(b"yours, ").is_accepted());
        other.flush();
        assert!(transport.write(b"and more").is_accepted());
        assert!(other.write(b"too.").is_accepted());
    }
}

impl Protocol for Relays {
    fn connection_made(&mut self, transport: &Transport) {
        transport.notify_readable();
    }

    fn readable(&mut self, transport: &Transport) -> bool {
        let by_errand = !self.by_errand.get();
        self.by_errand.set(by_errand);
        if by_errand {
            let (own, other) = (transport.clone(), self.other.clone());
            transport.handle().call_next(move || {
                let mut memory = [0; 9];
                let count = own.try_receive(&mut memory).map_or(0, |taken| taken.count);
                (0..count).for_each(|_| Self::relay(&own, &other));
                own.resume_reading();
            });
        }
        by_errand
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        data.iter().for_each(|_| Self::relay(transport, &self.other));
    }
}
