//! W: few bytes at a time, of which a backend may keep to itself for a while that they are sent.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use marline_reactor::{Protocol, Transport};

use crate::streams;
use crate::support::{Log, Trace, World, pattern};

/// Few bytes.
const FEW: usize = 1000;

streams! {
    fn w01_small_writes_of_many_turns_to_a_peer_who_reads_late_stay_in_order(world: &World) {
        let (transport, raw) = world.accept_one(Trace::new(&Log::new()));
        let fills = !world.is_secure() && !world.is_memory();
        let payload = if fills { pattern(24 << 20) } else { world.payload() };
        let (mut written, mut full) = (0, 0);
        for piece in payload.chunks(FEW) {
            assert!(transport.write(piece).is_accepted());
            written += piece.len();
            assert_eq!(transport.traffic().sent + transport.buffered() as u64, written as u64);
            world.turn();
            // Nobody looks at it in between, for once.
            if written % (7 * FEW) == 0 {
                assert_eq!(transport.traffic().sent + transport.buffered() as u64, written as u64);
                full = if transport.buffered() > 10 * FEW { full + 1 } else { 0 };
            }
            if full > 3 {
                break;
            }
        }
        assert!(full > 3 || !fills, "{written} bytes found room");
        let seen = world.read(&raw, written);
        assert!(seen == payload[..written], "the bytes differ");
        world.until(|| transport.buffered() == 0);
        assert_eq!(transport.traffic().sent, written as u64);
    }

    fn w01_what_follows_an_answer_in_its_turn_comes_behind_it(world: &World) {
        for (index, (act, expected, ends)) in ACTS.into_iter().enumerate() {
            let answers = Answers { act, drained: Rc::default(), kept: Rc::default() };
            let (drained, kept) = (Rc::clone(&answers.drained), Rc::clone(&answers.kept));
            let (transport, raw) = world.accept_one(answers);
            world.write(&raw, b"?");
            let seen = world.read(&raw, expected.len());
            assert_eq!(String::from_utf8_lossy(&seen), expected, "act {index}");
            if ends {
                world.until(|| raw.read().is_empty() && raw.is_finished());
            } else {
                world.until(|| transport.buffered() == 0);
                assert_eq!(transport.traffic().sent, expected.len() as u64, "act {index}");
                world.write(&raw, b"?");
                assert_eq!(world.read(&raw, 8), b"answer, ", "act {index}");
            }
            assert_eq!(drained.get(), index == 4, "act {index}");
            kept.take();
            raw.finish();
            world.until(|| transport.is_lost());
        }
    }
}

/// What is done to a connection in the turn in which its protocol has answered, what the peer gets then, and whether that is all.
type Act = fn(&Transport);

const ACTS: [(Act, &str, bool); 7] = [
    (|_| {}, "answer, ", false),
    (|transport| assert!(transport.write(b"and more").is_accepted()), "answer, and more", false),
    (
        |transport| {
            let (sent, waits) = (transport.traffic().sent, transport.buffered());
            assert_eq!(sent + waits as u64, 8, "{sent} bytes are sent, and {waits} wait");
            assert!(transport.write(b"and ").is_accepted());
            transport.flush();
            assert!(transport.write(b"more").is_accepted());
        },
        "answer, and more",
        false,
    ),
    (Transport::close, "answer, ", true),
    (Transport::notify_drained, "answer, ", false),
    (Transport::write_eof, "answer, ", true),
    (
        |transport| {
            transport.pause_reading();
            assert!(transport.write(vec![b'.'; 100]).is_accepted());
            transport.resume_reading();
            transport.close();
        },
        concat!(
            "answer, ",
            "..................................................",
            ".................................................."
        ),
        true,
    ),
];

/// Answers, and does something to its connection in the same turn for the first time.
struct Answers {
    act: Act,
    drained: Rc<Cell<bool>>,
    kept: Rc<RefCell<Option<Transport>>>,
}

impl Protocol for Answers {
    fn data_received(&mut self, transport: &Transport, _: &[u8]) {
        assert!(transport.write(b"answer, ").is_accepted());
        if self.kept.borrow().is_none() {
            self.kept.replace(Some(transport.clone()));
            let (act, transport) = (self.act, transport.clone());
            transport.handle().call_soon(move || act(&transport));
        }
    }

    fn drained(&mut self, _: &Transport) {
        self.drained.set(true);
    }
}

streams! {
    fn w23_what_is_under_way_in_a_turn_is_so_until_the_next_wait(world: &World) {
        // An adversary may well answer in the turn.
        if world.is_adversarial() {
            return;
        }
        let seen = Rc::new(Seen::default());
        let kept = Rc::clone(&seen);
        let server = world.listen(move |_| Looks(Rc::clone(&kept)));
        let raws: Vec<_> = (0..80).map(|_| world.connect_raw(&server)).collect();
        world.until(|| seen.made.get() == raws.len());
        for round in 1..=6 {
            raws.iter().for_each(|raw| world.write(raw, b"?"));
            world.until(|| seen.answered.get() == round * raws.len());
            world.settle();
        }
        assert_eq!(seen.changed.get(), 0, "it was told to be sent in the turn in which it was written");
        let first = seen.first.borrow().clone().expect("somebody was first");
        assert_eq!((first.buffered(), first.traffic().sent), (0, 12));
        raws.iter().for_each(|raw| assert_eq!(world.read(raw, 6).len(), 6));
    }
}

/// What protocols have seen of the first of them.
#[derive(Default)]
struct Seen {
    first: RefCell<Option<Transport>>,
    made: Cell<usize>,
    answered: Cell<usize>,
    /// In which turn the first has answered, and how much of it waited when somebody looked first.
    turn: Cell<u64>,
    waits: Cell<Option<usize>>,
    changed: Cell<usize>,
}

/// Answers, and looks at the first of them. The first writes once more when others had their turn.
struct Looks(Rc<Seen>);

impl Protocol for Looks {
    fn connection_made(&mut self, transport: &Transport) {
        self.0.first.borrow_mut().get_or_insert_with(|| transport.clone());
        self.0.made.set(self.0.made.get() + 1);
    }

    fn data_received(&mut self, transport: &Transport, _: &[u8]) {
        let seen = &self.0;
        seen.answered.set(seen.answered.get() + 1);
        assert!(transport.write(b"!").is_accepted());
        let first = seen.first.borrow().clone().expect("somebody was first");
        let turn = transport.handle().stats().turns;
        if first.key() == transport.key() {
            seen.turn.set(turn);
            seen.waits.set(None);
            // Somebody is ready from now on, so that events are delivered some at a time.
            let again = transport.clone();
            transport.handle().call_soon(move || assert!(again.write(b"!").is_accepted()));
        } else if seen.turn.get() == turn {
            let waits = first.buffered();
            let before = seen.waits.replace(Some(waits)).unwrap_or(waits);
            seen.changed.set(seen.changed.get() + usize::from(waits < before));
        }
    }
}
