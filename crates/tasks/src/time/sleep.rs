//! Until a moment.

use std::fmt;
use std::num::NonZeroU64;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use marline_reactor::{DebugMode, Handle, Instant, LoopId, TimerKey};
use parking_lot::Mutex;

use crate::local::Local;
use crate::mail;
use crate::wake::{attempt, discard, wake};

/// Waits for `delay`, never less. The resolution is that of the loop's [timers](marline_reactor::Timer).
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
        Some(handle) => Sleep::new(handle.now() + delay, Home::new(&handle, delay)),
        None => Sleep::new(Instant::FAR, Home::None(Some((delay, Location::caller())))),
    }
}

/// Waits until `deadline`, on the clock of the loop that runs here; made where none does, of the loop that first polls it.
pub fn sleep_until(deadline: Instant) -> Sleep {
    let home = current().map_or(Home::None(None), |handle| Home::new(&handle, Duration::ZERO));
    Sleep::new(deadline, home)
}

/// The future of [`sleep`].
///
/// It is plain data, `Send` and `Sync`, and belongs to the loop that it was made on. Polled on another thread it
/// registers there through the loop's [`Remote`](marline_reactor::Remote). Made without a loop, it belongs to the first that polls it. Where no loop
/// polls it, and when its loop has ended, it waits for ever.
///
/// # Cancellation
///
/// Dropping it takes the timer back, on whatever thread.
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    deadline: Instant,
    home: Home,
    state: State,
}

/// Which loop a sleep belongs to.
#[derive(Clone, Copy)]
enum Home {
    /// To none yet: how long it is to wait once a loop polls it, and where it was made, unless its deadline is known.
    None(Option<(Duration, &'static Location<'static>)>),
    /// To this one. A number costs nothing to copy, and most sleeps are dropped before their end.
    Loop {
        id: LoopId,
        /// In which step of the loop the deadline lay ahead: in that, the clock need not be asked again.
        ahead: Option<NonZeroU64>,
    },
}

impl Home {
    fn new(handle: &Handle, delay: Duration) -> Self {
        let ahead = if delay.is_zero() { None } else { NonZeroU64::new(handle.step()) };
        Self::Loop { id: handle.loop_id(), ahead }
    }
}

enum State {
    Idle,
    /// Registered on its loop's thread.
    Here(Registered),
    /// Registered from another thread.
    Elsewhere(Arc<Mutex<Distant>>),
    Done,
}

/// A timer that wakes somebody.
#[derive(Clone, Copy)]
struct Registered {
    timer: TimerKey,
    /// Whom. The timer holds the waker, so no other has its name as long as the timer is to run.
    waker: WakerName,
}

/// Tells wakers from each other, as [`Waker::will_wake`] does.
#[derive(Clone, Copy, PartialEq, Eq)]
struct WakerName {
    data: usize,
    vtable: usize,
}

impl WakerName {
    fn of(waker: &Waker) -> Self {
        Self { data: waker.data().addr(), vtable: std::ptr::from_ref(waker.vtable()).addr() }
    }
}

/// A waker that waits for its timer. It is code of others to drop, too.
struct Waiter(Option<Waker>);

impl Waiter {
    fn wake(mut self) {
        if let Some(waker) = self.0.take() {
            wake(waker, "a sleep");
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        discard(self.0.take(), "a sleep");
    }
}

/// What a sleep on another thread shares with its loop.
struct Distant {
    waker: Option<Waker>,
    fired: bool,
    timer: Option<TimerKey>,
    dropped: bool,
}

impl Sleep {
    const fn new(deadline: Instant, home: Home) -> Self {
        Self { deadline, home, state: State::Idle }
    }

    /// The loop that it belongs to. If it belongs to none yet, it does from now on to the one that runs here, if one does.
    fn home(&mut self) -> Option<LoopId> {
        let not_begun = match self.home {
            Home::Loop { id, .. } => return Some(id),
            Home::None(not_begun) => not_begun,
        };
        let Some(handle) = current() else {
            if let (Some((_, place)), Some(_)) = (not_begun, DebugMode::from_env()) {
                tracing::warn!("the sleep made at {place} waits for ever: no loop runs where it is polled");
            }
            return None;
        };
        let delay = not_begun.map_or(Duration::ZERO, |(delay, _)| delay);
        if not_begun.is_some() {
            self.deadline = handle.now() + delay;
        }
        self.home = Home::new(&handle, delay);
        Some(handle.loop_id())
    }

    /// When it ends, on its loop's clock. [`Instant::FAR`] if it was made by [`sleep`] without a loop, and none has polled it
    /// yet.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What time it is, on its loop's thread.
    pub(super) fn now(&self) -> Option<Instant> {
        let Home::Loop { id, .. } = self.home else { return None };
        Some(Handle::find(id)?.now())
    }

    /// Lets it end at another time, and wait again if it had ended.
    pub fn reset(&mut self, deadline: Instant) {
        self.unregister();
        self.deadline = deadline;
        self.home = match self.home {
            Home::Loop { id, .. } => Home::Loop { id, ahead: None },
            Home::None(_) => Home::None(None),
        };
        self.state = State::Idle;
    }

