//! What the loop keeps of its tasks.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::rc::Rc;

use marline_reactor::{Handle, Hold, Instant, Phase};

use super::allowance::{Allowance, Granted};
use super::cell::{TaskRef, new_task};
use super::injector::Injector;
use super::join::JoinHandle;
use super::list::TaskId;
use super::live::{Birth, Header, Name};
use super::spans::Traced;
use crate::local::Local;

pub(crate) struct Executor {
    /// Its loop. The loop holds the executor until its end, and lets go of it then.
    handle: Handle,
    injector: &'static Injector,
    /// The tasks that have not ended, in no order.
    live: RefCell<Vec<TaskRef>>,
    /// How many were ever started.
    made: Cell<u64>,
    /// The number of the task that is being polled; zero is none's.
    running: Cell<u64>,
    /// No task may begin any more, and those that live are dropped when they are polled next.
    ending: Cell<bool>,
    /// Keeps the loop's shutdown from going on before the last task is dropped.
    hold: RefCell<Option<Hold>>,
    pub(crate) allowance: Allowance,
}

/// What the tasks of a loop have been up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskStats {
    /// How many tasks were ever started.
    pub spawned: u64,
    /// How many are not finished.
    pub live: usize,
}

/// Counts the tasks of the loop that runs here. Without one, all is zero.
///
/// ```
/// use marline_tasks::{settle, sleep, task_stats};
/// use std::time::Duration;
///
/// marline_tasks::run(async {
///     let before = task_stats().spawned;
///     settle((0..1000).map(|_| sleep(Duration::from_millis(1)))).await;
///     assert_eq!(task_stats().spawned, before, "waiting for a thousand things starts no task");
///     Ok::<(), Box<dyn std::error::Error>>(())
/// }).unwrap();
/// ```
#[must_use]
pub fn task_stats() -> TaskStats {
    let local = Handle::current().ok().and_then(|handle| Local::of(&handle));
    local.map_or_else(TaskStats::default, |local| local.executor.stats())
}

impl Executor {
    pub(crate) fn new(handle: &Handle) -> Rc<Self> {
        let executor = Rc::new(Self {
            handle: handle.clone(),
            injector: Injector::open(handle),
            live: RefCell::default(),
            made: Cell::new(0),
            running: Cell::new(0),
            ending: Cell::new(false),
            hold: RefCell::default(),
            allowance: Allowance::default(),
        });
        let listed = Rc::downgrade(&executor);
        handle.on_dump("tasks", move |text| {
            let list = listed.upgrade().map(|executor| executor.list(&executor.handle)).unwrap_or_default();
            list.iter().for_each(|task| text.push_str(&format!("{task}\n")));
        });
        let told = Rc::downgrade(&executor);
        handle.on_shutdown(Phase::During, move |hold| {
            if let Some(executor) = told.upgrade() {
                executor.shut_down(hold);
            }
        });
        executor
    }

    pub(super) fn spawn<F>(
        self: &Rc<Self>,
        handle: &Handle,
        future: F,
        place: &'static Location<'static>,
        name: Option<Name>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        if self.ending.get() {
            return JoinHandle::never_ran();
        }
        // Reading the clock would cost as much as the rest.
        let born = if handle.is_debugging() { handle.now() } else { Instant::FAR };
        let number = self.made.get() + 1;
        self.made.set(number);
        // Nothing is borrowed: whoever reads spans may be of the user's.
        let traced = Traced::new(number, name.as_deref(), place);
        let (executor, injector, loop_id) = (Rc::clone(self), self.injector, handle.loop_id());
        let birth = Birth { executor, injector, loop_id, number, place, name, born };
        let (listed, queued, joined) =
            new_task(|body, owners| Header::new(birth, body, owners), future, traced);
        self.list_up(listed);
        self.queue(queued);
        JoinHandle::new(joined)
    }

    #[inline]
    fn list_up(&self, task: TaskRef) {
        let mut live = self.live.borrow_mut();
        task.header().listed_at.set(place_of(live.len()));
        live.push(task);
    }

