//! What is kept of a task that is not finished.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;
use std::task::Waker;

use marline_reactor::Instant;

/// A task's entry in the executor's list. There is one for every task, idle ones included, so every word in here counts.
pub(super) struct Live {
    pub(super) waker: Waker,
    /// Where it was started.
    pub(super) place: &'static Location<'static>,
    pub(super) name: Option<Name>,
    /// When it was started; [`Instant::FAR`] if nobody took the time.
    pub(super) born: Instant,
    /// How often it was polled.
    pub(super) polls: u64,
    /// It is dropped instead of polled.
    pub(super) aborted: bool,
}

impl Live {
    /// A task that is being made: its waker comes with it.
    pub(super) fn new(place: &'static Location<'static>, name: Option<Name>, born: Instant) -> Self {
        Self { waker: Waker::noop().clone(), place, name, born, polls: 0, aborted: false }
    }
}

/// The name of a task. A thin pointer, because most tasks have none; clones share it.
#[derive(Clone)]
pub(super) struct Name(Arc<Cow<'static, str>>);

impl Name {
    pub(super) fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(name.into()))
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
