//! Tasks with names.

use std::borrow::Cow;
use std::panic::Location;

use marline_reactor::Handle;

use super::join::JoinHandle;
use super::live::Name;
use super::{current, spawn_at};

/// Starts tasks with a name, by which [`task_list`](crate::task_list) and reports of failures call them. One builder starts
/// any number.
///
/// ```
/// use marline_tasks::task::Builder;
///
/// marline_tasks::run(async {
///     let task = Builder::new().name("answer").spawn(async { 6 * 7 });
///     assert_eq!(task.name(), Some("answer"));
///     assert_eq!(task.await?, 42);
///     Ok::<(), Box<dyn std::error::Error>>(())
/// }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder starts nothing by itself"]
pub struct Builder {
    name: Option<Name>,
}

impl Builder {
    /// One that gives no name yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name of the tasks. It need not be unique.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(Name::new(name));
        self
    }

    /// As [`spawn`](crate::spawn).
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        spawn_at(current().as_ref(), future, Location::caller(), self.name.clone())
    }

    /// As [`spawn_on`](crate::spawn_on).
    #[track_caller]
    pub fn spawn_on<F>(&self, handle: &Handle, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        spawn_at(Some(handle), future, Location::caller(), self.name.clone())
    }
}
