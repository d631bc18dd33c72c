//! What other threads have to say of the tasks of a loop.
//!
//! On the loop's thread a task is woken, aborted and awaited by means of its cell, and a wake is a `call_soon`, which allocates
//! nothing. Other threads may touch hardly anything of the cell: they put a letter into the list of the task's loop, and
//! raise a signal if it is the first.

use std::collections::HashMap;
use std::mem;
use std::sync::atomic::Ordering;
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
    /// Who awaits a task of the loop on another thread, by the place of the task. Not by letter: a loop that has ended the task may
    /// take long to come by again.
    awaiters: HashMap<usize, Waker>,
    /// `None` while there is no loop.
    signal: Option<Signal>,
}

enum Letter {
    Wake(TaskRef),
    Abort(TaskRef),
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
        let mut state = self.state.lock();
        let (letters, signal) = (mem::take(&mut state.letters), state.signal.take());
        drop(state);
        letters.into_iter().for_each(Letter::open);
        drop(signal);
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

/// Has this waker woken when the task of another thread ends: whether it has not ended yet.
///
/// Either the end is seen here, or its awaiter is seen where the task ends: each side writes before it reads, in one order of all.
#[cold]
pub(super) fn await_with(task: &TaskRef, waker: Waker) -> bool {
    let header = task.header();
    header.is_awaited_elsewhere.store(true, Ordering::SeqCst);
    let mut state = header.injector.state.lock();
    let ended = header.has_ended.load(Ordering::SeqCst);
    let unused = if ended { Some(waker) } else { state.awaiters.insert(task.place(), waker) };
    drop(state);
    // It may be code of others to drop.
    crate::wake::discard(unused, "a task");
    !ended
}

/// Who awaits a task that has ended, or awaits it no more.
#[cold]
pub(super) fn take_awaiter(task: &TaskRef) -> Option<Waker> {
    task.header().injector.state.lock().awaiters.remove(&task.place())
}

/// The handle of a task of another thread is dropped.
#[cold]
pub(super) fn detach(task: &TaskRef) {
    if let Err(Letter::Detach(task)) = task.header().injector.send(Letter::Detach(task.clone())) {
        // It has ended.
        task.detach();
    }
}
