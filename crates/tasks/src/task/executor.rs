//! What the loop keeps of its tasks.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use marline_reactor::{Handle, Hold, Instant, Phase};

use super::allowance::{Allowance, Granted};
use super::cell::{Run, new_task};
use super::injector::{Injector, queue};
use super::join::JoinHandle;
use super::list::TaskId;
use super::live::{Header, Name};
use crate::local::Local;
use crate::table::{Table, TableKey};

pub(crate) struct Executor {
    /// Its loop. The loop holds the executor until its end, and lets go of it then.
    handle: Handle,
    injector: Arc<Injector>,
    live: RefCell<Table<Arc<dyn Run>>>,
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
            injector: Injector::new(handle),
            live: RefCell::default(),
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
        let key = self.live.borrow_mut().reserve();
        let header = Header::new(Arc::clone(&self.injector), key, place, name, born);
        // Nothing is borrowed: whoever reads spans may be of the user's.
        let (task, joined) = new_task(header, future, Rc::clone(self));
        self.live.borrow_mut().fill(key, Arc::clone(&task));
        queue(handle, task);
        JoinHandle::new(joined)
    }

    fn stats(&self) -> TaskStats {
        let live = self.live.borrow();
        TaskStats { spawned: live.made(), live: live.len() }
    }

    /// Whether no task is polled any more.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.get()
    }

    /// Whether it is the task that is being polled.
    pub(super) fn is_running(&self, key: TableKey) -> bool {
        self.running.get() == key.number()
    }

    /// Looks at all tasks, in no order.
    pub(super) fn with_all<R>(&self, look: impl FnOnce(&mut dyn Iterator<Item = &Header>) -> R) -> R {
        look(&mut self.live.borrow().iter().map(|(_, task)| task.header()))
    }

    fn task(&self, key: TableKey) -> Option<Arc<dyn Run>> {
        self.live.borrow_mut().get_mut(key).cloned()
    }

    /// Which task it is, for people.
    fn describe(&self, task: &Header) -> String {
        let id = TaskId::new(self.handle.loop_id(), task.key);
        let name = task.name.as_deref().map_or_else(String::new, |name| format!(" {name:?}"));
        format!("task {id}{name}, started at {}", task.place)
    }

    /// The task's turn has come. `None` if it is to be dropped instead of polled.
    #[inline]
    pub(super) fn begin_poll(&self, task: &Header) -> Option<Polling<'_>> {
        if self.ending.get() || task.is_aborted() {
            return None;
        }
        task.count_poll();
        self.handle.describe_callback(|| format!("a poll of {}", self.describe(task)));
        let before = self.running.replace(task.key.number());
        Some(Polling { executor: self, before, _granted: self.allowance.grant() })
    }

    pub(super) fn abort(&self, key: TableKey) {
        if let Some(task) = self.task(key) {
            task.header().abort();
            task.wake();
        }
    }

    /// The task's future is dropped.
    pub(super) fn finished(&self, key: TableKey) {
        let mut all = self.live.borrow_mut();
        let (task, is_last) = (all.remove(key), all.len() == 0);
        drop(all);
        drop(task);
        if is_last {
            let hold = self.hold.borrow_mut().take();
            drop(hold);
        }
    }

    // The end.

    /// The loop shuts down: every task is dropped when its turn comes, and the shutdown waits for that.
    fn shut_down(&self, hold: Hold) {
        self.ending.set(true);
        if self.live.borrow().len() > 0 {
            *self.hold.borrow_mut() = Some(hold);
            self.wake_all();
        }
    }

    fn wake_all(&self) {
        self.all().into_iter().for_each(|task| task.wake());
    }

    fn all(&self) -> Vec<Arc<dyn Run>> {
        self.live.borrow().iter().map(|(_, task)| Arc::clone(task)).collect()
    }

    /// The loop has ended. The tasks that live are dropped here, on its thread; nobody else could drop them.
    pub(crate) fn end(&self) {
        self.ending.set(true);
        self.all().into_iter().for_each(|task| task.cancel());
        self.injector.end();
    }
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
