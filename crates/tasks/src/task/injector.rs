//! What other threads have to say of the tasks of a loop.
//!
//! On the loop's thread a task is woken, aborted and awaited by means of its cell, and a wake is a `call_soon`, which allocates
//! nothing. Other threads may touch hardly anything of the cell: they put a letter into the list of the task's loop, and
//! raise a signal if it is the first.

use std::mem;
use std::task::Waker;

use marline_reactor::{Handle, Signal};
use parking_lot::Mutex;

use super::cell::TaskRef;

/// The letters to a loop. Tasks may be held longer than their loop lives, by any number of threads, and none of them is to count
/// who holds this. So it is never freed, and the next loop uses it again: a letter that comes too late is about a task that
/// has ended, and does no harm there.
#[derive(Default)]
pub(super) struct Injector {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    letters: Vec<Letter>,
    /// `None` while there is no loop.
    signal: Option<Signal>,
}

enum Letter {
    Wake(TaskRef),
    Abort(TaskRef),
    Await(TaskRef, Waker),
    Detach(TaskRef),
}

/// Those that no loop uses.
static VACANT: Mutex<Vec<&'static Injector>> = Mutex::new(Vec::new());

impl Injector {
    /// One for this loop.
    pub(super) fn open(handle: &Handle) -> &'static Self {
        let vacant = VACANT.lock().pop();
        let injector: &'static Self = vacant.unwrap_or_else(|| Box::leak(Box::default()));
        let signal = handle.signal(|| injector.deliver());
        injector.state.lock().signal = Some(signal);
        injector
    }

    /// The loop has ended, and so have its tasks.
    pub(super) fn close(&'static self) {
        let left = mem::take(&mut *self.state.lock());
        // Those that wait for an end that came meanwhile are told.
        left.letters.into_iter().for_each(Letter::open);
        drop(left.signal);
        VACANT.lock().push(self);
    }

    /// On the loop's thread.
    fn deliver(&self) {
        let letters = mem::take(&mut self.state.lock().letters);
        letters.into_iter().for_each(Letter::open);
    }

    /// The letter comes back if there is no loop any more.
    fn send(&self, letter: Letter) -> Result<(), Letter> {
        let mut state = self.state.lock();
        if state.signal.is_none() {
            return Err(letter);
        }
        let is_first = state.letters.is_empty();
        state.letters.push(letter);
        let signal = state.signal.clone().filter(|_| is_first);
        drop(state);
        if let Some(signal) = signal {
            signal.raise();
        }
        Ok(())
    }
}

impl Letter {
    /// Tasks of other loops, which used the list before, have ended.
    fn open(self) {
        match self {
            Self::Wake(task) => {
                if task.header().arrives() && task.header().is_home() {
                    task.wake_at_home();
                }
            }
            Self::Abort(task) if task.header().is_home() => task.abort(),
            Self::Abort(_) => {}
            Self::Await(task, waker) => task.await_with(waker),
            Self::Detach(task) => task.detach(),
        }
    }
}

/// Wakes a task on another thread than its loop's.
#[cold]
pub(super) fn wake(task: TaskRef) {
    if task.header().leaves() {
        let injector = task.header().injector;
        // A task whose loop is gone has ended.
        drop(injector.send(Letter::Wake(task)));
    }
}

/// Aborts a task from anywhere.
pub(super) fn abort(task: &TaskRef) {
    if task.header().is_home() {
        return task.clone().abort();
    }
    drop(task.header().injector.send(Letter::Abort(task.clone())));
}

/// Has this waker woken when the task of another thread ends: whether its loop has not.
#[cold]
pub(super) fn await_with(task: &TaskRef, waker: Waker) -> bool {
    let sent = task.header().injector.send(Letter::Await(task.clone(), waker));
    // It may be code of others to drop.
    match sent {
        Ok(()) => true,
        Err(Letter::Await(_, waker)) => {
            crate::wake::discard(Some(waker), "a task");
            false
        }
        Err(_) => false,
    }
}

/// The handle of a task of another thread is dropped.
#[cold]
pub(super) fn detach(task: &TaskRef) {
    if let Err(Letter::Detach(task)) = task.header().injector.send(Letter::Detach(task.clone())) {
        // It has ended.
        task.detach();
    }
}
