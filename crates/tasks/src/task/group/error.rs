//! What becomes of a child that fails.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::Location;

use super::state::{Birth, Cause};
use crate::task::live::Name;

/// Which child of a group failed, and how.
///
/// It is an [`Error`] where the error inside can be shown, boxed errors included (which are no `Error`s themselves, so the
/// inner error is part of the text and not the source).
pub struct GroupError<E> {
    index: usize,
    name: Option<Name>,
    place: &'static Location<'static>,
    cause: Cause<E>,
}

impl<E> GroupError<E> {
    pub(super) fn new(index: usize, birth: Birth, cause: Cause<E>) -> Self {
        Self { index, name: birth.name, place: birth.place, cause }
    }

    /// The child's number in the group, in the order of spawning, counted from zero.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The name that it was spawned with.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where it was spawned.
    #[must_use]
    pub fn place(&self) -> &'static Location<'static> {
        self.place
    }

    /// The error that it gave; `None` if it panicked or was cancelled.
    #[must_use]
    pub fn error(&self) -> Option<&E> {
        match &self.cause {
            Cause::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// The error alone, for `map_err` where the child does not matter.
    #[must_use]
    pub fn into_error(self) -> Option<E> {
        match self.cause {
            Cause::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// Whether it panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.cause, Cause::Panicked(_))
    }

    /// What it panicked with, as [`std::panic::catch_unwind`] gives it: [`std::panic::resume_unwind`] lets the owner panic
    /// with the same.
    #[must_use]
    pub fn into_panic(self) -> Option<Box<dyn Any + Send>> {
        match self.cause {
            Cause::Panicked(panic) => panic.take_payload(),
            _ => None,
        }
    }

    /// Whether it was cancelled: by the group, or because its loop ended or was not there.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.cause, Cause::Cancelled)
    }
}

impl<E> GroupError<E> {
    fn write_child(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "child {}", self.index)?;
        if let Some(name) = &self.name {
            write!(f, " {name:?}")?;
        }
        write!(f, " of the group, spawned at {}, ", self.place)
    }
}

impl<E: fmt::Display> fmt::Display for GroupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_child(f)?;
        match &self.cause {
            Cause::Failed(error) => write!(f, "failed: {error}"),
            Cause::Panicked(panic) => fmt::Display::fmt(panic, f),
            Cause::Cancelled => f.write_str("was cancelled"),
        }
    }
}

impl<E: fmt::Debug> fmt::Debug for GroupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupError(")?;
        self.write_child(f)?;
        match &self.cause {
            Cause::Failed(error) => write!(f, "failed: {error:?})"),
            Cause::Panicked(panic) => write!(f, "{panic})"),
            Cause::Cancelled => f.write_str("was cancelled)"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> Error for GroupError<E> {}

/// The group has failed or ended and takes no child any more, or there is no loop to run one. Hands the future back.
pub struct GroupClosed<F> {
    future: F,
    nowhere: bool,
}

impl<F> GroupClosed<F> {
    pub(super) fn new(future: F) -> Self {
        Self { future, nowhere: false }
    }

    pub(super) fn nowhere(future: F) -> Self {
        Self { future, nowhere: true }
    }

    /// Whether the reason is that no loop runs on this thread, or that it has ended. The group may still take children
    /// elsewhere.
    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        self.nowhere
    }

    /// The future that was not started.
    #[must_use]
    pub fn into_future(self) -> F {
        self.future
    }
}

impl<F> fmt::Display for GroupClosed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.nowhere {
            "no loop runs on this thread, so no child of the group can be started here"
        } else {
            "the group has failed or ended, and takes no child any more"
        })
    }
}

impl<F> fmt::Debug for GroupClosed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupClosed")
    }
}

impl<F> Error for GroupClosed<F> {}
