//! Until a moment.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use marline_reactor::{DebugMode, Handle, Instant, Remote, Timer};
use parking_lot::Mutex;

use crate::local::Local;
use crate::mail;
use crate::table::{Table, TableKey};
use crate::wake::{attempt, discard, wake};

/// The sleeps of a loop that wait.
pub(crate) type Sleepers = Table<Sleeper>;

pub(crate) struct Sleeper {
    waker: Option<Waker>,
    timer: Option<Timer>,
}

/// Waits for `delay`, never less. The resolution is that of the loop's [timers](Timer).
///
/// It begins now, not when first polled; made where no loop runs (as the argument of [`run`](crate::run)), it begins when a
/// loop first polls it. A delay too long to express means for ever.
///
/// ```
/// # marline_tasks::run(async {
/// marline_tasks::sleep(std::time::Duration::from_millis(1)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[track_caller]
pub fn sleep(delay: Duration) -> Sleep {
    match current() {
        Some(handle) => Sleep::new(handle.now() + delay, Some(&handle), None),
        None => Sleep::new(Instant::FAR, None, Some((delay, Location::caller()))),
    }
}

/// Waits until `deadline`, on the clock of the loop that runs here; made where none does, of the loop that first polls it.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::new(deadline, current().as_ref(), None)
}

/// The future of [`sleep`].
///
/// It is plain data, `Send` and `Sync`, and belongs to the loop that it was made on. Polled on another thread it
/// registers there through the loop's [`Remote`]. Made without a loop, it belongs to the first that polls it. Where no loop
/// polls it, and when its loop has ended, it waits for ever.
///
/// # Cancellation
///
/// Dropping it takes the timer back, on whatever thread.
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    deadline: Instant,
    /// How long it is to wait once a loop polls it, and where it was made. `None` if its deadline is known.
    not_begun: Option<(Duration, &'static Location<'static>)>,
    /// `None` as long as it belongs to no loop.
    remote: Option<Remote>,
    state: State,
}

enum State {
    Idle,
    /// Registered on its loop's thread.
    Here(TableKey),
    /// Registered from another thread.
    Elsewhere(Arc<Mutex<Distant>>),
    Done,
}

/// What a sleep on another thread shares with its loop.
struct Distant {
    waker: Option<Waker>,
    fired: bool,
    key: Option<TableKey>,
    dropped: bool,
}

impl Sleep {
    fn new(
        deadline: Instant,
        on: Option<&Handle>,
        not_begun: Option<(Duration, &'static Location<'static>)>,
    ) -> Self {
        Self { deadline, not_begun, remote: on.map(Handle::remote), state: State::Idle }
    }

    /// Belongs from now on to the loop that runs here, if one does.
    fn begin(&mut self) {
        let Some(handle) = current() else {
            if let (Some((_, place)), Some(_)) = (self.not_begun, DebugMode::from_env()) {
                tracing::warn!("the sleep made at {place} waits for ever: no loop runs where it is polled");
            }
            return;
        };
        self.remote = Some(handle.remote());
        if let Some((delay, _)) = self.not_begun.take() {
            self.deadline = handle.now() + delay;
        }
    }

    /// When it ends, on its loop's clock. [`Instant::FAR`] if it was made by [`sleep`] without a loop, and none has polled it
    /// yet.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What time it is, on its loop's thread.
    pub(super) fn now(&self) -> Option<Instant> {
        Some(self.remote.as_ref()?.local()?.now())
    }

    /// Lets it end at another time, and wait again if it had ended.
    pub fn reset(&mut self, deadline: Instant) {
        self.unregister();
        self.deadline = deadline;
        self.not_begun = None;
        self.state = State::Idle;
    }

    fn poll_here(&mut self, handle: &Handle, context: &Context<'_>) -> Poll<()> {
        let Some(local) = Local::of(handle) else { return Poll::Pending };
        if let State::Here(key) = self.state {
            let waits =
                attempt(context, "a sleep", |visitor| match local.sleepers.borrow_mut().get_mut(key) {
                    Some(sleeper) => visitor.keep_in(&mut sleeper.waker).map(|()| true),
                    None => Some(false),
                });
            return if waits { Poll::Pending } else { self.done() };
        }
        if handle.now() >= self.deadline {
            ready!(local.executor.allowance.poll_use(context));
            return self.done();
        }
        let key = register(&local, handle, self.deadline, context.waker().clone());
        self.state = State::Here(key);
        Poll::Pending
    }

    fn done(&mut self) -> Poll<()> {
        self.state = State::Done;
        Poll::Ready(())
    }

