//! The signal that everybody waits for.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use marline_reactor::{Handle, Remote, SignalError, SignalHandler, SignalKind};

use super::WHAT;
use crate::error::WrongThread;
use crate::local::Local;
use crate::wake::{attempt, discard, wake};

/// The Ctrl-Cs of a loop. They are counted, so that whoever waits can say which of them it has not seen.
#[derive(Default)]
pub(super) struct Interrupts {
    handler: Option<SignalHandler>,
    came: u64,
    /// The last one that was told to somebody.
    told: u64,
    tickets: u64,
    waiters: Vec<Waiter>,
}

struct Waiter {
    ticket: u64,
    /// `None` if it was woken and has not come yet.
    waker: Option<Waker>,
}

impl Interrupts {
    pub(super) fn into_wakers(self) -> impl Iterator<Item = Waker> {
        self.waiters.into_iter().filter_map(|waiter| waiter.waker)
    }
}

/// Waits for a Ctrl-C (SIGINT).
///
/// From the first time on that this is polled in a loop, and until the loop ends, a Ctrl-C does not end the program any
/// more, also while nobody waits. One that came while nobody waited is told to whoever asks next. Everybody who waits is
/// told of the same one. A program that is to be ended by a second Ctrl-C, whatever it does, uses
/// [`signal`](crate::signal) and drops what that gave when the first has come.
///
/// ```no_run
/// # async fn serve() {}
/// marline_tasks::run(async {
///     let server = marline_tasks::spawn(serve());
///     marline_tasks::ctrl_c().await?;
///     server.abort();
///     Ok::<(), std::io::Error>(())
/// })
/// # .unwrap();
/// ```
///
/// # Errors
///
/// As [`signal`](crate::signal), as [`io::Error`]s; also on another thread than the one that polled it first, and after
/// the end of the loop.
///
/// # Cancellation
///
/// A Ctrl-C that a dropped future did not return is returned to whoever waits next.
pub fn ctrl_c() -> CtrlC {
    CtrlC { waits: None }
}

/// The future of [`ctrl_c`]. Polled again after its end, it waits for the next one.
#[must_use = "futures do nothing unless awaited"]
pub struct CtrlC {
    /// `None` if it has not begun.
    waits: Option<Waits>,
}

struct Waits {
    remote: Remote,
    ticket: u64,
    /// The last one that it does not wait for.
    seen: u64,
}

impl CtrlC {
    /// Begins to wait, on the loop that runs here.
    fn begin(&mut self) -> Result<&mut Waits, SignalError> {
        if self.waits.is_none() {
            let handle = Handle::current().map_err(|_| SignalError::NotInLoop)?;
            let local = Local::of(&handle).ok_or(SignalError::Over)?;
            watch(&handle, &local)?;
            let mut interrupts = local.waiting.interrupts.borrow_mut();
            interrupts.tickets += 1;
            let (ticket, seen) = (interrupts.tickets, interrupts.told);
            interrupts.waiters.push(Waiter { ticket, waker: None });
            self.waits = Some(Waits { remote: handle.remote(), ticket, seen });
        }
        // Just now it was put there.
        self.waits.as_mut().ok_or(SignalError::Over)
    }

    fn end(&mut self) {
        let Some(Waits { remote, ticket, .. }) = self.waits.take() else { return };
        // On another thread, what is left of it is forgotten with the loop.
        let Some(local) = Local::find(&remote) else { return };
        let mut interrupts = local.waiting.interrupts.borrow_mut();
        let place = interrupts.waiters.iter().position(|waiter| waiter.ticket == ticket);
        let waiter = place.map(|place| interrupts.waiters.swap_remove(place));
        drop(interrupts);
        discard(waiter.and_then(|waiter| waiter.waker), WHAT);
    }
}

/// Sees to it that Ctrl-C is counted.
fn watch(handle: &Handle, local: &Rc<Local>) -> Result<(), SignalError> {
    let is_watched = local.waiting.interrupts.borrow().handler.is_some();
    if is_watched {
        return Ok(());
    }
    let weak = Rc::downgrade(local);
    let handler = handle.on_signal(SignalKind::INTERRUPT, move || {
        if let Some(local) = Weak::upgrade(&weak) {
            came(&local);
        }
    })?;
    local.waiting.interrupts.borrow_mut().handler = Some(handler);
    Ok(())
}

fn came(local: &Local) {
    let mut interrupts = local.waiting.interrupts.borrow_mut();
    interrupts.came += 1;
    let wakers: Vec<_> = interrupts.waiters.iter_mut().filter_map(|waiter| waiter.waker.take()).collect();
    drop(interrupts);
    wakers.into_iter().for_each(|waker| wake(waker, WHAT));
}

impl Future for CtrlC {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waits = self.begin()?;
        let Some(local) = Local::find(&waits.remote) else {
            return Poll::Ready(Err(WrongThread::of("a wait for Ctrl-C", &waits.remote, None).into()));
        };
        let is_told = attempt(context, WHAT, |visitor| {
            let mut interrupts = local.waiting.interrupts.borrow_mut();
            if interrupts.came > waits.seen {
                interrupts.told = interrupts.came;
                return Some(true);
            }
            let waiter = interrupts.waiters.iter_mut().find(|waiter| waiter.ticket == waits.ticket);
            waiter.map_or(Some(false), |waiter| visitor.keep_in(&mut waiter.waker).map(|()| false))
        });
        if !is_told {
            return Poll::Pending;
        }
        self.end();
        Poll::Ready(Ok(()))
    }
}

impl Drop for CtrlC {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for CtrlC {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CtrlC").field("has_begun", &self.waits.is_some()).finish()
    }
}