    /// Puts a task into the ready queue.
    #[inline]
    pub(super) fn queue(&self, task: TaskRef) {
        let turn = Turn(Some(task));
        self.handle.call_soon(move || turn.take());
    }

    /// The same, for one that takes the input of a connection: see [`Handle::call_next`].
    #[inline]
    pub(super) fn queue_next(&self, task: TaskRef) {
        let turn = Turn(Some(task));
        self.handle.call_next(move || turn.take());
    }

    fn stats(&self) -> TaskStats {
        TaskStats { spawned: self.made.get(), live: self.live.borrow().len() }
    }

    /// Whether no task is polled any more.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.get()
    }

    /// Whether its loop is over, so that no task has a turn any more.
    pub(super) fn is_over(&self) -> bool {
        self.handle.is_over()
    }

    /// Whether it is the task that is being polled.
    pub(super) fn is_running(&self, task: &Header) -> bool {
        self.running.get() == task.number
    }

    /// Looks at all tasks, in no order.
    pub(super) fn with_all<R>(&self, look: impl FnOnce(&mut dyn Iterator<Item = &Header>) -> R) -> R {
        look(&mut self.live.borrow().iter().map(TaskRef::header))
    }

    /// Which task it is, for people.
    fn describe(&self, task: &Header) -> String {
        let id = TaskId::new(task.loop_id, task.number);
        let name = task.name.as_deref().map_or_else(String::new, |name| format!(" {name:?}"));
        format!("task {id}{name}, started at {}", task.place)
    }

    /// The task's turn has come. `None` if it is to be dropped instead of polled.
    #[inline]
    pub(super) fn begin_poll(&self, task: &Header) -> Option<Polling<'_>> {
        if self.ending.get() || task.is_aborted.get() {
            return None;
        }
        task.count_poll();
        self.handle.describe_callback(|| format!("a poll of {}", self.describe(task)));
        let before = self.running.replace(task.number);
        Some(Polling { executor: self, before, _granted: self.allowance.grant() })
    }

    /// The task's future is dropped: what the list held of it.
    pub(super) fn finished(&self, task: &Header) -> Option<TaskRef> {
        let (mut live, place) = (self.live.borrow_mut(), task.listed_at.get() as usize);
        let listed = (place < live.len()).then(|| live.swap_remove(place));
        if let Some(moved) = live.get(place) {
            moved.header().listed_at.set(place_of(place));
        }
        let is_last = live.is_empty();
        drop(live);
        if is_last {
            let hold = self.hold.borrow_mut().take();
            drop(hold);
        }
        listed
    }

    // The end.

    /// The loop shuts down: every task is dropped when its turn comes, and the shutdown waits for that.
    fn shut_down(&self, hold: Hold) {
        self.ending.set(true);
        if !self.live.borrow().is_empty() {
            *self.hold.borrow_mut() = Some(hold);
            self.wake_all();
        }
    }

    fn wake_all(&self) {
        self.all().into_iter().for_each(TaskRef::wake_at_home);
    }

    fn all(&self) -> Vec<TaskRef> {
        self.live.borrow().clone()
    }

    /// The loop has ended. The tasks that live are dropped here, on its thread; nobody else could drop them.
    pub(crate) fn end(&self) {
        self.ending.set(true);
        self.all().into_iter().for_each(TaskRef::cancel);
        self.injector.close();
    }
}

/// A place in the list of tasks. So many have no room in any memory that what is above could be one.
fn place_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// While it lives, its task is the one that is being polled.
pub(super) struct Polling<'a> {
    executor: &'a Executor,
    before: u64,
    _granted: Granted<'a>,
}

impl Drop for Polling<'_> {
    #[inline]
    fn drop(&mut self) {
        self.executor.running.set(self.before);
    }
}

/// The turn of a task, which is run. A loop that is over drops it instead, and the task with it.
struct Turn(Option<TaskRef>);

impl Turn {
    #[inline]
    fn take(self) {
        // Its drop would look again.
        if let Some(task) = ManuallyDrop::new(self).0.take() {
            task.run();
        }
    }
}

impl Drop for Turn {
    #[inline]
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.cancel();
        }
    }
}
