//! A task: one allocation, which its wakers, its handle, its executor and the ready queue share.
//!
//! ```text
//!             wake, on any thread              the loop's thread
//!  waiting ----------------------> queued -----------------------> polled ----> ended
//!     ^                               ^                               |
//!     |                               +--- pending, woken meanwhile --+
//!     +------------------------------------ pending ------------------+
//! ```
//!
//! Whatever ends it, its output, an abort or the end of its loop, drops the future first, takes the task off the executor's
//! list then, and tells who awaits it last.
//!
//! # Rules
//!
//! * **J1** A cell is made in its `Arc` and never taken out of it, so what is in it does not move.
//! * **J2** An output is put down on the loop's thread, and taken there or by the task's [`JoinHandle`], which is `Send` only if
//!   the output is. What is left when the handle is dropped is taken by that drop.
//! * **J3** An output that nobody took, because the handle was forgotten, is leaked: the last waker may be dropped on any thread.
//!
//! [`JoinHandle`]: super::JoinHandle
#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;
use pin_project_lite::pin_project;

use super::bound::Bound;
use super::contain;
use super::executor::Executor;
use super::identity::Polled;
use super::join::Ended;
use super::live::Header;
use super::report;
use super::spans::Traced;

/// What the parts of a task share.
struct TaskCell<F: Future> {
    header: Header,
    home: Bound<Home<F>>,
    join: Mutex<Join<F::Output>>,
}

pin_project! {
    /// What belongs to the loop's thread. Dropped as soon as the task ends: what the future holds must not wait for the last
    /// waker.
    struct Home<F> {
        #[pin]
        future: F,
        // Closed before the task leaves the list.
        traced: Traced,
        // The task's own, so that no poll has to make one.
        waker: Waker,
        executor: Rc<Executor>,
    }
}

/// What the task and its handle have in common.
struct Join<T> {
    output: Output<T>,
    has_ended: bool,
    /// The handle is gone.
    is_detached: bool,
    /// Who awaits the task.
    awaiter: Option<Waker>,
}

/// How the task ended, until somebody takes it.
struct Output<T>(ManuallyDrop<Option<Result<T, Ended>>>);

// SAFETY: by J2 and J3 other threads neither take nor drop what may not be sent to them.
unsafe impl<T> Send for Output<T> {}

/// A task, for its loop.
pub(super) trait Run: Send + Sync {
    fn header(&self) -> &Header;

    fn wake(self: Arc<Self>);

    /// Polls it, or ends it if it is to end. On another thread than its loop's nothing happens.
    fn run(self: Arc<Self>);

    /// Ends it without another poll.
    fn cancel(&self);
}

/// A task, for its handle.
pub(super) trait Joined<T>: Send + Sync {
    fn header(&self) -> &Header;

    fn has_ended(&self) -> bool;

