//! Small futures that all programs use, so that they differ in nothing but the runtime.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

/// A future that is ready after some yields, or never is.
#[derive(Debug)]
pub struct Late {
    yields: Option<u32>,
    value: u64,
}

impl Late {
    /// Ready with this when it is polled for the second time.
    #[inline]
    #[must_use]
    pub fn one(value: u64) -> Self {
        Self { yields: Some(1), value }
    }

    /// Never ready, and never to be woken.
    #[inline]
    #[must_use]
    pub fn never() -> Self {
        Self { yields: None, value: 0 }
    }

    /// So many, of which the one in the middle is ready when it is polled for the second time.
    pub fn crowd(count: u64) -> impl Iterator<Item = Self> {
        (0..count).map(move |number| if number == count / 2 { Self::one(number) } else { Self::never() })
    }
}

impl Future for Late {
    type Output = Result<u64, Infallible>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.yields {
            Some(0) => Poll::Ready(Ok(self.value)),
            Some(more) => {
                self.yields = Some(more - 1);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }
}

/// Yields once, for runtimes that have nothing of their own for it.
#[inline]
pub async fn yield_once() {
    let _ = Late::one(0).await;
}

/// Polls a future once, and leaves it.
#[inline]
pub async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
}

/// Says whose turn it is of two tasks on one thread.
#[derive(Default)]
pub struct Baton {
    holder: Cell<usize>,
    waiting: [Cell<Option<Waker>>; 2],
}

impl Baton {
    /// Waits until it is passed to this task.
    #[inline]
    pub async fn wait(&self, own: usize) {
        poll_fn(|context| {
            if self.holder.get() == own {
                return Poll::Ready(());
            }
            self.waiting[own].set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Passes it on, and wakes who waits for it.
    #[inline]
    pub fn pass(&self, other: usize) {
        self.holder.set(other);
        if let Some(waker) = self.waiting[other].take() {
            waker.wake();
        }
    }
}

/// A [`Baton`] that is `Sync`, for runtimes whose tasks must be `Send`.
#[derive(Default)]
pub struct SharedBaton {
    holder: AtomicUsize,
    waiting: [Mutex<Option<Waker>>; 2],
}

impl SharedBaton {
    /// As [`Baton::wait`].
    #[inline]
    pub async fn wait(&self, own: usize) {
        poll_fn(|context| {
            // The tasks are on one thread: between this and what follows nothing is passed.
            if self.holder.load(Ordering::Relaxed) == own {
                return Poll::Ready(());
            }
            self.put(own, Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// As [`Baton::pass`].
    #[inline]
    pub fn pass(&self, other: usize) {
        self.holder.store(other, Ordering::Relaxed);
        if let Some(waker) = self.put(other, None) {
            waker.wake();
        }
    }

    #[inline]
    fn put(&self, place: usize, waker: Option<Waker>) -> Option<Waker> {
        // Nothing panics while it is held.
        self.waiting[place].lock().ok().and_then(|mut waiting| std::mem::replace(&mut *waiting, waker))
    }
}
