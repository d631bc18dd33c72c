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
