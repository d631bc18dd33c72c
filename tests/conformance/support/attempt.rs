//! Connecting, and what became of it.

use std::cell::{Ref, RefCell};
use std::rc::Rc;

use marline_reactor::{Addresses, ConnectError, Connecting, Handle, IntoEndpoint, Transport};

use super::trace::Trace;
use super::world::World;

/// A connect, and everything it told.
pub struct Attempt {
    pub connecting: Connecting,
    outcomes: Rc<RefCell<Vec<Result<Transport, ConnectError>>>>,
    /// How many closures of the attempt's still exist.
    closures: Rc<()>,
}

impl Attempt {
    pub fn start(handle: &Handle, endpoint: impl IntoEndpoint, protocol: Trace) -> Self {
        let (outcomes, closures) = (Rc::new(RefCell::new(Vec::new())), Rc::new(()));
        let (told, in_factory, in_done) = (Rc::clone(&outcomes), Rc::clone(&closures), Rc::clone(&closures));
        let factory = move |_: &Addresses| {
            drop(in_factory);
            protocol
        };
        let connecting = handle.connect(endpoint, factory, move |outcome| {
            drop(in_done);
            told.borrow_mut().push(outcome);
        });
        Self { connecting, outcomes, closures }
    }

    /// What was told so far.
    pub fn outcomes(&self) -> Ref<'_, Vec<Result<Transport, ConnectError>>> {
        self.outcomes.borrow()
    }

    pub fn told(&self) -> usize {
        self.outcomes.borrow().len()
    }

    /// Waits for the outcome, which is told once, after which nothing of the attempt's is left.
    #[track_caller]
    pub fn outcome(&self, world: &World) -> Result<Transport, ConnectError> {
        world.until(|| self.told() > 0);
        world.settle();
        assert_eq!(self.told(), 1);
        assert!(!self.connecting.is_pending() && !self.connecting.cancel());
        assert_eq!(self.closures_left(), 0);
        self.outcomes.borrow_mut().pop().expect("an outcome")
    }

    /// How many of the closures that were given still exist.
    pub fn closures_left(&self) -> usize {
        Rc::strong_count(&self.closures) - 1
    }
}
