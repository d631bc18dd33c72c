//! F: a source in the manner of `ZMQ_FD`: one edge for both directions, and a state that must be read again after every
//! send and receive and before every sleep.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use marline_reactor::{BeforeSleep, Handle, Interest, Watch};

use crate::conformance;
use crate::support::{Far, Near, World};

/// A socket in the manner of libzmq. Messages come through a mailbox, and its descriptor is readable while the mailbox
/// has some that were not looked at. Whoever sends, receives or asks for the state looks, and that quiets the descriptor.
#[derive(Clone)]
struct Double(Rc<Inner>);

struct Inner {
    /// Removed from the loop to be drained where the loop has lent it out.
    signal: RefCell<Option<Watch<Near>>>,
    mailbox: RefCell<VecDeque<u32>>,
    inbox: RefCell<VecDeque<u32>>,
    sent: RefCell<Vec<u32>>,
    far: RefCell<Far>,
    received: RefCell<Vec<u32>>,
}

impl Double {
    /// One that nobody watches yet, and the end to be watched.
    fn new(world: &World) -> (Self, Near) {
        let (near, far) = world.source();
        let inner = Inner {
            signal: RefCell::default(),
            mailbox: RefCell::default(),
            inbox: RefCell::default(),
            sent: RefCell::default(),
            far: RefCell::new(far),
            received: RefCell::default(),
        };
        (Self(Rc::new(inner)), near)
    }

    /// Watches it as a program does that knows the rule by halves: it reads all there is at each event.
    fn watch(&self, handle: &Handle, near: Near) {
        let double = self.clone();
        let watch = handle.watch(near, Interest::READABLE, move |near: &mut Near, _| {
            near.drain();
            double.look();
            double.receive_all();
        });
        *self.0.signal.borrow_mut() = watch.ok();
    }

    /// The rest of the rule.
    fn ask_before_sleep(&self, handle: &Handle) -> BeforeSleep {
        let double = self.clone();
        handle.before_sleep(move || {
            if double.has_input() {
                double.receive_all();
            }
        })
    }

    /// A peer's message arrives.
    fn arrive(&self, message: u32) {
        let was_empty = self.0.mailbox.borrow().is_empty();
        self.0.mailbox.borrow_mut().push_back(message);
        if was_empty {
            self.0.far.borrow_mut().signal();
        }
    }

    /// Takes what is in the mailbox. Its descriptor is quiet from then on.
    fn look(&self) {
        let mut mailbox = self.0.mailbox.borrow_mut();
        if !mailbox.is_empty() {
            self.0.inbox.borrow_mut().append(&mut mailbox);
            if let Some(watch) = &*self.0.signal.borrow() {
                watch.with(Near::drain);
            }
        }
    }

    /// `ZMQ_EVENTS`.
    fn has_input(&self) -> bool {
        self.look();
        !self.0.inbox.borrow().is_empty()
    }

    fn send(&self, message: u32) {
        self.look();
        self.0.sent.borrow_mut().push(message);
    }

    fn receive_all(&self) {
        while self.has_input() {
            self.0.received.borrow_mut().extend(self.0.inbox.borrow_mut().pop_front());
        }
    }

    fn received(&self) -> Vec<u32> {
        self.0.received.borrow().clone()
    }
}

/// A message comes while the program sends one: the send swallows the edge.
fn exchange(world: &World, double: &Double) {
    let (near_miss, handle) = (double.clone(), world.handle());
    handle.call_soon(move || {
        near_miss.arrive(1);
        near_miss.send(2);
    });
    world.settle();
}

