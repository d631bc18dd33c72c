//! A source that is none of the loop's own, awaited.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use marline_reactor::{Handle, Interest, Ready, Source, Watch, WatchError, WatchErrorKind};

use crate::local::Local;
use crate::wake::{attempt, discard, wake};

/// A descriptor, or another [`Source`], whose readiness can be awaited: what `AsyncFd` is elsewhere.
///
/// The loop owns the source while this lives; [`with`](Self::with) and [`io`](Self::io) lend it. It belongs to the loop's
/// thread, keeps the loop alive, and is not `Send`. Dropping it watches no more, and drops the source.
///
/// Any number of tasks may wait, for either direction; all are woken. Each wait costs one registration call.
///
/// ```
/// use marline_tasks::{Watched, spawn};
/// use marline_reactor::Interest;
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// # marline_tasks::run(async {
/// let (mut far, near) = UnixStream::pair()?;
/// near.set_nonblocking(true)?;
/// let near = Watched::new(near)?;
/// let reader = spawn(async move {
///     let mut bytes = [0; 16];
///     let count = near.io(Interest::READABLE, |near| near.read(&mut bytes)).await?;
///     Ok::<_, std::io::Error>(bytes[..count].to_vec())
/// });
/// far.write_all(b"hello")?;
/// assert_eq!(reader.await??, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Watched<S: Source> {
    shared: Rc<Shared<S>>,
}

struct Shared<S> {
    watch: OnceCell<Watch<S>>,
    waiters: RefCell<Vec<Waiter>>,
    tickets: Cell<u64>,
    /// The loop watches it no more.
    gone: Cell<bool>,
}

struct Waiter {
    ticket: u64,
    interest: Interest,
    /// `None` if it was woken and has not come yet.
    waker: Option<Waker>,
    ready: Ready,
}

impl<S: Source> Watched<S> {
    /// Watches `source` on the loop that runs here.
    ///
    /// # Errors
    ///
    /// As [`Handle::watch`], and `NotInLoop`.
    pub fn new(source: S) -> Result<Self, WatchError<S>> {
        match Handle::current() {
            Ok(handle) => Self::on(&handle, source),
            Err(_) => Err(WatchError::new(source, WatchErrorKind::NotInLoop)),
        }
    }

    /// Watches `source` on this loop.
    ///
    /// # Errors
    ///
    /// As [`Handle::watch`].
    pub fn on(handle: &Handle, source: S) -> Result<Self, WatchError<S>> {
        let shared = Rc::new(Shared {
            watch: OnceCell::new(),
            waiters: RefCell::default(),
            tickets: Cell::new(0),
            gone: Cell::new(false),
        });
        let told = Told(Rc::clone(&shared));
        // The interest is that of those who wait. This first one finds out whether the source can be watched.
        let watch =
            handle.watch(source, Interest::READABLE.edge(), move |_: &mut S, ready| told.0.tell(ready))?;
        // It is empty, so this cannot fail.
        drop(shared.watch.set(watch));
        Ok(Self { shared })
    }

    /// Waits until it can be read. It may turn out that it cannot after all: wait again then.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the loop watches it no more; the system's if it refuses.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing: what is ready stays so.
    pub fn readable(&self) -> WaitReady<'_, S> {
        self.ready(Interest::READABLE)
    }

    /// Waits until it can be written. Otherwise as [`readable`](Self::readable).
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    pub fn writable(&self) -> WaitReady<'_, S> {
        self.ready(Interest::WRITABLE)
    }

    /// Waits until it is ready for something in `interest`, which is not empty. Otherwise as [`readable`](Self::readable).
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    pub fn ready(&self, interest: Interest) -> WaitReady<'_, S> {
        WaitReady { shared: &self.shared, interest, ticket: None }
    }

    /// Lends the source to `call`. `None` if the loop watches it no more, or it is lent already.
    pub fn with<R>(&self, call: impl FnOnce(&mut S) -> R) -> Option<R> {
        self.shared.watch.get()?.with(call)
    }

    /// Calls `call` with the source until it answers something else than `WouldBlock`, and waits in between. The source
    /// has to be non-blocking.
    ///
    /// # Errors
    ///
    /// Those of `call`, and those of [`readable`](Self::readable).
    ///
    /// # Cancellation
    ///
    /// `call` was made and its outcome returned, or it did nothing.
    pub async fn io<R>(
        &self,
        interest: Interest,
        mut call: impl FnMut(&mut S) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            poll_fn(share).await;
            match self.with(&mut call) {
                None => return Err(gone()),
                Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                Some(outcome) => return outcome,
            }
            self.ready(interest).await?;
        }
    }

    /// Watches no more, and gives the source back. `None` if the loop dropped it, at its end or during a shutdown.
    #[must_use]
    pub fn into_inner(self) -> Option<S> {
        self.shared.watch.get()?.remove()
    }
}

