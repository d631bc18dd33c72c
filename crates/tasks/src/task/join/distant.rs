//! A task that is on its way to the loop of another thread.

use std::mem;
use std::panic::Location;
use std::sync::Arc;
use std::task::{Context, Waker};

use marline_reactor::Remote;
use parking_lot::Mutex;

use super::abort::Fate;
use super::{Ended, JoinError, JoinHandle};
use crate::task::live::Name;
use crate::task::spawn_at;
use crate::wake::{attempt, wake};

/// What the handle of such a task shares with the call that takes it there.
pub(super) struct Distant<T: 'static> {
    name: Option<Name>,
    fate: Arc<Fate>,
    state: Mutex<State<T>>,
}

enum State<T: 'static> {
    /// It has not arrived yet.
    Under {
        /// Whoever awaits it.
        waker: Option<Waker>,
    },
    Arrived(JoinHandle<T>),
    /// It was not started, and never will be.
    Gone {
        aborted: bool,
    },
}

/// What a poll of the handle finds.
pub(super) enum Found<T: 'static> {
    Nothing,
    Task(JoinHandle<T>),
    Gone(JoinError),
}

impl<T> Distant<T> {
    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(super) fn fate(&self) -> &Arc<Fate> {
        &self.fate
    }

    pub(super) fn look<R>(&self, under_way: R, gone: R, arrived: impl FnOnce(&JoinHandle<T>) -> R) -> R {
        match &*self.state.lock() {
            State::Under { .. } => under_way,
            State::Gone { .. } => gone,
            State::Arrived(handle) => arrived(handle),
        }
    }

    /// Takes the task's own handle if it has arrived, and otherwise sees to it that who polls is woken then.
    pub(super) fn watch(&self, context: &Context<'_>) -> Found<T> {
        attempt(context, "a task on its way", |visitor| {
            let mut state = self.state.lock();
            match &mut *state {
                State::Under { waker } => visitor.keep_in(waker).map(|()| Found::Nothing),
                State::Gone { aborted: true } => Some(Found::Gone(JoinError::from(Ended::Aborted))),
                State::Gone { aborted: false } => Some(Found::Gone(JoinError::never_ran())),
                State::Arrived(_) => match mem::replace(&mut *state, State::Gone { aborted: false }) {
                    State::Arrived(handle) => Some(Found::Task(handle)),
                    _ => Some(Found::Nothing),
                },
            }
        })
    }

    /// Goes on to the next state, and wakes whoever awaits it.
    fn settle(&self, next: State<T>) {
        let mut state = self.state.lock();
        let State::Under { waker } = &mut *state else {
            // The next one may be code of others to drop.
            drop(state);
            drop(next);
            return;
        };
        let waker = waker.take();
        *state = next;
        drop(state);
        if let Some(waker) = waker {
            wake(waker, "a task on its way");
        }
    }
}

/// A future that is on its way, and the way to tell its handle. Dropped unopened, it says that the task never ran.
struct Parcel<M, T: 'static> {
    /// Dropped before the handle hears of it.
    make: M,
    arrival: Arrival<T>,
}

struct Arrival<T: 'static> {
    shared: Arc<Distant<T>>,
}

impl<T> Drop for Arrival<T> {
    fn drop(&mut self) {
        self.shared.settle(State::Gone { aborted: self.shared.fate.is_aborted() });
    }
}

impl<M, F> Parcel<M, F::Output>
where
    M: FnOnce() -> F + 'static,
    F: Future + 'static,
    F::Output: 'static,
{
    /// Starts the task, on the loop's thread.
    fn open(self, remote: &Remote, place: &'static Location<'static>) {
        let Self { make, arrival } = self;
        let shared = &arrival.shared;
        if shared.fate.is_aborted() {
            return;
        }
        let task = async move { make().await };
        let handle = spawn_at(remote.local().as_ref(), task, place, shared.name.clone());
        if handle.known().is_some_and(|task| shared.fate.arrive(task)) {
            handle.abort();
        }
        shared.settle(State::Arrived(handle));
    }
}

/// Has `make` called on the loop's thread, and what it makes run there as a task.
pub(in crate::task) fn send<M, F>(
    remote: &Remote,
    make: M,
    place: &'static Location<'static>,
    name: Option<Name>,
) -> JoinHandle<F::Output>
where
    M: FnOnce() -> F + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
{
    let state = Mutex::new(State::Under { waker: None });
    let shared = Arc::new(Distant { name, fate: Arc::default(), state });
    let parcel = Parcel { make, arrival: Arrival { shared: Arc::clone(&shared) } };
    let there = remote.clone();
    // A call that is refused is dropped here, on the calling thread, and the handle hears of it.
    drop(remote.post(move || parcel.open(&there, place)));
    JoinHandle::distant(shared)
}
