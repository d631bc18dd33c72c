//! Failures that belong to no connection.

use std::error::Error;
use std::fmt;
use std::panic::Location;

use super::Shell;
use super::config::OnPanic;
use crate::contain::{Panic, contain};

/// Something that failed and that no connection and no caller is told of.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// A callback panicked.
    Panicked {
        /// With what.
        panic: Panic,
        /// Where the callback was scheduled, or called from.
        place: &'static Location<'static>,
    },
    /// Somebody reported an error that nobody waits for.
    Unobserved {
        /// The error.
        error: Box<dyn Error + Send + Sync>,
        /// What it was that failed.
        what: String,
    },
}

impl Failure {
    /// A failure that nobody waits for; `what` names what failed.
    #[must_use]
    pub fn unobserved(error: Box<dyn Error + Send + Sync>, what: String) -> Self {
        Self::Unobserved { error, what }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked { panic, place } => write!(f, "a callback scheduled at {place} {panic}"),
            Self::Unobserved { error, what } => write!(f, "{what} failed and nobody waited for it: {error}"),
        }
    }
}

type Handler = Box<dyn FnMut(&Failure)>;

/// Who is told.
#[derive(Default)]
pub(super) struct FailureHandler {
    /// `None` if nobody is, or while it runs.
    call: Option<Handler>,
    /// The panic that stopped the loop, by its [policy](OnPanic::Stop).
    stopped_by: Option<Panic>,
}

impl Shell {
    pub(super) fn set_failure_handler(&self, call: Handler) {
        if self.is_ended() {
            // Kept here, it might keep the loop itself alive.
            self.contained(move || drop(call));
            return;
        }
        let old = self.failures.borrow_mut().call.replace(call);
        self.contained(move || drop(old));
    }

    pub(crate) fn report_panic(&self, panic: Panic, place: &'static Location<'static>) {
        self.report(&Failure::Panicked { panic: panic.clone(), place });
        match self.config.on_panic {
            OnPanic::GoOn => {}
            OnPanic::Stop => {
                self.failures.borrow_mut().stopped_by.get_or_insert(panic);
                self.stop();
            }
            OnPanic::Abort => std::process::abort(),
        }
    }

    /// The panic that stopped the loop, if that was its policy: once.
    pub(crate) fn take_stopping_panic(&self) -> Option<Panic> {
        self.failures.borrow_mut().stopped_by.take()
    }

    pub(crate) fn report(&self, failure: &Failure) {
        let handler = self.failures.borrow_mut().call.take();
        let Some(mut handler) = handler else {
            tracing::error!("{failure}");
            return;
        };
        if let Err(second) = contain(|| handler(failure)) {
            // A handler that fails is not told of its own failure.
            tracing::error!("{failure}; the handler of failures {second}");
        }
        let mut place = self.failures.borrow_mut();
        if place.call.is_none() {
            place.call = Some(handler);
        } else {
            drop(place);
            drop(contain(move || drop(handler)));
        }
    }
}