conformance! {
    fn without_asking_before_sleep_an_exchange_stalls(world: &World) {
        let (double, near) = Double::new(world);
        double.watch(&world.handle(), near);
        exchange(world, &double);
        assert_eq!((double.received(), double.0.sent.borrow().as_slice()), (vec![], &[2][..]));
        // Only the next message's edge brings the first to light.
        double.arrive(3);
        world.until(|| !double.received().is_empty());
        assert_eq!(double.received(), [1, 3]);
    }

    fn asking_before_each_sleep_no_exchange_stalls(world: &World) {
        let (double, near) = Double::new(world);
        double.watch(&world.handle(), near);
        let hook = double.ask_before_sleep(&world.handle());
        exchange(world, &double);
        assert_eq!(double.received(), [1]);
        for message in 2..100 {
            double.arrive(message);
            double.send(message);
            world.turn();
            assert_eq!(double.received().len(), message as usize);
        }
        assert!(hook.remove() && !hook.remove());
    }

    fn hooks_run_in_order_once_a_sleep_and_what_they_schedule_comes_before_it(world: &World) {
        let (log, handle) = (Rc::new(RefCell::new(Vec::new())), world.handle());
        world.settle();
        let (first, second, soon) = (Rc::clone(&log), Rc::clone(&log), world.handle());
        let done = Rc::new(Cell::new(false));
        let first = handle.before_sleep(move || first.borrow_mut().push("first"));
        let second = handle.before_sleep(move || {
            second.borrow_mut().push("second");
            let log = Rc::clone(&second);
            if !done.replace(true) {
                soon.call_soon(move || log.borrow_mut().push("a call"));
            }
        });
        assert!(log.borrow().is_empty(), "not during the call");
        world.turn();
        assert!(world.reactor().has_ready());
        world.turn();
        assert_eq!(log.take(), ["first", "second", "a call", "first", "second"]);
        assert!(!world.reactor().has_ready());
        assert!(first.remove());
        world.turn();
        assert_eq!(log.take(), ["second"]);
        second.remove();
        world.turn();
        assert!(log.borrow().is_empty());
    }

    fn a_hook_that_always_makes_work_starves_neither_io_nor_timers(world: &World) {
        let (handle, made) = (world.handle(), Rc::new(Cell::new(0)));
        let (count, soon) = (Rc::clone(&made), world.handle());
        let hook = handle.before_sleep(move || {
            count.set(count.get() + 1);
            soon.call_soon(|| {});
        });
        let (near, mut far) = world.source();
        let (told, fired) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
        let (log, timer) = (Rc::clone(&told), Rc::clone(&fired));
        let watch = handle.watch(near, Interest::READABLE, move |near: &mut Near, _| {
            log.set(log.get() + near.drain());
        });
        handle.call_later(std::time::Duration::from_millis(1), move || timer.set(true));
        far.signal();
        // On memory nothing moves the clock of a loop that is always busy.
        let clock = world.clock();
        let busy = Rc::new(Cell::new(0));
        world.until(|| {
            busy.set(busy.get() + 1);
            if busy.get() == 50 {
                clock.pass(std::time::Duration::from_millis(2));
            }
            told.get() == 1 && fired.get() && made.get() > 10
        });
        hook.remove();
        assert!(watch.expect("a watch").is_watched());
    }

    fn a_panicking_hook_is_reported_and_the_others_run(world: &World) {
        let (handle, log) = (world.handle(), Rc::new(RefCell::new(Vec::new())));
        let (reports, second) = (Rc::clone(&log), Rc::clone(&log));
        handle.on_failure(move |failure| reports.borrow_mut().push(failure.to_string()));
        let slot: Rc<RefCell<Option<BeforeSleep>>> = Rc::default();
        let own = Rc::clone(&slot);
        let hook = handle.before_sleep(move || {
            // It is removed while it runs, and dropped when it is done.
            own.take().expect("it runs once").remove();
            panic!("out of sleep");
        });
        *slot.borrow_mut() = Some(hook);
        let rest = handle.before_sleep(move || second.borrow_mut().push("the other".to_owned()));
        world.turn();
        world.turn();
        let log = log.take();
        assert_eq!(log.len(), 3, "{log:?}");
        assert!(log[0].contains("out of sleep") && log[0].contains(file!()), "{log:?}");
        assert_eq!(log[1..], ["the other", "the other"]);
        rest.remove();
    }
}
