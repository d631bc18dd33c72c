//! Tasks with spans.
//!
//! The names are those that `console-subscriber` looks for, so that its console shows our tasks as it shows tokio's: a span
//! `runtime.spawn` of the target `tokio::task` for each task, entered at each poll; and for each thing that is done with its
//! waker an event of the target `tokio::task::waker`, with the span's number as `task.id`.
//!
//! A waker that tells of its own clones and drops would need unsafe code. Instead all wakers of a task share one
//! allocation, whose reference count tells how many of them there are: after each poll, and at the end of the
//! task, what changed since is told. Wake-ups are told as they happen.

use std::cell::RefCell;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::task::{Context, Wake, Waker};

use tracing::Span;

/// The span of a task.
pub(in crate::task) struct Traced {
    /// Closes with the task, whoever still has one of its wakers.
    span: Span,
    /// What its wakers share; `None` before the first poll.
    shared: RefCell<Option<Arc<Watched>>>,
}

impl Traced {
    pub(in crate::task) fn new(number: u64, name: Option<&str>, place: &'static Location<'static>) -> Self {
        let span = tracing::trace_span!(
            target: "tokio::task",
            parent: None,
            "runtime.spawn",
            kind = "local",
            task.name = name,
            task.id = number,
            loc.file = place.file(),
            loc.line = place.line(),
            loc.col = place.column(),
        );
        Self { span, shared: RefCell::default() }
    }

    /// Polls the task within its span, with a waker that is watched.
    pub(in crate::task) fn poll<R>(
        &self,
        context: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> R,
    ) -> R {
        let Some(id) = self.span.id() else {
            // Nobody wants to know of tasks.
            return poll(context);
        };
        let shared = self.share(id.into_u64(), context.waker());
        let waker = Waker::from(Arc::clone(&shared));
        let answer = self.span.in_scope(|| poll(&mut Context::from_waker(&waker)));
        drop(waker);
        // One is here and one in the cell.
        shared.tell(Arc::strong_count(&shared) - 2);
        answer
    }

    /// What the wakers of the task share.
    fn share(&self, span: u64, waker: &Waker) -> Arc<Watched> {
        let mut shared = self.shared.borrow_mut();
        match &*shared {
            Some(known) if known.waker.will_wake(waker) => Arc::clone(known),
            _ => {
                let fresh = Arc::new(Watched { waker: waker.clone(), span, told: AtomicIsize::new(0) });
                *shared = Some(Arc::clone(&fresh));
                fresh
            }
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            shared.tell(Arc::strong_count(&shared) - 1);
        }
    }
}

struct Watched {
    /// The task's own waker.
    waker: Waker,
    span: u64,
    /// How many wakers there are besides the one that polls lend, as far as was told.
    told: AtomicIsize,
}

impl Watched {
    /// Tells of the clones and drops that led to this many wakers.
    fn tell(&self, wakers: usize) {
        let now = isize::try_from(wakers).unwrap_or(isize::MAX);
        let before = self.told.swap(now, Ordering::Relaxed);
        (before..now).for_each(|_| event(self.span, "waker.clone"));
        (now..before).for_each(|_| event(self.span, "waker.drop"));
    }
}

impl Wake for Watched {
    fn wake(self: Arc<Self>) {
        // Whoever reads it takes it for the end of the waker too.
        self.told.fetch_sub(1, Ordering::Relaxed);
        event(self.span, "waker.wake");
        self.waker.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        event(self.span, "waker.wake_by_ref");
        self.waker.wake_by_ref();
    }
}

fn event(span: u64, op: &'static str) {
    tracing::trace!(target: "tokio::task::waker", op = op, task.id = span);
}