    fn poll_elsewhere(&mut self, remote: &Remote, context: &Context<'_>) -> Poll<()> {
        if let State::Elsewhere(distant) = &self.state {
            let waits = attempt(context, "a sleep", |visitor| {
                let mut shared = distant.lock();
                if shared.fired { Some(false) } else { visitor.keep_in(&mut shared.waker).map(|()| true) }
            });
            return if waits { Poll::Pending } else { self.done() };
        }
        let waker = Some(context.waker().clone());
        let distant = Arc::new(Mutex::new(Distant { waker, fired: false, key: None, dropped: false }));
        let (there, shared, deadline) = (remote.clone(), Arc::clone(&distant), self.deadline);
        _ = mail::send(remote, move || register_distant(&there, &shared, deadline));
        self.state = State::Elsewhere(distant);
        Poll::Pending
    }

    fn unregister(&mut self) {
        match (std::mem::replace(&mut self.state, State::Done), &self.remote) {
            (State::Here(key), Some(remote)) => forget(remote, key),
            (State::Elsewhere(distant), Some(remote)) => {
                let mut shared = distant.lock();
                shared.dropped = true;
                let (key, waker) = (shared.key, shared.waker.take());
                drop(shared);
                if let Some(key) = key {
                    forget(remote, key);
                }
                discard(waker, "a sleep");
            }
            _ => {}
        }
    }
}

/// Their loop has ended: they wait for ever.
pub(crate) fn end(sleepers: Sleepers) {
    sleepers.into_values().for_each(|sleeper| discard(sleeper.waker, "a sleep"));
}

/// The loop that runs here, with what this crate keeps in it, so that it can be reached from another thread.
fn current() -> Option<Handle> {
    Handle::current().ok().filter(|handle| Local::of(handle).is_some())
}

fn register(local: &Local, handle: &Handle, deadline: Instant, waker: Waker) -> TableKey {
    let key = local.sleepers.borrow_mut().insert(Sleeper { waker: Some(waker), timer: None });
    let remote = handle.loop_id();
    let timer = handle.call_at(deadline, move || {
        let local = Handle::find(remote).and_then(|handle| Local::of(&handle));
        let sleeper = local.and_then(|local| local.sleepers.borrow_mut().remove(key));
        if let Some(waker) = sleeper.and_then(|sleeper| sleeper.waker) {
            wake(waker, "a sleep");
        }
    });
    if let Some(sleeper) = local.sleepers.borrow_mut().get_mut(key) {
        sleeper.timer = Some(timer);
    }
    key
}

/// On the loop's thread, for a sleep on another one: the waker that the timer wakes is found through what they share.
fn register_distant(remote: &Remote, shared: &Arc<Mutex<Distant>>, deadline: Instant) {
    let Some(handle) = remote.local() else { return };
    let Some(local) = Local::of(&handle) else { return };
    let mut distant = shared.lock();
    if distant.dropped {
        return;
    }
    let waker = Waker::from(Arc::new(Relay { shared: Arc::clone(shared) }));
    distant.key = Some(register(&local, &handle, deadline, waker));
}

/// Wakes whoever polls the distant sleep now.
struct Relay {
    shared: Arc<Mutex<Distant>>,
}

impl std::task::Wake for Relay {
    fn wake(self: Arc<Self>) {
        let mut shared = self.shared.lock();
        shared.fired = true;
        let waker = shared.waker.take();
        drop(shared);
        if let Some(waker) = waker {
            wake(waker, "a sleep");
        }
    }
}

/// Takes a registration back, on whatever thread.
fn forget(remote: &Remote, key: TableKey) {
    if let Some(local) = Local::find(remote) {
        let sleeper = local.sleepers.borrow_mut().remove(key);
        if let Some(Sleeper { waker, timer }) = sleeper {
            timer.iter().for_each(|timer| _ = timer.cancel());
            discard(waker, "a sleep");
        }
        return;
    }
    let there = remote.clone();
    // If the loop is gone, so is the timer.
    _ = mail::send(remote, move || {
        if there.local().is_some() {
            forget(&there, key);
        }
    });
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if matches!(self.state, State::Done) {
            return Poll::Ready(());
        }
        if self.remote.is_none() {
            self.begin();
        }
        let Some(remote) = self.remote.clone() else { return Poll::Pending };
        match remote.local() {
            Some(handle) if !matches!(self.state, State::Elsewhere(_)) => self.poll_here(&handle, context),
            Some(_) => self.poll_elsewhere(&remote, context),
            None if matches!(self.state, State::Here(_)) => {
                // It moved to another thread after it was registered here.
                self.unregister();
                self.state = State::Idle;
                self.poll_elsewhere(&remote, context)
            }
            None => self.poll_elsewhere(&remote, context),
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.unregister();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