    /// Takes the output, or has who polls woken when there is one. `None` if it was taken before.
    fn poll_output(&self, context: &Context<'_>) -> Poll<Option<Result<T, Ended>>>;

    /// The handle is dropped.
    fn detach(&self);
}

/// Makes a task, for its loop and for its handle. It counts as queued, and the caller puts it into the ready queue.
pub(super) fn new_task<F>(
    header: Header,
    future: F,
    executor: Rc<Executor>,
) -> (Arc<dyn Run>, Arc<dyn Joined<F::Output>>)
where
    F: Future + 'static,
    F::Output: 'static,
{
    let traced = Traced::new(header.key.number(), header.name.as_deref(), header.place);
    let home = Bound::new(Home { future, traced, waker: Waker::noop().clone(), executor });
    let output = Output(ManuallyDrop::new(None));
    let join = Mutex::new(Join { output, has_ended: false, is_detached: false, awaiter: None });
    let cell = Arc::new(TaskCell { header, home, join });
    let waker = Waker::from(Arc::clone(&cell));
    cell.at_home(|home| *home.project().waker = waker);
    (Arc::clone(&cell) as Arc<dyn Run>, cell)
}

impl<F> TaskCell<F>
where
    F: Future,
    F::Output: 'static,
{
    #[inline]
    fn at_home<R>(&self, work: impl FnOnce(Pin<&mut Home<F>>) -> R) -> Option<R> {
        // SAFETY: J1.
        unsafe { self.home.with_pinned(work) }
    }

    /// The task has ended.
    fn end(&self, outcome: Result<F::Output, Ended>) {
        let Some(executor) = self.home.with(|home| Rc::clone(&home.executor)) else { return };
        let outcome = match (outcome, contain(|| self.home.clear())) {
            // The first panic is the one that is told of.
            (outcome, Ok(())) | (outcome @ Err(Ended::Panicked(_)), Err(_)) => outcome,
            (outcome, Err(panic)) => {
                drop(contain(move || drop(outcome)));
                Err(Ended::Panicked(panic))
            }
        };
        self.header.end();
        executor.finished(self.header.key);
        self.tell(outcome);
    }

    /// Drops the waker of who awaits it no more.
    #[inline]
    fn discard(&self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        if let Err(panic) = contain(move || drop(waker)) {
            report::waker_panicked(panic, &self.header.origin());
        }
    }

    /// Gives the outcome to the handle, and wakes who awaits it.
    fn tell(&self, outcome: Result<F::Output, Ended>) {
        let mut join = self.join.lock();
        join.has_ended = true;
        if join.is_detached {
            drop(join);
            return report::unobserved(outcome, &self.header);
        }
        *join.output.0 = Some(outcome);
        let awaiter = join.awaiter.take();
        drop(join);
        if let Some(waker) = awaiter {
            // A waker is code of others.
            if let Err(panic) = contain(move || waker.wake()) {
                report::waker_panicked(panic, &self.header.origin());
            }
        }
    }
}

impl<F> Home<F>
where
    F: Future,
{
    fn poll(self: Pin<&mut Self>, header: &Header) -> Poll<Result<F::Output, Ended>> {
        let home = self.project();
        let Some(_polling) = home.executor.begin_poll(header) else {
            return Poll::Ready(Err(Ended::Aborted));
        };
        let _polled = Polled::with(home.waker);
        let context = &mut Context::from_waker(home.waker);
        let polled = contain(|| home.traced.poll(context, |context| home.future.poll(context)));
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(Ended::Panicked(panic))),
        }
    }
}

impl<F> Run for TaskCell<F>
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn header(&self) -> &Header {
        &self.header
    }

    fn wake(self: Arc<Self>) {
        Wake::wake(self);
    }

    fn run(self: Arc<Self>) {
        self.header.begin_turn();
        match self.at_home(|home| home.poll(&self.header)) {
            Some(Poll::Pending) => {
                if self.header.end_turn() {
                    super::injector::schedule(self);
                }
            }
            Some(Poll::Ready(outcome)) => self.end(outcome),
            None => self.header.end(),
        }
    }

    fn cancel(&self) {
        self.end(Err(Ended::Aborted));
    }
}

impl<F> Joined<F::Output> for TaskCell<F>
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn header(&self) -> &Header {
        &self.header
    }

    fn has_ended(&self) -> bool {
        self.join.lock().has_ended
    }

    fn poll_output(&self, context: &Context<'_>) -> Poll<Option<Result<F::Output, Ended>>> {
        let waker = context.waker();
        let mut join = self.join.lock();
        if join.has_ended {
            return Poll::Ready(join.output.0.take());
        }
        if join.awaiter.as_ref().is_some_and(|known| known.will_wake(waker)) {
            return Poll::Pending;
        }
        drop(join);
        // To clone a waker, and to drop the one before, is to call code of others. The task may end meanwhile.
        let fresh = waker.clone();
        let mut join = self.join.lock();
        let (left, polled) = match join.has_ended {
            true => (Some(fresh), Poll::Ready(join.output.0.take())),
            false => (join.awaiter.replace(fresh), Poll::Pending),
        };
        drop(join);
        self.discard(left);
        polled
    }

    fn detach(&self) {
        let mut join = self.join.lock();
        join.is_detached = true;
        let (output, awaiter) = (join.output.0.take(), join.awaiter.take());
        drop(join);
        self.discard(awaiter);
        if let Some(outcome) = output {
            report::unobserved(outcome, &self.header);
        }
    }
}

impl<F> Wake for TaskCell<F>
where
    F: Future + 'static,
    F::Output: 'static,
{
    #[inline]
    fn wake(self: Arc<Self>) {
        if self.header.wake() {
            super::injector::schedule(self);
        }
    }

    #[inline]
    fn wake_by_ref(self: &Arc<Self>) {
        if self.header.wake() {
            super::injector::schedule(Arc::clone(self) as Arc<dyn Run>);
        }
    }
}
