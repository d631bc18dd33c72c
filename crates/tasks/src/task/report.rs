//! What becomes of an outcome that nobody waits for.

use std::any::{Any, TypeId};
use std::error::Error;
use std::fmt;
use std::io;
use std::panic::Location;

use marline_reactor::{Failure, Handle, LoopId, Panic};

use super::contain;
use super::join::Ended;
use super::live::{Header, Name};
use crate::mail;

/// Which task it was.
#[derive(Clone)]
pub(super) struct Origin {
    /// Its loop.
    pub(super) loop_id: LoopId,
    /// Where it was started.
    pub(super) place: &'static Location<'static>,
    pub(super) name: Option<Name>,
}

/// Reports a failure to the loop of the task, from whatever thread, and drops everything else.
pub(super) fn unobserved<T: 'static>(outcome: Result<T, Ended>, task: &Header) {
    // To look at an error is to call code of others.
    let error = contain(move || error_of(outcome));
    let error = error.unwrap_or_else(|panic| Some(Box::new(panic)));
    if let Some(error) = error {
        unobserved_error(error, &task.origin());
    }
}

#[cold]
pub(super) fn unobserved_error(error: Box<dyn Error + Send + Sync>, origin: &Origin) {
    tell(Failure::unobserved(error, origin.to_string()), origin);
}

/// What is to be reported of an outcome, which is dropped.
pub(super) fn error_of<T: 'static>(outcome: Result<T, Ended>) -> Option<Box<dyn Error + Send + Sync>> {
    match outcome {
        Ok(output) if may_fail::<T>() => failure_in(output),
        Ok(output) => dropped(output),
        Err(Ended::Panicked(panic)) => Some(Box::new(panic) as Box<dyn Error + Send + Sync>),
        Err(Ended::Aborted) => None,
    }
}

/// Somebody's waker panicked when the task woke or dropped it.
pub(super) fn waker_panicked(panic: Panic, origin: &Origin) {
    tell(Failure::unobserved(Box::new(panic), format!("the waker of who awaited {origin}")), origin);
}

/// Blocking work panicked, and nobody awaits it.
pub(super) fn work_panicked(panic: Panic, origin: &Origin) {
    tell(
        Failure::unobserved(Box::new(panic), format!("the blocking work started at {}", origin.place)),
        origin,
    );
}

/// Whoever tells is in the middle of something, which a panic of an error that is shown or dropped does not end.
fn tell(failure: Failure, origin: &Origin) {
    if let Err(panic) = contain(move || tell_uncontained(failure, origin)) {
        tracing::error!("a failure of {origin} could not be told of: {panic}");
    }
}

fn tell_uncontained(failure: Failure, origin: &Origin) {
    if let Some(handle) = origin.handle() {
        return handle.report(&failure);
    }
    let (text, there) = (failure.to_string(), origin.loop_id);
    let sent = mail::send_to(there, move || {
        if let Some(handle) = Handle::find(there) {
            handle.report(&failure);
        }
    });
    if !sent {
        tracing::error!("{text}");
    }
}

impl Origin {
    /// The task's loop, on its own thread, also while it ends.
    fn handle(&self) -> Option<Handle> {
        let is_it = |current: &Handle| current.loop_id() == self.loop_id;
        Handle::find(self.loop_id).or_else(|| Handle::current().ok().filter(is_it))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "the task {name:?} started at {}", self.place),
            None => write!(f, "the task started at {}", self.place),
        }
    }
}

/// The error in an output, if it is a result of one of the usual types; or the panic of its destructor.
fn failure_in<T: 'static>(output: T) -> Option<Box<dyn Error + Send + Sync>> {
    let mut slot = Some(output);
    let any: &mut dyn Any = &mut slot;
    let found = error_in::<()>(any).or_else(|| error_in::<u64>(any)).or_else(|| error_in::<usize>(any));
    let left = dropped(slot);
    found.or(left)
}

/// Drops an output. The answer is the panic of its destructor.
#[inline]
fn dropped<T>(output: T) -> Option<Box<dyn Error + Send + Sync>> {
    let dropped = contain(move || drop(output));
    dropped.err().map(|panic| Box::new(panic) as Box<dyn Error + Send + Sync>)
}

/// Whether it is a type in which [`failure_in`] finds errors. Known when this is compiled.
#[inline]
fn may_fail<T: 'static>() -> bool {
    fn is_one<T: 'static, V: 'static>() -> bool {
        let own = TypeId::of::<T>();
        own == TypeId::of::<Result<V, io::Error>>()
            || own == TypeId::of::<Result<V, Box<dyn Error + Send + Sync>>>()
            || own == TypeId::of::<Result<V, Box<dyn Error>>>()
            || own == TypeId::of::<Result<V, String>>()
    }
    is_one::<T, ()>() || is_one::<T, u64>() || is_one::<T, usize>()
}

fn error_in<V: 'static>(any: &mut dyn Any) -> Option<Box<dyn Error + Send + Sync>> {
    take::<V, io::Error>(any)
        .map(Into::into)
        .or_else(|| take::<V, Box<dyn Error + Send + Sync>>(any))
        .or_else(|| take::<V, Box<dyn Error>>(any).map(|error| error.to_string().into()))
        .or_else(|| take::<V, String>(any).map(Into::into))
}

fn take<V: 'static, E: 'static>(any: &mut dyn Any) -> Option<E> {
    let slot = any.downcast_mut::<Option<Result<V, E>>>()?;
    slot.take_if(|result| result.is_err())?.err()
}
