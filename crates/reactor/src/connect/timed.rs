//! The timeout of an endpoint whose kind is a program's, which knows nothing of it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::Connecting;
use crate::endpoint::{ConnectDone, ConnectFactory, EndpointKind, EndpointParts};
use crate::error::ConnectError;
use crate::reactor::Handle;
use crate::timer::Timer;

/// What the timer and the outcome know of each other.
#[derive(Default)]
struct Limit {
    timer: RefCell<Option<Timer>>,
    /// It was given up because its time was up.
    is_up: Cell<bool>,
}

/// Connects, and gives up after so long.
#[track_caller]
pub(super) fn connect(
    kind: &dyn EndpointKind,
    handle: &Handle,
    parts: &EndpointParts,
    after: Duration,
    factory: ConnectFactory,
    done: ConnectDone,
) -> Connecting {
    let limit = Rc::new(Limit::default());
    let (told, target) = (Rc::clone(&limit), parts.to_string());
    let tell = move |outcome| {
        let timer = told.timer.borrow_mut().take();
        timer.into_iter().for_each(|timer| {
            timer.cancel();
        });
        done(match outcome {
            Err(ConnectError::Cancelled { .. }) if told.is_up.get() => {
                Err(ConnectError::TimedOut { target, after })
            }
            outcome => outcome,
        });
    };
    let connecting = kind.connect(handle, parts, factory, Box::new(tell));
    let (expiring, expired) = (connecting.clone(), Rc::downgrade(&limit));
    let timer = handle.call_later(after, move || {
        let is_up = expiring.cancel();
        expired.upgrade().into_iter().for_each(|limit| limit.is_up.set(is_up));
    });
    *limit.timer.borrow_mut() = Some(timer);
    connecting
}
