//! A task: one allocation, which its wakers, its handle, its executor and the ready queue share.
//!
//! ```text
//!             wake, on its thread                the loop
//!  waiting ----------------------> queued -----------------------> polled ----> ended
//!     ^                               ^                               |
//!     |                               +--- pending, woken meanwhile --+
//!     +------------------------------------ pending ------------------+
//! ```
//!
//! All of that is on the thread of its loop, its *home*. Other threads send letters (`injector`). Whatever ends it, its output,
//! an abort or the end of its loop, drops the future first, takes the task off the executor's list then, and tells who awaits it
//! last.
//!
//! # Rules
//!
//! * **J1** A [`TaskRef`] points to the header of a cell that [`TaskRef::new`] made, which lives until its [owners](Owners) say that
//!   the last is gone, and does not move. The functions of its `body` were made for the type of that cell.
//! * **J2** What is in a `Cell` of the header, and the stage until the task has ended, is touched at home only: the number of the
//!   thread is compared before, and no other thread of the process ever has the same.
//! * **J3** While the stage is lent, which `is_lent` says, nobody else touches it. The future in it is not moved before it is
//!   dropped.
//! * **J4** After `has_ended` was set, the output is the handle's, on whichever thread that is, or if that is gone, whoever was told
//!   so. A handle goes to other threads only if the output may.
#![allow(unsafe_code)]

mod waker;

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::pin::Pin;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::contain;
use super::executor::Executor;
use super::join::Ended;
use super::live::{Header, State};
use super::report;
use super::spans::Traced;
use waker::raw_waker;
pub(crate) use waker::{clone_of_task, wake_task, wake_task_next};

/// A task, from anywhere. Clones are the same task.
pub(super) struct TaskRef(NonNull<Header>);

// SAFETY: J2, J4: what other threads may not touch they do not touch.
unsafe impl Send for TaskRef {}
// SAFETY: as above.
unsafe impl Sync for TaskRef {}

/// What depends on the type of the future. All take a pointer to the header of a cell of that type, which lives (J1).
pub(super) struct Body {
    /// Polls, at home: whether it is done, and the outcome is there.
    poll: unsafe fn(NonNull<Header>) -> bool,
    /// Drops the future, at home, and puts this down as the outcome.
    end: unsafe fn(NonNull<Header>, Ended),
    /// Moves the outcome, if there is one, to an `Option<Result<F::Output, Ended>>`.
    take: unsafe fn(NonNull<Header>, *mut ()),
    /// Takes the outcome and reports it: nobody awaits the task.
    report: unsafe fn(NonNull<Header>),
    free: unsafe fn(NonNull<Header>),
}

#[repr(C)]
struct TaskCell<F: Future> {
    header: Header,
    stage: UnsafeCell<Stage<F>>,
}

enum Stage<F: Future> {
    Future {
        future: F,
        // Closed before the task leaves the list.
        traced: Traced,
    },
    Outcome(Result<F::Output, Ended>),
    Empty,
}

