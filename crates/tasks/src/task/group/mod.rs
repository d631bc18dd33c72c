//! Structured concurrency: tasks that end before the group that started them.
//!
//! * `state`: what the group knows of its children; `child`: the future around a child's.
//! * `join`: waiting for them; `spawner`: starting them from elsewhere; `error`: what becomes of one that fails.

mod child;
mod error;
mod join;
mod spawner;
mod state;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

pub use error::{GroupClosed, GroupError};
pub use spawner::GroupSpawner;

use super::current;
use super::live::Name;
use child::start;
use state::Shared;

/// The policy of [`TaskGroup::new`].
#[derive(Debug)]
pub struct FailFast(());

/// The policy of [`TaskGroup::collecting`].
#[derive(Debug)]
pub struct Collecting(());

/// Tasks that belong together, and end before whoever waits for the group goes on.
///
/// A child is a task of the loop that runs where it is [spawned](Self::spawn): it begins by itself, needs not be `Send`, and
/// gives a `Result`. The group is `Send` where `T` and `E` are.
///
/// There are two policies:
///
/// * [`new`](Self::new): the first child that fails cancels its siblings, and its failure is what
///   [`join`](Self::join) answers, after the future of every sibling was dropped. Python's `TaskGroup`, trio's nursery.
/// * [`collecting`](TaskGroup::collecting): a failure changes nothing for the siblings, and `join` answers with every outcome.
///
/// A child **fails** by giving an `Err`, by panicking, or by being dropped before its end (its loop ended, or there was none). A
/// panic is an error too: [`GroupError::into_panic`] has its payload, for [`std::panic::resume_unwind`]. A child that the group
/// itself cancelled has not failed. Of failures after the first, panics are reported as those of tasks that
/// [nobody awaits](crate::spawn).
///
/// # Cancellation
///
/// Dropping the group, or the future of [`join`](Self::join), cancels the children, so what becomes of the owner becomes of
/// them: nothing that the group started outlives an owner that was aborted, timed out or lost a race by more than the time
/// until the loop comes to it. (Their futures are dropped from the loop, in the order of spawning, and not inside of the drop
/// of the group.) Dropping the future of [`next`](Self::next) changes nothing.
///
/// The one exception is what a child has put behind a [`shield`](crate::shield): that goes on after the child was cancelled, also
/// when `join` has answered.
///
/// ```
/// use marline_tasks::{TaskGroup, sleep};
/// use std::time::Duration;
///
/// marline_tasks::run(async {
///     let group = TaskGroup::new();
///     for delay in [3, 1, 2] {
///         group.spawn(async move {
///             sleep(Duration::from_millis(delay)).await;
///             if delay == 4 { Err("too slow") } else { Ok(delay) }
///         });
///     }
///     assert_eq!(group.join().await?, [3, 1, 2]);
///
///     let group = TaskGroup::<(), &str>::new();
///     group.spawn(std::future::pending());
///     group.spawn_named("hasty", async { Err("no time") });
///     let error = group.join().await.unwrap_err();
///     assert_eq!((error.index(), error.name(), error.error()), (1, Some("hasty"), Some(&"no time")));
///     Ok::<(), Box<dyn std::error::Error>>(())
/// }).unwrap();
/// ```
#[must_use = "dropping the group cancels its children"]
pub struct TaskGroup<T: 'static, E: 'static, P = FailFast> {
    shared: Arc<Shared<T, E>>,
    policy: PhantomData<fn() -> P>,
}

impl<T, E> TaskGroup<T, E> {
    /// A group whose first failure cancels the other children and is what the owner sees.
    pub fn new() -> Self {
        Self { shared: Shared::new(true), policy: PhantomData }
    }
}

impl<T, E> TaskGroup<T, E, Collecting> {
    /// A group that waits for all children, whatever becomes of them. Where the types have to be named, the policy is left to
    /// the compiler: `TaskGroup::<u8, Error, _>::collecting()`.
    ///
    /// ```
    /// use marline_tasks::TaskGroup;
    ///
    /// marline_tasks::run(async {
    ///     let group = TaskGroup::collecting();
    ///     for text in ["1", "two", "3"] {
    ///         group.spawn(async move { text.parse::<u8>() });
    ///     }
    ///     let outcomes = group.join().await;
    ///     assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    ///     Ok::<(), Box<dyn std::error::Error>>(())
    /// }).unwrap();
    /// ```
    pub fn collecting() -> Self {
        Self { shared: Shared::new(false), policy: PhantomData }
    }
}

impl<T, E, P> TaskGroup<T, E, P> {
    /// Starts a child, on the loop that runs here: the answer is its number in the group, counted from zero.
    ///
    /// In a group that has failed the future is dropped at once. Without a loop it is too, and the child has failed.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> usize
    where
        F: Future<Output = Result<T, E>> + 'static,
    {
        self.start(future, Location::caller(), None)
    }

    /// As [`spawn`](Self::spawn), with a name for the [list of tasks](crate::task_list) and the [error](GroupError::name).
    #[track_caller]
    pub fn spawn_named<F>(&self, name: impl Into<Cow<'static, str>>, future: F) -> usize
    where
        F: Future<Output = Result<T, E>> + 'static,
    {
        self.start(future, Location::caller(), Some(Name::new(name)))
    }

    fn start<F>(&self, future: F, place: &'static Location<'static>, name: Option<Name>) -> usize
    where
        F: Future<Output = Result<T, E>> + 'static,
    {
        match start(&self.shared, future, place, name, current().as_ref()) {
            Ok(index) => index,
            Err(future) => {
                drop(future);
                self.shared.skip()
            }
        }
    }

    /// A handle by which others start children, the children themselves above all.
    #[must_use]
    pub fn spawner(&self) -> GroupSpawner<T, E> {
        GroupSpawner::new(&self.shared)
    }

    /// How many children have not ended, or have ended and were not yet given to the owner.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Cancels the children that there are now: their futures are dropped from the loop, where they wait. The group can go on
    /// with new ones. That they were cancelled is no failure; a [collecting](TaskGroup::collecting) group tells it of each.
    pub fn cancel_all(&self) {
        self.shared.cancel_all();
    }
}

impl<T, E> Default for TaskGroup<T, E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: 'static, E: 'static, P> Drop for TaskGroup<T, E, P> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl<T, E, P> fmt::Debug for TaskGroup<T, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup").field("len", &self.len()).finish_non_exhaustive()
    }
}
