//! One job, as its thread and the loop see it.

use std::any::Any;
use std::mem;
use std::panic::Location;
use std::sync::Arc;

use super::error::JobError;
use crate::contain::{Panic, contain};
use crate::remote::sync::Mutex;

/// A job that goes from the loop to a thread, with its outcome on the way back.
pub(super) struct Ticket<W, T> {
    state: Mutex<State<W, T>>,
}

/// ```text
///  Waiting ──begin──> Begun ──run──> Running ──> Finished ──take──> Taken
///     │                 └───────take──────┴──────> Unwanted
///     └─────revoke──> Revoked ──take──> Taken
/// ```
enum State<W, T> {
    Waiting(W),
    /// A thread is about to run it; whether the loop waits for it.
    Begun(W, bool),
    /// It will never run; the loop drops it.
    Revoked(W),
    Running,
    /// It runs, and the loop does not wait for it any more.
    Unwanted,
    Finished(Result<T, Panic>),
    Taken,
}

/// A ticket, whatever the job's type.
pub(super) trait Work: Send + Sync {
    /// Begins it: whether it was not revoked.
    fn begin(&self) -> bool;
    /// Runs what was begun, and keeps the outcome. Never panics.
    fn run(&self);
    /// Revokes it: whether it had not begun.
    fn revoke(&self) -> bool;
    fn is_waiting(&self) -> bool;
    fn is_revoked(&self) -> bool;
}

impl<W, T> Ticket<W, T> {
    pub(super) fn new(work: W) -> Self {
        Self { state: Mutex::new(State::Waiting(work)) }
    }

    /// The work, if it has not begun: the job was refused.
    pub(super) fn take_back(&self) -> Option<W> {
        match self.take_if(|state| matches!(state, State::Waiting(_))) {
            Some(State::Waiting(work)) => Some(work),
            _ => None,
        }
    }

    fn take_revoked(&self) -> Option<W> {
        match self.take_if(|state| matches!(state, State::Revoked(_))) {
            Some(State::Revoked(work)) => Some(work),
            _ => None,
        }
    }

    /// Takes what there is, also where that is not the end of it: a result that comes later is dropped by its thread.
    fn take_rest(&self) -> State<W, T> {
        let mut state = self.state.lock();
        let next = match &mut *state {
            State::Begun(_, is_wanted) => {
                *is_wanted = false;
                return State::Taken;
            }
            State::Running | State::Unwanted => State::Unwanted,
            _ => State::Taken,
        };
        mem::replace(&mut *state, next)
    }

    /// Takes what there is, if it is what is `wanted`.
    fn take_if(&self, wanted: impl FnOnce(&State<W, T>) -> bool) -> Option<State<W, T>> {
        let mut state = self.state.lock();
        wanted(&state).then(|| mem::replace(&mut *state, State::Taken))
    }

    /// Goes from begun to running.
    fn take_begun(&self) -> Option<W> {
        let mut state = self.state.lock();
        match mem::replace(&mut *state, State::Taken) {
            State::Begun(work, is_wanted) => {
                *state = if is_wanted { State::Running } else { State::Unwanted };
                Some(work)
            }
            other => {
                *state = other;
                None
            }
        }
    }

    fn advance(&self, to: impl FnOnce(W) -> State<W, T>) -> bool {
        let mut state = self.state.lock();
        match mem::replace(&mut *state, State::Taken) {
            State::Waiting(work) => {
                *state = to(work);
                true
            }
            other => {
                *state = other;
                false
            }
        }
    }
}

impl<W, T> Work for Ticket<W, T>
where
    W: FnOnce() -> T + Send,
    T: Send,
{
    fn begin(&self) -> bool {
        self.advance(|work| State::Begun(work, true))
    }

    fn run(&self) {
        let Some(work) = self.take_begun() else { return };
        let result = contain(work);
        let mut state = self.state.lock();
        if matches!(*state, State::Running) {
            *state = State::Finished(result);
            return;
        }
        drop(state);
        drop(contain(move || drop(result)));
    }

    fn revoke(&self) -> bool {
        self.advance(State::Revoked)
    }

    fn is_waiting(&self) -> bool {
        matches!(*self.state.lock(), State::Waiting(_))
    }

    fn is_revoked(&self) -> bool {
        matches!(*self.state.lock(), State::Revoked(_) | State::Taken)
    }
}

/// A job in the loop's table.
pub(super) struct Waiting {
    pub(super) pending: Box<dyn Deliver>,
    /// Where the program asked for it.
    pub(super) place: &'static Location<'static>,
}

/// The loop's half of a job, whatever its type.
pub(super) trait Deliver {
    /// Revokes it: whether it had not begun.
    fn revoke(&self) -> bool;
    /// The work of a job that was revoked, for the loop to drop.
    fn revoked_work(&self) -> Option<Box<dyn Any>>;
    /// Tells the program the outcome, which is `error` (or that it was cancelled) if the job has not finished.
    fn call(self: Box<Self>, error: Option<JobError>);
    /// What was to be told, for a job that was refused.
    fn into_done(self: Box<Self>) -> Option<Box<dyn Any>>;
}

/// Dropped without a call, because the loop ended, it drops the work or the result too: handles of the job hold neither.
pub(super) struct Pending<W, T, D> {
    ticket: Arc<Ticket<W, T>>,
    /// `None` once it was taken out to be called, or handed back.
    done: Option<D>,
}

impl<W, T, D> Pending<W, T, D> {
    pub(super) fn new(ticket: &Arc<Ticket<W, T>>, done: D) -> Self {
        Self { ticket: Arc::clone(ticket), done: Some(done) }
    }
}

impl<W, T, D> Deliver for Pending<W, T, D>
where
    W: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
    D: FnOnce(Result<T, JobError>) + 'static,
{
    fn revoke(&self) -> bool {
        self.ticket.revoke()
    }

    fn revoked_work(&self) -> Option<Box<dyn Any>> {
        Some(Box::new(self.ticket.take_revoked()?))
    }

    fn call(mut self: Box<Self>, error: Option<JobError>) {
        let outcome = match self.ticket.take_rest() {
            State::Finished(result) => result.map_err(JobError::Panicked),
            _ => Err(error.unwrap_or(JobError::Cancelled)),
        };
        if let Some(done) = self.done.take() {
            done(outcome);
        }
    }

    fn into_done(mut self: Box<Self>) -> Option<Box<dyn Any>> {
        Some(Box::new(self.done.take()?))
    }
}

impl<W, T, D> Drop for Pending<W, T, D> {
    fn drop(&mut self) {
        let rest = self.ticket.take_rest();
        drop(contain(move || drop(rest)));
    }
}