    fn poll_here(&mut self, handle: &Handle, context: &Context<'_>) -> Poll<()> {
        let waker = context.waker();
        if let State::Here(registered) = self.state {
            let timer = handle.timer(registered.timer);
            if timer.deadline().is_none() {
                // It has run, unless the loop is over.
                return if handle.is_over() { Poll::Pending } else { self.done() };
            }
            let name = WakerName::of(waker);
            if registered.waker != name {
                // The timer stays where it is: a task whose waker changes from poll to poll would put it off for ever, if each
                // waker had to wait for its own turn.
                let waiter = Waiter(Some(waker.clone()));
                timer.exchange(move || waiter.wake());
                self.state = State::Here(Registered { waker: name, ..registered });
            }
            return Poll::Pending;
        }
        if !self.is_ahead(handle) && handle.now() >= self.deadline {
            let Some(local) = Local::of(handle) else { return Poll::Pending };
            ready!(local.executor.allowance.poll_use(context));
            return self.done();
        }
        self.state = State::Here(register(handle, self.deadline, waker.clone()));
        Poll::Pending
    }

    /// Whether its deadline was seen to lie ahead just now.
    fn is_ahead(&self, handle: &Handle) -> bool {
        let now = NonZeroU64::new(handle.step());
        matches!(self.home, Home::Loop { ahead, .. } if ahead.is_some() && ahead == now)
    }

    fn done(&mut self) -> Poll<()> {
        self.state = State::Done;
        Poll::Ready(())
    }

    fn poll_elsewhere(&mut self, home: LoopId, context: &Context<'_>) -> Poll<()> {
        if let State::Elsewhere(distant) = &self.state {
            let waits = attempt(context, "a sleep", |visitor| {
                let mut shared = distant.lock();
                if shared.fired { Some(false) } else { visitor.keep_in(&mut shared.waker).map(|()| true) }
            });
            return if waits { Poll::Pending } else { self.done() };
        }
        let waker = Some(context.waker().clone());
        let distant = Arc::new(Mutex::new(Distant { waker, fired: false, timer: None, dropped: false }));
        let (shared, deadline) = (Arc::clone(&distant), self.deadline);
        _ = mail::send_to(home, move || register_distant(home, &shared, deadline));
        self.state = State::Elsewhere(distant);
        Poll::Pending
    }

    fn unregister(&mut self) {
        let Home::Loop { id, .. } = self.home else { return };
        match std::mem::replace(&mut self.state, State::Done) {
            State::Here(registered) => forget(id, registered.timer),
            State::Elsewhere(distant) => {
                let mut shared = distant.lock();
                shared.dropped = true;
                let (timer, waker) = (shared.timer, shared.waker.take());
                drop(shared);
                if let Some(timer) = timer {
                    forget(id, timer);
                }
                discard(waker, "a sleep");
            }
            State::Idle | State::Done => {}
        }
    }
}

/// The loop that runs here, with what this crate keeps in it, so that it can be reached from another thread.
fn current() -> Option<Handle> {
    Handle::current().ok().filter(|handle| Local::of(handle).is_some())
}

fn register(handle: &Handle, deadline: Instant, waker: Waker) -> Registered {
    let (name, waiter) = (WakerName::of(&waker), Waiter(Some(waker)));
    let timer = handle.call_at(deadline, move || waiter.wake());
    Registered { timer: timer.key(), waker: name }
}

/// On the loop's thread, for a sleep on another one: the waker that the timer wakes is found through what they share.
fn register_distant(home: LoopId, shared: &Arc<Mutex<Distant>>, deadline: Instant) {
    let Some(handle) = Handle::find(home) else { return };
    let mut distant = shared.lock();
    if distant.dropped {
        return;
    }
    let waker = Waker::from(Arc::new(Relay { shared: Arc::clone(shared) }));
    distant.timer = Some(register(&handle, deadline, waker).timer);
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

/// Takes a timer back, on whatever thread.
fn forget(home: LoopId, timer: TimerKey) {
    if let Some(handle) = Handle::find(home) {
        handle.timer(timer).cancel();
        return;
    }
    // If the loop is gone, so is the timer.
    _ = mail::send_to(home, move || {
        if Handle::find(home).is_some() {
            forget(home, timer);
        }
    });
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if matches!(self.state, State::Done) {
            return Poll::Ready(());
        }
        let Some(home) = self.home() else { return Poll::Pending };
        match Handle::find(home) {
            Some(handle) if !matches!(self.state, State::Elsewhere(_)) => self.poll_here(&handle, context),
            Some(_) => self.poll_elsewhere(home, context),
            None if matches!(self.state, State::Here(_)) => {
                // It moved to another thread after it was registered here.
                self.unregister();
                self.state = State::Idle;
                self.poll_elsewhere(home, context)
            }
            None => self.poll_elsewhere(home, context),
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
