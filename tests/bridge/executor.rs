//! A second executor, on the public API of the reactor alone: at most a hundred lines, which `second` counts.
//!
//! A task is a boxed future in a slab. Its waker puts the task's place into a list that all tasks of the loop share, and raises
//! a signal; the signal's callback, which runs on the loop's thread, polls what is in the list.

use std::cell::{Cell, RefCell};
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Wake, Waker};

use marline_reactor::{Handle, Signal};

/// The tasks of one loop; it is kept in the loop's local storage, and its futures are dropped with the loop.
#[derive(Default)]
struct Executor {
    tasks: RefCell<Vec<Slot>>,
    woken: Arc<Woken>,
}

/// `Running` holds the place of a task while it is polled, so that nothing is borrowed then.
enum Slot {
    Vacant,
    Running,
    Waiting(Pin<Box<dyn Future<Output = ()>>>),
}

#[derive(Default)]
struct Woken {
    places: Mutex<Vec<usize>>,
    signal: OnceLock<Signal>,
}

struct TaskWaker {
    woken: Arc<Woken>,
    place: usize,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut places = self.woken.places.lock().expect("nothing panics with it");
        if !places.contains(&self.place) {
            places.push(self.place);
        }
        drop(places);
        self.woken.signal.get().into_iter().for_each(Signal::raise);
    }
}

fn executor(handle: &Handle) -> Rc<Executor> {
    let executor = handle.local(|_| Executor::default()).expect("a loop that lives");
    let turned = Rc::downgrade(&executor);
    let make = || handle.signal(move || turned.upgrade().into_iter().for_each(|executor| executor.run()));
    executor.woken.signal.get_or_init(make);
    executor
}

impl Executor {
    fn run(&self) {
        let woken = mem::take(&mut *self.woken.places.lock().expect("nothing panics with it"));
        for place in woken {
            let slot = mem::replace(&mut self.tasks.borrow_mut()[place], Slot::Running);
            // A waker that outlives its task may wake whoever has its place now, which is allowed, or nobody.
            let next = match slot {
                Slot::Waiting(mut future) => {
                    let waker = Waker::from(Arc::new(TaskWaker { woken: Arc::clone(&self.woken), place }));
                    match future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                        true => Slot::Vacant,
                        false => Slot::Waiting(future),
                    }
                }
                other => other,
            };
            self.tasks.borrow_mut()[place] = next;
        }
    }
}

/// Starts a task: a look at its output, once it is there.
pub fn spawn<T: 'static>(handle: &Handle, future: impl Future<Output = T> + 'static) -> Rc<Cell<Option<T>>> {
    let (executor, output) = (executor(handle), Rc::new(Cell::new(None)));
    let place = Rc::clone(&output);
    let task = Slot::Waiting(Box::pin(async move { place.set(Some(future.await)) }));
    let mut tasks = executor.tasks.borrow_mut();
    let vacant = tasks.iter().position(|slot| matches!(slot, Slot::Vacant)).unwrap_or(tasks.len());
    match tasks.get_mut(vacant) {
        Some(slot) => *slot = task,
        None => tasks.push(task),
    }
    Arc::new(TaskWaker { woken: Arc::clone(&executor.woken), place: vacant }).wake();
    output
}