impl<F> TaskCell<F>
where
    F: Future + 'static,
    F::Output: 'static,
{
    const BODY: &Body =
        &Body { poll: Self::poll, end: Self::end, take: Self::take, report: Self::report, free: Self::free };

    /// The stage of the cell with this header.
    ///
    /// # Safety
    ///
    /// J1, with this type; and the caller is the one who may touch the stage (J2, J3, J4).
    #[inline]
    unsafe fn stage<'a>(header: NonNull<Header>) -> &'a mut Stage<F> {
        // SAFETY: as above; the header is at the beginning of the cell.
        unsafe { &mut *(*header.cast::<Self>().as_ptr()).stage.get() }
    }

    unsafe fn poll(header: NonNull<Header>) -> bool {
        // SAFETY: J1, J3: it is lent to this call.
        let stage = unsafe { Self::stage(header) };
        let Stage::Future { future, traced } = stage else { return true };
        // SAFETY: J3.
        let future = unsafe { Pin::new_unchecked(future) };
        // SAFETY: J1: the caller holds the task meanwhile, so that this waker need not count.
        let waker = ManuallyDrop::new(unsafe { Waker::from_raw(raw_waker(header)) });
        let context = &mut Context::from_waker(&waker);
        let outcome = match contain(|| traced.poll(context, |context| future.poll(context))) {
            Ok(Poll::Pending) => return false,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(panic) => Err(Ended::Panicked(panic)),
        };
        Self::put_down(stage, outcome);
        true
    }

    unsafe fn end(header: NonNull<Header>, ended: Ended) {
        // SAFETY: J1, J3: it is lent to this call.
        Self::put_down(unsafe { Self::stage(header) }, Err(ended));
    }

    /// Drops the future, and then keeps the outcome in its place.
    #[inline]
    fn put_down(stage: &mut Stage<F>, outcome: Result<F::Output, Ended>) {
        let outcome = match (outcome, contain(|| *stage = Stage::Empty)) {
            // The first panic is the one that is told of.
            (outcome, Ok(())) | (outcome @ Err(Ended::Panicked(_)), Err(_)) => outcome,
            (outcome, Err(panic)) => {
                drop(contain(move || drop(outcome)));
                Err(Ended::Panicked(panic))
            }
        };
        *stage = Stage::Outcome(outcome);
    }

    /// Takes the outcome out.
    ///
    /// # Safety
    ///
    /// J1, with this type, and J4.
    unsafe fn outcome(header: NonNull<Header>) -> Option<Result<F::Output, Ended>> {
        // SAFETY: as above.
        match mem::replace(unsafe { Self::stage(header) }, Stage::Empty) {
            Stage::Outcome(outcome) => Some(outcome),
            Stage::Future { .. } | Stage::Empty => None,
        }
    }

    unsafe fn take(header: NonNull<Header>, place: *mut ()) {
        // SAFETY: J4; the place is for that.
        unsafe { place.cast::<Option<Result<F::Output, Ended>>>().write(Self::outcome(header)) };
    }

    unsafe fn report(header: NonNull<Header>) {
        // SAFETY: J4.
        if let Some(outcome) = unsafe { Self::outcome(header) } {
            // SAFETY: J1.
            report::unobserved(outcome, unsafe { header.as_ref() });
        }
    }

    unsafe fn free(header: NonNull<Header>) {
        // SAFETY: J1: it was made by a `Box`, of which nobody knows any more. The future is dropped, and the outcome is taken by
        // its handle, which owned the cell.
        drop(unsafe { Box::from_raw(header.cast::<Self>().as_ptr()) });
    }
}

