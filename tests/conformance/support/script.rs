//! A resolver that answers as a test says.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use marline_reactor::{Answer, Handle, Query, Resolve};

use super::world::World;

/// A resolver that keeps the questions until the test answers them. Clones share them.
#[derive(Clone, Default)]
pub struct Script {
    asked: Rc<RefCell<VecDeque<(Query, Answer)>>>,
    cancelled: Rc<Cell<usize>>,
}

impl Resolve for Script {
    fn resolve(&mut self, _: &Handle, query: Query, answer: Answer) {
        let cancelled = Rc::clone(&self.cancelled);
        answer.on_cancel(move || cancelled.set(cancelled.get() + 1));
        self.asked.borrow_mut().push_back((query, answer));
    }
}

impl Script {
    /// The resolver of this world's loop.
    pub fn of(world: &World) -> Self {
        let script = Self::default();
        world.handle().set_resolver(script.clone());
        script
    }

    /// How many questions wait for an answer.
    pub fn waiting(&self) -> usize {
        self.asked.borrow().len()
    }

    /// How many questions were cancelled.
    pub fn cancelled(&self) -> usize {
        self.cancelled.get()
    }

    /// The next question. Turns the loop until there is one.
    #[track_caller]
    pub fn next(&self, world: &World) -> (Query, Answer) {
        world.until(|| self.waiting() > 0);
        self.take()
    }

    /// The next question, which is there.
    #[track_caller]
    pub fn take(&self) -> (Query, Answer) {
        self.asked.borrow_mut().pop_front().expect("a question")
    }

    /// How the next question is answered.
    #[track_caller]
    pub fn answer(&self, world: &World) -> Answer {
        self.next(world).1
    }
}
