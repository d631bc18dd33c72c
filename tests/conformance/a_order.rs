//! A: how often and in which order tasks run.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use marline_reactor::{ChoiceKind, Choices, Handle, Transport};
use marline_tasks::JoinHandle;

use crate::conformance;
use crate::support::{Probe, World};

conformance! {
    fn a02_any_number_of_wakes_is_one_poll(world: &World) {
        let probe = Probe::new();
        let _task = world.spawn(probe.future());
        world.settle();
        for _ in 0..5 {
            probe.wake();
            probe.waker().wake_by_ref();
            drop(probe.waker());
        }
        world.settle();
        assert_eq!(probe.polls(), 2);
        let again = probe.clone();
        world.handle().call_soon(move || (0..3).for_each(|_| again.wake()));
        world.settle();
        assert_eq!(probe.polls(), 3);
    }

    fn a02_a_wake_during_the_poll_polls_once_more(world: &World) {
        let polls = Rc::new(Cell::new(0));
        let counter = Rc::clone(&polls);
        let _task = world.spawn(poll_fn(move |context| {
            counter.set(counter.get() + 1);
            if counter.get() <= 2 {
                (0..3).for_each(|_| context.waker().wake_by_ref());
            }
            Poll::<()>::Pending
        }));
        world.settle();
        assert_eq!(polls.get(), 3);
    }

    fn a02_wakes_after_the_end_poll_nothing(world: &World) {
        let kept = Rc::new(RefCell::new(None::<Waker>));
        let (place, polls) = (Rc::clone(&kept), Rc::new(Cell::new(0)));
        let counter = Rc::clone(&polls);
        let ready = poll_fn(move |context| {
            *place.borrow_mut() = Some(context.waker().clone());
            counter.set(counter.get() + 1);
            Poll::Ready(())
        });
        world.finish(ready);
        let callbacks = world.handle().stats().callbacks;
        let waker = kept.borrow_mut().take().expect("a poll");
        (0..3).for_each(|_| waker.wake_by_ref());
        world.settle();
        assert_eq!((polls.get(), world.handle().stats().callbacks), (1, callbacks));
    }

    fn a03_calls_and_tasks_run_in_the_order_in_which_they_became_ready(world: &World) {
        for seed in 0..10 {
            let play = Play::on(&world.handle(), seed);
            play.begin();
            world.settle();
            assert_eq!(*play.log.borrow(), Model::new(seed).run(), "seed {seed}");
            play.tasks.borrow().iter().for_each(JoinHandle::abort);
            world.settle();
        }
    }

    fn a03_what_an_event_makes_ready_runs_in_its_order(world: &World) {
        let (log, wakers) = (Rc::new(RefCell::new(Vec::new())), Rc::new(RefCell::new(Vec::new())));
        let mut tasks = Vec::new();
        for name in ["first task", "second task"] {
            let (log, wakers) = (Rc::clone(&log), Rc::clone(&wakers));
            let mut polled = false;
            tasks.push(world.spawn(poll_fn(move |context| {
                if std::mem::replace(&mut polled, true) {
                    log.borrow_mut().push(name);
                    return Poll::Ready(());
                }
                wakers.borrow_mut().push(context.waker().clone());
                Poll::Pending
            })));
        }
        world.settle();
        let (shared, woken) = (Rc::clone(&log), Rc::clone(&wakers));
        let everything = move |handle: &Handle| {
            for (waker, name) in woken.borrow_mut().drain(..).zip(["first call", "second call"]) {
                waker.wake();
                let log = Rc::clone(&shared);
                handle.call_soon(move || log.borrow_mut().push(name));
            }
        };
        let timed = Rc::new(Cell::new(None));
        let (turns, at) = (Rc::clone(&timed), world.handle());
        let (_, raw) = world.accept_one(move |transport: &Transport, _: &[u8]| {
            everything(&transport.handle());
            turns.set(Some(at.stats().turns));
        });
        raw.write(b"x");
        world.until(|| log.borrow().len() == 4);
        assert_eq!(*log.borrow(), ["first task", "first call", "second task", "second call"]);
        assert!(timed.get().is_some());
    }
}

// A03: the same play, once on the loop and once on a queue that is a plain list.

const TASKS: usize = 5;
const STEPS: usize = 300;

/// Something that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Call(usize),
    Task(usize),
}

/// What the next one to run does: it makes up to three others ready.
fn draw(choices: &Choices) -> Vec<Item> {
    let count = choices.choose(ChoiceKind::Event, 4);
    let item = |_| match choices.choose(ChoiceKind::Event, 2) {
        0 => Item::Call(choices.choose(ChoiceKind::Event, 1000)),
        _ => Item::Task(choices.choose(ChoiceKind::Event, TASKS)),
    };
    (0..count).map(item).collect()
}

struct Play {
    handle: Handle,
    choices: Choices,
    log: RefCell<Vec<Item>>,
    wakers: RefCell<Vec<Waker>>,
    tasks: RefCell<Vec<JoinHandle<()>>>,
}

impl Play {
    fn on(handle: &Handle, seed: u64) -> Rc<Self> {
        Rc::new(Self {
            handle: handle.clone(),
            choices: Choices::seeded(seed),
            log: RefCell::default(),
            wakers: RefCell::new(vec![Waker::noop().clone(); TASKS]),
            tasks: RefCell::default(),
        })
    }

    fn begin(self: &Rc<Self>) {
        for index in 0..TASKS {
            let play = Rc::clone(self);
            let task = poll_fn(move |context| {
                play.wakers.borrow_mut()[index] = context.waker().clone();
                play.run(Item::Task(index));
                Poll::Pending
            });
            self.tasks.borrow_mut().push(marline_tasks::spawn_on(&self.handle, task));
            self.make_ready(Item::Call(index));
        }
    }

    fn run(self: &Rc<Self>, item: Item) {
        self.log.borrow_mut().push(item);
        if self.log.borrow().len() < STEPS {
            draw(&self.choices).into_iter().for_each(|item| self.make_ready(item));
        }
    }

    fn make_ready(self: &Rc<Self>, item: Item) {
        match item {
            Item::Task(index) => self.wakers.borrow()[index].wake_by_ref(),
            Item::Call(_) => {
                let play = Rc::clone(self);
                self.handle.call_soon(move || play.run(item));
            }
        }
    }
}

struct Model {
    choices: Choices,
    ready: VecDeque<Item>,
    /// A task that was woken during its own poll is ready again when that ends.
    later: Option<Item>,
    log: Vec<Item>,
}

impl Model {
    fn new(seed: u64) -> Self {
        let ready = (0..TASKS).flat_map(|index| [Item::Task(index), Item::Call(index)]).collect();
        Self { choices: Choices::seeded(seed), ready, later: None, log: Vec::new() }
    }

    fn run(mut self) -> Vec<Item> {
        let mut polled = [false; TASKS];
        while let Some(running) = self.ready.pop_front() {
            self.log.push(running);
            if let Item::Task(index) = running {
                polled[index] = true;
            }
            if self.log.len() < STEPS {
                for item in draw(&self.choices) {
                    // Before its first poll a task has no waker to be woken by.
                    let known = !matches!(item, Item::Task(index) if !polled[index]);
                    if known {
                        self.make_ready(running, item);
                    }
                }
            }
            self.ready.extend(self.later.take());
        }
        self.log
    }

    fn make_ready(&mut self, running: Item, item: Item) {
        let is_task = matches!(item, Item::Task(_));
        if is_task && item == running {
            self.later = Some(item);
        } else if !is_task || !self.ready.contains(&item) {
            self.ready.push_back(item);
        }
    }
}