/// Makes a task: one hold on it for the list, one for the ready queue, and its handle.
pub(super) fn new_task<F>(
    make_header: impl FnOnce(&'static Body, usize) -> Header,
    future: F,
    traced: Traced,
) -> (TaskRef, TaskRef, Joined<F::Output>)
where
    F: Future + 'static,
    F::Output: 'static,
{
    let (header, stage) =
        (make_header(TaskCell::<F>::BODY, 3), UnsafeCell::new(Stage::Future { future, traced }));
    let cell = Box::into_raw(Box::new(TaskCell { header, stage }));
    // SAFETY: no box is at null. The header counts these three.
    let task = || TaskRef(unsafe { NonNull::new_unchecked(cell) }.cast());
    (task(), task(), Joined { task: task(), sent: None, output: PhantomData })
}

impl TaskRef {
    #[inline]
    pub(super) fn header(&self) -> &Header {
        // SAFETY: J1.
        unsafe { self.0.as_ref() }
    }

    /// Where it is in memory, as long as anybody holds it.
    pub(super) fn place(&self) -> usize {
        self.0.as_ptr() as usize
    }

    /// Its executor, at home.
    #[inline]
    fn executor(&self) -> Option<Rc<Executor>> {
        // SAFETY: J2: nobody touches it meanwhile, as to clone an `Rc` is not code of others.
        unsafe { (*self.header().executor.as_ptr()).clone() }
    }

    /// It is woken, on any thread.
    #[inline]
    pub(super) fn wake(self) {
        match self.header().is_home() {
            true => self.wake_at_home(),
            false => super::injector::wake(self),
        }
    }

    #[inline]
    fn wake_by_ref(&self) {
        if !self.header().is_home() {
            super::injector::wake(self.clone());
        } else if self.header().wake() {
            self.clone().queue();
        }
    }

    #[inline]
    pub(super) fn wake_at_home(self) {
        if self.header().wake() {
            self.queue();
        }
    }

    /// It is woken to take the input of a connection.
    #[inline]
    fn wake_next(self) {
        if !self.header().is_home() {
            super::injector::wake(self);
        } else if self.header().wake() {
            self.queue_with(Executor::queue_next);
        }
    }

    /// Ends it when its turn comes, at home. The end of its loop comes by itself, and is not to come within this call.
    pub(super) fn abort(self) {
        if self.executor().is_some_and(|executor| !executor.is_over()) {
            self.header().is_aborted.set(true);
            self.wake_at_home();
        }
    }

    /// Puts it into the ready queue, at home. The end of the loop, which drops all tasks one after the other, is not to come within
    /// a wake: who wakes may hold a lock that the future's destructor wants.
    #[inline]
    fn queue(self) {
        self.queue_with(Executor::queue);
    }

    #[inline(always)]
    fn queue_with(self, queue: impl FnOnce(&Executor, Self)) {
        if let Some(executor) = self.executor() {
            if !executor.is_over() {
                queue(&executor, self);
            }
        }
    }

    /// Its turn has come, at home.
    #[inline]
    pub(super) fn run(self) {
        let header = self.header();
        let Some(executor) = self.executor() else { return };
        header.begin_turn();
        let Some(polling) = executor.begin_poll(header) else { return self.end() };
        // SAFETY: J1, and J3, as a task has no turn within its turn.
        let is_done = header.lend(|| unsafe { (header.body.poll)(self.0) });
        drop(polling);
        match () {
            () if is_done => self.conclude(),
            () if header.is_cancelled.get() => self.end(),
            () if header.end_turn() => self.queue(),
            () => {}
        }
    }

    /// Ends it without another poll, at home.
    pub(super) fn cancel(self) {
        let header = self.header();
        if header.state() == State::Ended || header.is_cancelled.replace(true) || header.is_lent.get() {
            return;
        }
        self.end();
    }

    fn end(self) {
        let header = self.header();
        header.set_ended();
        // SAFETY: J1, J3.
        header.lend(|| unsafe { (header.body.end)(self.0, Ended::Aborted) });
        self.conclude();
    }

    /// The future is dropped, and the outcome is there.
    fn conclude(self) {
        let header = self.header();
        header.set_ended();
        let Some(executor) = header.executor.take() else { return };
        let listed = executor.finished(header);
        if header.is_detached.get() {
            // SAFETY: J1, J4.
            unsafe { (header.body.report)(self.0) };
            header.has_ended.store(true, Ordering::Release);
        } else {
            let awaiter = header.awaiter.take();
            header.has_ended.store(true, Ordering::SeqCst);
            let elsewhere = header.is_awaited_elsewhere.load(Ordering::SeqCst);
            let elsewhere = if elsewhere { super::injector::take_awaiter(&self) } else { None };
            for waker in awaiter.into_iter().chain(elsewhere) {
                // A waker is code of others.
                if let Err(panic) = contain(move || waker.wake()) {
                    report::waker_panicked(panic, &header.origin());
                }
            }
        }
        // While the list holds it, nobody else's is the last.
        drop(self);
        if let Some(listed) = listed {
            listed.unite();
        }
    }

    /// Ends the list's hold on a task that has ended.
    fn unite(self) {
        let task = ManuallyDrop::new(self);
        if task.header().owners.unite() {
            task.free();
        }
    }

    /// There are no others.
    fn free(&self) {
        // SAFETY: J1: no owner is left.
        unsafe { (self.header().body.free)(self.0) };
    }

    /// Its handle is gone, which it told at home; or after its end.
    pub(super) fn detach(&self) {
        let header = self.header();
        if header.has_ended.load(Ordering::Acquire) {
            // SAFETY: J1, J4.
            unsafe { (header.body.report)(self.0) };
        } else if header.is_home() {
            header.is_detached.set(true);
            self.discard(header.awaiter.take());
        }
    }

    /// Drops the waker of who awaits it no more.
    #[inline]
    fn discard(&self, waker: Option<Waker>) {
        if let Some(waker) = waker {
            self.discard_one(waker);
        }
    }

    fn discard_one(&self, waker: Waker) {
        if let Err(panic) = contain(move || drop(waker)) {
            report::waker_panicked(panic, &self.header().origin());
        }
    }

    /// At home: this waker is woken when it ends, or at once if it has.
    pub(super) fn await_with(&self, waker: Waker) {
        let header = self.header();
        if header.has_ended.load(Ordering::Acquire) {
            crate::wake::wake(waker, "a task");
        } else {
            self.discard(header.awaiter.replace(Some(waker)));
        }
    }
}

impl Clone for TaskRef {
    #[inline]
    fn clone(&self) -> Self {
        self.header().owners.add(self.header().is_home());
        Self(self.0)
    }
}

impl Drop for TaskRef {
    #[inline]
    fn drop(&mut self) {
        if self.header().owners.give_up(self.header().is_home()) {
            self.free();
        }
    }
}

/// A task, for its handle.
pub(super) struct Joined<T> {
    task: TaskRef,
    /// The waker that is kept beside the letters, if the handle was polled last elsewhere.
    sent: Option<Waker>,
    /// The handle may go to another thread, or be shared with one, where the output may be sent there (J4).
    output: PhantomData<Mutex<T>>,
}

impl<T> Joined<T> {
    pub(super) fn task(&self) -> &TaskRef {
        &self.task
    }

    #[inline]
    pub(super) fn has_ended(&self) -> bool {
        self.task.header().has_ended.load(Ordering::Acquire)
    }

    fn take(&mut self) -> Option<Result<T, Ended>> {
        let mut place = MaybeUninit::<Option<Result<T, Ended>>>::uninit();
        // SAFETY: J1, J4: the handle was made for the output of this cell, and the task has ended.
        unsafe {
            (self.task.header().body.take)(self.task.0, place.as_mut_ptr().cast());
            place.assume_init()
        }
    }

    /// Takes the output, or has who polls woken when there is one. `None` if it was taken before.
    #[inline]
    pub(super) fn poll(&mut self, context: &Context<'_>) -> Poll<Option<Result<T, Ended>>> {
        if self.has_ended() {
            return Poll::Ready(self.take());
        }
        let header = self.task.header();
        let knows = match header.is_home() {
            // SAFETY: J2: nobody touches it during a comparison, which is not code of others.
            true => unsafe { &*header.awaiter.as_ptr() },
            false => &self.sent,
        };
        match knows {
            Some(known) if known.will_wake(context.waker()) => Poll::Pending,
            _ => self.wait(context.waker()),
        }
    }

    fn wait(&mut self, waker: &Waker) -> Poll<Option<Result<T, Ended>>> {
        // To clone a waker, and to drop the one before, is to call code of others. The task may end meanwhile.
        let fresh = waker.clone();
        if self.task.header().is_home() {
            self.forget_sent();
            self.task.await_with(fresh);
        } else {
            let before = self.sent.replace(fresh.clone());
            self.task.discard(before);
            super::injector::await_with(&self.task, fresh);
        }
        match self.has_ended() {
            true => Poll::Ready(self.take()),
            false => Poll::Pending,
        }
    }
}

impl<T> Joined<T> {
    /// The waker that another thread knows is to be woken no more.
    #[inline]
    fn forget_sent(&mut self) {
        if let Some(sent) = self.sent.take() {
            let known = super::injector::take_awaiter(&self.task);
            self.task.discard(known);
            self.task.discard(Some(sent));
        }
    }
}

impl<T> Drop for Joined<T> {
    #[inline]
    fn drop(&mut self) {
        self.forget_sent();
        if self.has_ended() || self.task.header().is_home() {
            self.task.detach();
        } else {
            super::injector::detach(&self.task);
        }
    }
}