/// A source that is always ready leaves others their turn.
fn share(context: &mut Context<'_>) -> Poll<()> {
    match Handle::current().ok().and_then(|handle| Local::of(&handle)) {
        Some(local) => local.executor.allowance.poll_use(context),
        None => Poll::Ready(()),
    }
}

impl<S: Source> Drop for Watched<S> {
    fn drop(&mut self) {
        if let Some(watch) = self.shared.watch.get() {
            drop(watch.remove());
        }
    }
}

impl<S: Source> fmt::Debug for Watched<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("watch", &self.shared.watch.get()).finish()
    }
}

/// What the callback has of it. It is dropped when the loop watches no more, and then nobody shall wait.
struct Told<S: Source>(Rc<Shared<S>>);

impl<S: Source> Drop for Told<S> {
    fn drop(&mut self) {
        self.0.gone.set(true);
        self.0.wake(|_| true);
    }
}

impl<S: Source> Shared<S> {
    fn tell(&self, ready: Ready) {
        self.wake(|waiter| {
            waiter.ready |= ready.concerning(waiter.interest);
            !waiter.ready.is_empty()
        });
    }

    /// Wakes those whom `choose` names, when nothing is borrowed any more.
    fn wake(&self, mut choose: impl FnMut(&mut Waiter) -> bool) {
        let mut wakers = Vec::new();
        for waiter in &mut *self.waiters.borrow_mut() {
            if choose(waiter) {
                wakers.extend(waiter.waker.take());
            }
        }
        wakers.into_iter().for_each(|waker| wake(waker, "a source"));
    }

    /// Begins to wait, and asks the loop for the present state.
    fn begin(&self, interest: Interest, waker: Waker) -> io::Result<u64> {
        let ticket = self.tickets.get() + 1;
        self.tickets.set(ticket);
        let mut waiters = self.waiters.borrow_mut();
        waiters.push(Waiter { ticket, interest, waker: Some(waker), ready: Ready::EMPTY });
        let wanted = waiters.iter().fold(Interest::EMPTY, |wanted, waiter| wanted | waiter.interest);
        drop(waiters);
        let watch = self.watch.get().ok_or_else(gone)?;
        match watch.set_interest(wanted.edge()) {
            Ok(()) => Ok(ticket),
            Err(error) => {
                self.leave(ticket);
                Err(if error.is_gone() { gone() } else { io::Error::other(error) })
            }
        }
    }

    /// Waits no more: what it was ready for.
    fn leave(&self, ticket: u64) -> Ready {
        let mut waiters = self.waiters.borrow_mut();
        let place = waiters.iter().position(|waiter| waiter.ticket == ticket);
        let waiter = place.map(|place| waiters.swap_remove(place));
        drop(waiters);
        let Some(Waiter { waker, ready, .. }) = waiter else { return Ready::EMPTY };
        discard(waker, "a source");
        ready
    }

    /// Whether it is ready, for whom it concerns. If not, it goes on waiting.
    fn is_ready(&self, ticket: u64, context: &Context<'_>) -> bool {
        attempt(context, "a source", |visitor| {
            let mut waiters = self.waiters.borrow_mut();
            match waiters.iter_mut().find(|waiter| waiter.ticket == ticket) {
                Some(waiter) if waiter.ready.is_empty() => visitor.keep_in(&mut waiter.waker).map(|()| false),
                _ => Some(true),
            }
        })
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the loop does not watch this source any more")
}

/// The future of [`Watched::readable`], [`writable`](Watched::writable) and [`ready`](Watched::ready).
#[must_use = "futures do nothing unless awaited"]
pub struct WaitReady<'a, S: Source> {
    shared: &'a Rc<Shared<S>>,
    interest: Interest,
    ticket: Option<u64>,
}

impl<S: Source> Future for WaitReady<'_, S> {
    type Output = io::Result<Ready>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let shared = self.shared;
        if shared.gone.get() {
            return Poll::Ready(Err(gone()));
        }
        let Some(ticket) = self.ticket else {
            return match shared.begin(self.interest, context.waker().clone()) {
                Ok(ticket) => {
                    self.ticket = Some(ticket);
                    Poll::Pending
                }
                Err(error) => Poll::Ready(Err(error)),
            };
        };
        if shared.is_ready(ticket, context) {
            self.ticket = None;
            return Poll::Ready(Ok(shared.leave(ticket)));
        }
        // It may have ended while the waker was cloned.
        if shared.gone.get() { Poll::Ready(Err(gone())) } else { Poll::Pending }
    }
}

impl<S: Source> Drop for WaitReady<'_, S> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.shared.leave(ticket);
        }
    }
}

impl<S: Source> fmt::Debug for WaitReady<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitReady").field("interest", &self.interest).finish_non_exhaustive()
    }
}
