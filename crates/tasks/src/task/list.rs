//! What tasks there are.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use marline_reactor::{Handle, Instant, LoopId};

use super::current;
use super::executor::Executor;
use super::live::Header;
use crate::local::Local;

/// The number of a task: no other task of this process ever has the same.
///
/// Its `Display` is the number within the task's loop, counted from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    loop_id: LoopId,
    number: u64,
}

impl TaskId {
    pub(super) fn new(loop_id: LoopId, number: u64) -> Self {
        Self { loop_id, number }
    }

    /// The loop that runs the task.
    #[must_use]
    pub fn loop_id(&self) -> LoopId {
        self.loop_id
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.number, f)
    }
}

/// What a task does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// It waits for something to wake it.
    Waiting,
    /// It was started or woken, and waits for its turn.
    Queued,
    /// It is being polled.
    Running,
}

/// A task that has not finished, as it was when the list was made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskInfo {
    /// Its number.
    pub id: TaskId,
    /// Its name, if it was given one.
    pub name: Option<String>,
    /// Where it was started: file, line and column.
    pub place: &'static Location<'static>,
    /// What it does.
    pub state: TaskState,
    /// How often it was polled; from `u32::MAX` on, that.
    pub polls: u64,
    /// How long ago it was started; known if the loop was in [debug mode](marline_reactor::DebugMode) then.
    pub age: Option<Duration>,
}

impl fmt::Display for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " {name:?}")?;
        }
        let state = match self.state {
            TaskState::Waiting => "waiting",
            TaskState::Queued => "queued",
            TaskState::Running => "running",
        };
        write!(f, ": {state}, {} polls", self.polls)?;
        if let Some(age) = self.age {
            write!(f, " in {age:?}")?;
        }
        write!(f, ", started at {}", self.place)
    }
}

/// The unfinished tasks of the loop that runs here, in the order in which they were started. Without a loop there are none.
///
/// It takes time in proportion to the tasks, and is made for looking at a program that runs.
///
/// ```
/// use marline_tasks::{task_list, yield_now, task::{Builder, TaskState}};
///
/// marline_tasks::run(async {
///     let _task = Builder::new().name("idle").spawn(std::future::pending::<()>());
///     yield_now().await;
///     let list = task_list();
///     let idle = list.iter().find(|task| task.name.as_deref() == Some("idle")).unwrap();
///     assert_eq!((idle.state, idle.polls), (TaskState::Waiting, 1));
///     Ok::<(), Box<dyn std::error::Error>>(())
/// }).unwrap();
/// ```
#[must_use]
pub fn task_list() -> Vec<TaskInfo> {
    current().as_ref().map(task_list_on).unwrap_or_default()
}

/// As [`task_list`], of this loop.
#[must_use]
pub fn task_list_on(handle: &Handle) -> Vec<TaskInfo> {
    Local::of(handle).map(|local| local.executor.list(handle)).unwrap_or_default()
}

impl Executor {
    pub(super) fn list(&self, handle: &Handle) -> Vec<TaskInfo> {
        let now = handle.now();
        let info = |task: &Header| TaskInfo {
            id: TaskId::new(task.loop_id, task.number),
            name: task.name.as_deref().map(str::to_owned),
            place: task.place,
            state: match () {
                () if self.is_running(task) => TaskState::Running,
                () if task.is_queued() => TaskState::Queued,
                () => TaskState::Waiting,
            },
            polls: task.polls(),
            age: Some(task.born).filter(|born| *born != Instant::FAR).map(|born| now - born),
        };
        let mut list = self.with_all(|all| all.map(info).collect::<Vec<_>>());
        list.sort_unstable_by_key(|info| info.id);
        list
    }
}
