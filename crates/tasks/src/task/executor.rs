//! What the loop keeps of its tasks.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use async_task::Builder;
use marline_reactor::{Handle, Hold, Instant, Phase, Remote};

use super::allowance::Allowance;
use super::body::Body;
use super::injector::Injector;
use super::join::JoinHandle;
use super::list::TaskId;
use super::live::{Live, Name};
use super::queued::QueuedTasks;
use super::report::Origin;
use crate::local::Local;
use crate::table::{Table, TableKey};

pub(crate) struct Executor {
    /// Its loop. The loop holds the executor until its end, and lets go of it then.
    handle: Handle,
    injector: Arc<Injector>,
    live: RefCell<Table<Live>>,
    queued: QueuedTasks,
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
            queued: QueuedTasks::default(),
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
        let live = Live::new(place, name.clone(), born);
        let key = self.live.borrow_mut().insert(live);
        let body = Body::new(future, Rc::clone(self), key, place, name.as_deref());
        let injector = Arc::clone(&self.injector);
        let (runnable, task) = Builder::new()
            .metadata(self.queued.of(key))
            .spawn_local(|_| body, move |runnable| injector.schedule(runnable));
        if let Some(live) = self.live.borrow_mut().get_mut(key) {
            live.waker = runnable.waker();
        }
        runnable.schedule();
        JoinHandle::new(task, key, Origin { remote: self.remote().clone(), place, name })
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

    /// Whether the task waits for its turn, in the ready queue or on its way there from another thread.
    pub(super) fn is_queued(&self, key: TableKey) -> bool {
        self.queued.contains(key)
    }

    /// Looks at all tasks, in no order.
    pub(super) fn with_all<R>(
        &self,
        look: impl FnOnce(&mut dyn Iterator<Item = (TableKey, &Live)>) -> R,
    ) -> R {
        look(&mut self.live.borrow().iter())
    }

    fn with_live<R>(&self, key: TableKey, look: impl FnOnce(&mut Live) -> R) -> Option<R> {
        self.live.borrow_mut().get_mut(key).map(look)
    }

    /// Which task it is, for people.
    fn describe(&self, key: TableKey) -> String {
        let (id, name) = (TaskId::new(self.handle.loop_id(), key), self.name_of(key));
        let place = self.with_live(key, |live| live.place);
        let name = name.map_or_else(String::new, |name| format!(" {name:?}"));
        let place = place.map_or_else(String::new, |place| format!(", started at {place}"));
        format!("task {id}{name}{place}")
    }

    pub(super) fn name_of(&self, key: TableKey) -> Option<Name> {
        self.with_live(key, |live| live.name.clone())?
    }

    /// The task's turn has come. `None` if it is to be dropped instead of polled.
    #[inline]
    pub(super) fn begin_poll(&self, key: TableKey) -> Option<Polling<'_>> {
        let ending = self.ending.get();
        let polled = self.with_live(key, |live| {
            let polled = !(ending || live.aborted);
            live.polls += u64::from(polled);
            polled
        });
        if polled != Some(true) {
            return None;
        }
        self.handle.describe_callback(|| format!("a poll of {}", self.describe(key)));
        Some(Polling { executor: self, before: self.running.replace(key.number()) })
    }

    pub(super) fn remote(&self) -> &Remote {
        self.injector.remote()
    }

    pub(super) fn abort(&self, key: TableKey) {
        let waker = self.with_live(key, |live| {
            live.aborted = true;
            live.waker.clone()
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The task's future is dropped.
    pub(super) fn finished(&self, key: TableKey) {
        let mut all = self.live.borrow_mut();
        let (live, is_last) = (all.remove(key), all.len() == 0);
        drop(all);
        drop(live);
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
        let wakers: Vec<_> = self.live.borrow().iter().map(|(_, live)| live.waker.clone()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The loop has ended. The tasks that live are dropped here, on its thread, before anybody else could drop them.
    ///
    /// A thread that is just waking a task may have taken it and not yet put it into the list; it is waited for,
    /// because it must not be the one that drops the task.
    pub(crate) fn end(&self) {
        self.ending.set(true);
        self.wake_all();
        while self.live.borrow().len() > 0 {
            let woken = self.injector.take();
            if woken.is_empty() {
                std::thread::yield_now();
            }
            for runnable in woken {
                runnable.run();
            }
        }
    }
}

/// While it lives, its task is the one that is being polled.
pub(super) struct Polling<'a> {
    executor: &'a Executor,
    before: u64,
}

impl Drop for Polling<'_> {
    #[inline]
    fn drop(&mut self) {
        self.executor.running.set(self.before);
    }
}
