//! R: whatever the call that takes the input of a connection does, it comes to the same as in a call of the ready queue.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use marline_reactor::{Handle, Lost, Protocol, Transport};

use crate::r_errands::{Call, reason, soon};
use crate::streams;
use crate::support::{World, failures, pattern};

streams! {
    fn r07_whatever_a_call_does_comes_to_the_same_next_or_soon(world: &World) {
        let reported = failures(&world.handle());
        for (index, act) in ACTS.into_iter().enumerate() {
            let outcomes = [Handle::call_next, soon].map(|call| {
                let done = Done::default();
                let (transport, raw) = world.accept_one(Acts { act, call, done: done.clone() });
                let sent = Cell::new(0);
                // After a false alarm it may be closed.
                world.until(|| {
                    sent.set(sent.get() + raw.write(&b"the input"[sent.get()..]));
                    done.acted.get() && (sent.get() == 9 || transport.is_closing())
                });
                world.settle();
                if transport.is_closing() {
                    // How much of it came before is the wire's matter.
                    assert!(b"the input".starts_with(&done.bytes.take()));
                } else {
                    // It goes on as if nothing had been.
                    transport.resume_reading();
                    world.write(&raw, b", and more");
                    world.until(|| done.bytes.borrow().ends_with(b"more"));
                    transport.write(b"the end");
                    transport.close();
                }
                world.until(|| {
                    done.answers.borrow_mut().extend(raw.read());
                    raw.is_finished() || raw.is_reset()
                });
                raw.finish();
                world.until(|| done.lost.borrow().is_some());
                (done.bytes.take(), done.answers.take(), done.lost.take(), reported.take().len())
            });
            assert!(outcomes[0] == outcomes[1], "act {index}: {outcomes:?}");
        }
    }
}

/// What a call does to a connection. What it takes goes to the others that the protocol got.
type Act = fn(&Transport, &Done);

const ACTS: [Act; 19] = [
    |_, _| {},
    |transport, done| done.take(transport, 64),
    |transport, done| {
        done.take(transport, 3);
        assert!(transport.write(b"answer").is_accepted());
    },
    |transport, done| {
        done.take(transport, 64);
        assert!(transport.write(b"one, ").is_accepted());
        assert!(transport.buffered() >= 5);
        assert!(transport.write(b"two").is_accepted());
    },
    |transport, done| {
        assert!(transport.write(b"before").is_accepted());
        done.take(transport, 4);
        done.take(transport, 64);
        done.take(transport, 64);
    },
    |transport, _| {
        assert!(transport.write(b"first").is_accepted());
        transport.pause_reading();
        assert!(transport.write(b"second").is_accepted());
        transport.resume_reading();
    },
    |transport, done| {
        transport.pause_reading();
        done.take(transport, 64);
    },
    |transport, _| transport.resume_reading(),
    |transport, done| {
        done.take(transport, 64);
        transport.resume_reading();
        assert!(transport.write(pattern(200_000)).is_accepted());
    },
    |transport, done| {
        done.take(transport, 64);
        transport.set_watermarks(1, 2).expect("a lower one is lower");
        assert!(transport.write(b"more than that").is_accepted());
        transport.flush();
    },
    |transport, done| {
        let before = done.bytes.borrow().len();
        done.take(transport, 4);
        let taken = done.bytes.borrow_mut().split_off(before);
        transport.unread(&taken);
    },
    |transport, done| {
        transport.write(b"by the one before");
        let next = Acts { act: |_, _| {}, call: soon, done: done.clone() };
        transport.set_protocol(next, &[]).unwrap_or_else(|_| panic!("it stands"));
        transport.write(b", and after it");
    },
    |transport, done| {
        done.take(transport, 64);
        transport.write(b"last words");
        transport.write_eof();
        transport.close();
    },
    |transport, done| {
        transport.write(b"last words");
        transport.close();
        done.take(transport, 64);
    },
    |transport, done| {
        done.take(transport, 64);
        transport.write(b"never sent");
        transport.abort();
        assert!(!transport.write(b"nor this").is_accepted());
    },
    |transport, done| {
        transport.write(b"sent");
        done.take(transport, 64);
        panic!("it is the call's, and not the protocol's");
    },
    |transport, _| {
        transport.write(b"sent");
        panic!("before it took anything");
    },
    |transport, done| {
        done.take(transport, 3);
        transport.write(b"sent");
        assert!(transport.buffered() >= 4);
        panic!("and the connection stands for itself");
    },
    |transport, done| {
        let handle = transport.handle();
        let (transport, done) = (transport.clone(), done.clone());
        handle.call_next(move || done.take(&transport, 64));
    },
];

/// What came of an act. Clones share it.
#[derive(Clone, Default)]
struct Done {
    acted: Rc<Cell<bool>>,
    bytes: Rc<RefCell<Vec<u8>>>,
    answers: Rc<RefCell<Vec<u8>>>,
    lost: Rc<RefCell<Option<String>>>,
}

impl Done {
    fn take(&self, transport: &Transport, room: usize) {
        let mut memory = vec![0; room];
        if let Some(taken) = transport.try_receive(&mut memory) {
            self.bytes.borrow_mut().extend_from_slice(&memory[..taken.count]);
        }
    }
}

/// Acts in a call when there is input for the first time. Later input it gets.
struct Acts {
    act: Act,
    call: Call<Box<dyn FnOnce()>>,
    done: Done,
}

impl Acts {
    fn act(&self, transport: &Transport) -> bool {
        if self.done.acted.get() {
            return false;
        }
        let (act, done, transport) = (self.act, self.done.clone(), transport.clone());
        let handle = transport.handle();
        let call = Box::new(move || {
            if !done.acted.replace(true) {
                act(&transport, &done);
            }
        });
        (self.call)(&handle, call);
        true
    }
}

impl Protocol for Acts {
    fn connection_made(&mut self, transport: &Transport) {
        transport.notify_readable();
    }

    fn readable(&mut self, transport: &Transport) -> bool {
        self.act(transport)
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.done.bytes.borrow_mut().extend_from_slice(data);
        self.act(transport);
    }

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        self.done.lost.replace(Some(reason(lost)));
    }
}
