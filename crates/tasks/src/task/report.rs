//! What becomes of an outcome that nobody waits for.

use std::any::Any;
use std::error::Error;
use std::io;
use std::panic::Location;

use marline_reactor::{Failure, Handle};

use super::body::contain;
use super::join::Ended;

/// Reports a failure, and drops everything else.
pub(super) fn unobserved<T: 'static>(outcome: Result<T, Ended>, place: Option<&'static Location<'static>>) {
    let error = match outcome {
        Ok(output) => failure_in(output),
        Err(Ended::Panicked(panic)) => Some(Box::new(panic) as Box<dyn Error + Send + Sync>),
        Err(Ended::Aborted) => None,
    };
    let Some(error) = error else { return };
    let what = place.map_or_else(|| "a task".to_owned(), |place| format!("the task started at {place}"));
    match Handle::current() {
        Ok(handle) => handle.report(&Failure::unobserved(error, what)),
        Err(_) => tracing::error!("{what} failed and nobody waited for it: {error}"),
    }
}

/// The error in an output, if it is a result of one of the usual types.
fn failure_in<T: 'static>(output: T) -> Option<Box<dyn Error + Send + Sync>> {
    let mut slot = Some(output);
    let any: &mut dyn Any = &mut slot;
    let found = error_in::<()>(any).or_else(|| error_in::<u64>(any)).or_else(|| error_in::<usize>(any));
    drop(contain(move || drop(slot)));
    found
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
