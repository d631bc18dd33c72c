//! Filters: random stacks, pushed and gone at random moments, against the trivial model: all bytes, in order.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use marline_reactor::filter::{Filter, ReadAhead};
use marline_reactor::testing::{Chunking, MemoryReactor, Network};
use marline_reactor::{Addresses, ChoiceKind, Choices, Transport};

use crate::support::toys::{Blocks, Toy, Until};
use crate::support::{Event, Log, Trace, pattern};

/// How many games are played.
const GAMES: u64 = 300;
const TOTAL: usize = 20_000;

struct Game {
    dice: Choices,
    memory: MemoryReactor,
    ends: [End; 2],
    payload: Vec<u8>,
}

struct End {
    log: Log,
    transport: Rc<RefCell<Option<Transport>>>,
    written: Cell<usize>,
}

impl Game {
    fn new(seed: u64) -> Self {
        let network = Network::new(Choices::seeded(seed));
        network.set_chunking(Chunking::Chosen);
        let memory = MemoryReactor::on(&network, &marline_reactor::testing::Clock::new());
        let ends = [End::new(), End::new()];
        let listening = ends[0].protocol();
        let once = RefCell::new(Some(listening));
        let server = memory.handle().listen("tcp://127.0.0.1:0", move |_: &Addresses| once.take());
        let address = server.expect("a listener").local_address().expect("an address");
        let connecting = ends[1].protocol();
        memory.handle().connect(address, move |_: &Addresses| connecting, |_| {});
        let game = Self { dice: Choices::seeded(seed ^ 0x5eed), memory, ends, payload: pattern(TOTAL) };
        while game.ends.iter().any(|end| end.transport.borrow().is_none()) {
            game.memory.turn();
        }
        game
    }

    fn below(&self, limit: usize) -> usize {
        self.dice.choose(ChoiceKind::Event, limit)
    }

    /// Puts the same filter on both ends, at a moment when nothing is under way between them: both sides have to agree on where in
    /// the stream it begins.
    fn push(&self) {
        let agreed = |end: &End, other: &End| end.log.received() == other.written.get();
        while !agreed(&self.ends[0], &self.ends[1]) || !agreed(&self.ends[1], &self.ends[0]) {
            self.resume();
            assert!(self.memory.is_busy(), "bytes are lost");
            self.memory.turn();
        }
        let (kind, key) = (self.below(4), u8::try_from(self.below(256)).unwrap_or_default());
        let until = 1 + self.below(3000);
        for end in &self.ends {
            let filter: Box<dyn Filter> = match kind {
                0 | 1 => Box::new(Toy::new(key)),
                2 => Box::new(Until(until)),
                _ => Box::new(Blocks::new(1)),
            };
            end.with(|transport| {
                assert!(transport.push_filter(filter, ReadAhead::Feed).is_ok());
            });
        }
    }

    fn write(&self) {
        let end = &self.ends[self.below(2)];
        let (from, most) = (end.written.get(), 1 + self.below(3000));
        let to = TOTAL.min(from + most);
        end.with(|transport| {
            transport.write_owned(self.payload[from..to].to_vec());
        });
        end.written.set(to);
    }

    fn pause(&self) {
        self.ends[self.below(2)].with(Transport::pause_reading);
    }

    fn resume(&self) {
        self.ends.iter().for_each(|end| end.with(Transport::resume_reading));
    }

    fn play(&self) {
        let is_written = |end: &End| end.written.get() == TOTAL;
        while !self.ends.iter().all(is_written) {
            match self.below(12) {
                0 => self.push(),
                1 => self.pause(),
                2 => self.resume(),
                3..=6 => self.write(),
                _ => self.memory.turn(),
            }
        }
        self.resume();
        assert!(self.memory.pump(), "the loop never settles");
        for end in &self.ends {
            assert_eq!(end.log.received(), TOTAL);
            assert!(end.log.bytes() == self.payload);
            end.with(|transport| assert_eq!(transport.buffered(), 0));
        }
        self.ends[self.below(2)].with(Transport::close);
        assert!(self.memory.pump(), "the loop never settles");
        for end in &self.ends {
            assert_eq!((end.log.losses(), end.log.reason().as_deref()), (1, Some("Clean")));
        }
        assert_eq!(self.memory.handle().stats().connections, 0);
    }
}

impl End {
    fn new() -> Self {
        Self { log: Log::new(), transport: Rc::default(), written: Cell::new(0) }
    }

    fn protocol(&self) -> Trace {
        let place = Rc::clone(&self.transport);
        Trace::new(&self.log).on(Event::Made, move |transport| {
            *place.borrow_mut() = Some(transport.clone());
        })
    }

    fn with(&self, call: impl FnOnce(&Transport)) {
        if let Some(transport) = &*self.transport.borrow() {
            call(transport);
        }
    }
}

#[test]
fn all_bytes_arrive_in_order_whatever_filters_come_and_go() {
    for seed in 0..GAMES {
        println!("seed {seed}");
        Game::new(seed).play();
    }
}
