//! R: receiving into memory of the protocol's own.

use std::cell::RefCell;
use std::rc::Rc;

use marline_reactor::{EmptyReceiveBuffer, Lost, Protocol, Reason, Transport};

use crate::support::World;
use crate::{conformance, streams};

streams! {
    fn r13_the_protocols_own_buffer_is_filled_from_its_front(world: &World) {
        let filled = Rc::new(RefCell::new(Filled::default()));
        let (transport, raw) = world.accept_one(Own { size: 7, memory: Vec::new(), filled: Rc::clone(&filled) });
        let mut payload = world.payload();
        payload.truncate(20_000);
        world.write(&raw, &payload);
        world.until(|| filled.borrow().bytes.len() == payload.len());
        // The pause stops this way of receiving too.
        transport.pause_reading();
        let calls = filled.borrow().calls;
        raw.write(b"later");
        world.settle();
        assert_eq!(filled.borrow().calls, calls);
        transport.resume_reading();
        world.until(|| filled.borrow().bytes.ends_with(b"later"));
        let filled = filled.borrow();
        assert!(filled.bytes[..payload.len()] == payload, "the bytes differ");
        assert!(filled.calls >= (payload.len() + 5).div_ceil(7) && filled.lost.is_none());
    }
}

conformance! {
    fn r13_an_empty_buffer_is_an_error_that_closes_the_connection(world: &World) {
        let filled = Rc::new(RefCell::new(Filled::default()));
        let (_, raw) = world.accept_one(Own { size: 0, memory: Vec::new(), filled: Rc::clone(&filled) });
        world.settle();
        assert!(filled.borrow().lost.is_none(), "nothing can be wrong with a buffer before bytes are at hand");
        raw.write(b"x");
        world.until(|| filled.borrow().lost.is_some());
        world.settle();
        let filled = filled.borrow();
        let lost = filled.lost.as_ref().expect("a loss");
        let Reason::Failed(error) = lost.reason() else { panic!("{lost:?}") };
        assert!(error.is::<EmptyReceiveBuffer>(), "{error:?}");
        assert_eq!((filled.calls, filled.losses), (0, 1));
        assert!(raw.is_reset());
    }

    fn r12_r13_an_empty_buffer_is_no_error_without_bytes_for_it(world: &World) {
        world.with_faults(|world, faults| {
            let filled = Rc::new(RefCell::new(Filled::default()));
            let (_, raw) = world.accept_one(Own { size: 0, memory: Vec::new(), filled: Rc::clone(&filled) });
            world.settle();
            let asked = faults.asked().receives;
            faults.announce_input(3);
            (0..5).for_each(|_| world.turn());
            assert_eq!(faults.asked().receives, asked + 3);
            assert!(filled.borrow().lost.is_none());
            // An end has no bytes either.
            raw.finish();
            world.until(|| filled.borrow().lost.is_some());
            assert!(filled.borrow().lost.as_ref().is_some_and(Lost::is_clean));
        });
    }

    fn r13_bytes_given_back_are_put_into_the_protocols_buffer(world: &World) {
        let filled = Rc::new(RefCell::new(Filled::default()));
        let (transport, _raw) = world.accept_one(Own { size: 4, memory: Vec::new(), filled: Rc::clone(&filled) });
        transport.unread(b"nine bytes");
        world.until(|| filled.borrow().bytes.len() == 10);
        assert_eq!((filled.borrow().calls, filled.borrow().bytes.clone()), (3, b"nine bytes".to_vec()));
    }
}

/// A protocol that receives into memory of its own.
struct Own {
    size: usize,
    memory: Vec<u8>,
    filled: Rc<RefCell<Filled>>,
}

#[derive(Default)]
struct Filled {
    bytes: Vec<u8>,
    calls: usize,
    lost: Option<Lost>,
    losses: usize,
}

/// What no test sends much of.
const UNTOUCHED: u8 = 0xFF;

impl Protocol for Own {
    fn data_received(&mut self, _: &Transport, _: &[u8]) {
        panic!("whoever offers memory is not given other memory");
    }

    fn receive_buffer(&mut self) -> Option<&mut [u8]> {
        self.memory.clear();
        self.memory.resize(self.size, UNTOUCHED);
        Some(&mut self.memory)
    }

    fn buffer_filled(&mut self, _: &Transport, count: usize) {
        assert!(count > 0 && count <= self.size);
        // The pattern of the payload never reaches this value, so a byte too many or too few shows.
        assert!(self.memory[..count].iter().all(|byte| *byte != UNTOUCHED));
        assert!(self.memory[count..].iter().all(|byte| *byte == UNTOUCHED));
        let mut filled = self.filled.borrow_mut();
        filled.calls += 1;
        filled.bytes.extend_from_slice(&self.memory[..count]);
    }

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        let mut filled = self.filled.borrow_mut();
        filled.losses += 1;
        filled.lost = Some(lost.clone());
    }
}
