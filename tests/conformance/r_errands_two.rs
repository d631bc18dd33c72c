//! R: a call that takes the input of a connection may take another's first.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use marline_reactor::{Protocol, Transport};

use crate::streams;
use crate::support::{World, pattern};

/// How much comes of each connection, and how much of it at a time.
const ALL: usize = 30_000;
const PIECE: usize = 700;

streams! {
    fn r07_a_call_that_takes_anothers_input_first_takes_its_own_next(world: &World) {
        both_come(world, |transport, other, got| {
            let (transport, other, got) = (transport.clone(), other.clone(), got.clone());
            transport.handle().call_next(move || {
                got.take(&other, true);
                got.take(&transport, false);
            });
            true
        });
    }

    fn r07_a_call_that_takes_anothers_input_leaves_its_own_to_the_next(world: &World) {
        let turn = Cell::new(0);
        both_come(world, move |transport, other, got| {
            turn.set(turn.get() + 1);
            let (transport, other, got, is_odd) =
                (transport.clone(), other.clone(), got.clone(), turn.get() % 2 == 1);
            transport.handle().call_next(move || {
                got.take(&other, true);
                let later = transport.clone();
                if is_odd {
                    transport.handle().call_soon(move || got.take(&later, false));
                } else {
                    got.take(&transport, false);
                }
            });
            true
        });
    }

    fn r08_who_takes_anothers_input_when_it_is_asked_for_memory_gets_its_own(world: &World) {
        both_come(world, |_, _, _| false);
    }
}

/// Both connections bring bytes, and those of both are what was written, whoever takes them.
fn both_come(world: &World, act: impl Fn(&Transport, &Transport, &Got) -> bool + 'static) {
    let got = Got::default();
    let (other, others) = world.accept_one(Leaves(got.clone()));
    let takes = Takes { act, other: other.clone(), got: got.clone(), memory: [0; 5] };
    let (_, raw) = world.accept_one(takes);
    let (payload, theirs) = (pattern(ALL), pattern(ALL + 1));
    for (own, there) in payload.chunks(PIECE).zip(theirs[1..].chunks(PIECE)) {
        // The other's input may wait for the next of its own.
        let sent = others.write(there);
        let before = got.own.borrow().len();
        // Without a turn in between, so that both may be there at once.
        world.write(&raw, own);
        world.write(&others, &there[sent..]);
        world.until(|| got.own.borrow().len() == before + own.len());
    }
    world.until(|| {
        got.take(&other, true);
        got.others.borrow().len() == ALL
    });
    assert!(*got.own.borrow() == payload, "its own bytes differ");
    assert!(*got.others.borrow() == theirs[1..], "the other's bytes differ");
}

/// What came of its own, and of the other.
#[derive(Clone, Default)]
struct Got {
    own: Rc<RefCell<Vec<u8>>>,
    others: Rc<RefCell<Vec<u8>>>,
}

impl Got {
    fn take(&self, transport: &Transport, is_other: bool) {
        let mut memory = [0; 2048];
        let place = if is_other { &self.others } else { &self.own };
        while let Some(taken) = transport.try_receive(&mut memory) {
            place.borrow_mut().extend_from_slice(&memory[..taken.count]);
            if !taken.more {
                return;
            }
        }
        // What cannot be had so comes through the protocol.
        transport.resume_reading();
    }
}

/// Leaves its input to whoever takes it, where it can.
struct Leaves(Got);

impl Protocol for Leaves {
    fn connection_made(&mut self, transport: &Transport) {
        transport.notify_readable();
    }

    fn readable(&mut self, _: &Transport) -> bool {
        true
    }

    fn data_received(&mut self, _: &Transport, data: &[u8]) {
        self.0.others.borrow_mut().extend_from_slice(data);
    }
}

/// Takes the other's input and its own. Where it does not act, it takes the other's when it is asked for memory, of which it has little.
struct Takes<F> {
    act: F,
    other: Transport,
    got: Got,
    memory: [u8; 5],
}

impl<F: Fn(&Transport, &Transport, &Got) -> bool + 'static> Protocol for Takes<F> {
    fn connection_made(&mut self, transport: &Transport) {
        transport.notify_readable();
    }

    fn readable(&mut self, transport: &Transport) -> bool {
        (self.act)(transport, &self.other, &self.got)
    }

    fn receive_buffer(&mut self) -> Option<&mut [u8]> {
        self.got.take(&self.other, true);
        Some(&mut self.memory)
    }

    fn data_received(&mut self, _: &Transport, data: &[u8]) {
        self.got.own.borrow_mut().extend_from_slice(data);
    }

    fn buffer_filled(&mut self, _: &Transport, count: usize) {
        self.got.own.borrow_mut().extend_from_slice(&self.memory[..count]);
    }
}
