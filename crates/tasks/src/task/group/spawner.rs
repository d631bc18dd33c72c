//! Starting children from elsewhere.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use super::child::start;
use super::error::GroupClosed;
use super::state::Shared;
use crate::task::current;
use crate::task::live::Name;

/// Starts children of a [`TaskGroup`](super::TaskGroup): for the children themselves, and for callbacks. Clones start children
/// of the same group.
///
/// It is `Send` and `Sync` where the group is; a child belongs to the loop that runs where it is started. Holding one does not
/// keep the group from ending.
///
/// ```
/// use marline_tasks::{TaskGroup, task::GroupSpawner};
///
/// fn count_down(from: u8, spawner: GroupSpawner<u8, ()>) -> Result<(), ()> {
///     let again = spawner.clone();
///     let child = async move {
///         if from > 0 {
///             count_down(from - 1, again)?;
///         }
///         Ok(from)
///     };
///     spawner.spawn(child).map(drop).map_err(drop)
/// }
///
/// marline_tasks::run(async {
///     let group = TaskGroup::new();
///     count_down(3, group.spawner()).unwrap();
///     assert_eq!(group.join().await.unwrap(), [3, 2, 1, 0]);
///     Ok::<(), Box<dyn std::error::Error>>(())
/// }).unwrap();
/// ```
pub struct GroupSpawner<T: 'static, E: 'static> {
    shared: Arc<Shared<T, E>>,
}

impl<T, E> GroupSpawner<T, E> {
    pub(super) fn new(shared: &Arc<Shared<T, E>>) -> Self {
        Self { shared: Arc::clone(shared) }
    }

    /// As [`TaskGroup::spawn`](super::TaskGroup::spawn).
    ///
    /// # Errors
    ///
    /// Hands the future back if the group has failed or ended, or if [no loop](GroupClosed::is_nowhere) runs here. The group is
    /// not touched then.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Result<usize, GroupClosed<F>>
    where
        F: Future<Output = Result<T, E>> + 'static,
    {
        self.start(future, Location::caller(), None)
    }

    /// As [`TaskGroup::spawn_named`](super::TaskGroup::spawn_named).
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    #[track_caller]
    pub fn spawn_named<F>(
        &self,
        name: impl Into<Cow<'static, str>>,
        future: F,
    ) -> Result<usize, GroupClosed<F>>
    where
        F: Future<Output = Result<T, E>> + 'static,
    {
        self.start(future, Location::caller(), Some(Name::new(name)))
    }

    fn start<F>(
        &self,
        future: F,
        place: &'static Location<'static>,
        name: Option<Name>,
    ) -> Result<usize, GroupClosed<F>>
    where
        F: Future<Output = Result<T, E>> + 'static,
    {
        let Some(handle) = current().filter(|handle| !handle.is_over()) else {
            return Err(GroupClosed::nowhere(future));
        };
        start(&self.shared, future, place, name, Some(&handle)).map_err(GroupClosed::new)
    }
}

impl<T, E> Clone for GroupSpawner<T, E> {
    fn clone(&self) -> Self {
        Self::new(&self.shared)
    }
}

impl<T, E> fmt::Debug for GroupSpawner<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupSpawner").finish_non_exhaustive()
    }
}
