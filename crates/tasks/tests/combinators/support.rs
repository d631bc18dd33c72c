//! Futures that do what a test says, and count what is done to them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;

/// What happened, in order.
pub(crate) type Log = Arc<Mutex<Vec<String>>>;

/// Up to so many children are few: who of them was woken is noted in another way.
pub(crate) const FEW: usize = usize::BITS as usize;

/// A future that ends when its [`Control`] says so.
pub(crate) struct Probe<T> {
    shared: Arc<Shared<T>>,
    log: Log,
    name: usize,
}

/// The test's hold on a [`Probe`].
pub(crate) struct Control<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    state: Mutex<(Option<T>, Option<Waker>)>,
    polls: AtomicUsize,
    wakes_itself: AtomicUsize,
}

/// `len` probes, named by their index, that log when they are dropped.
pub(crate) fn probes<T>(len: usize) -> (Vec<Control<T>>, Vec<Probe<T>>, Log) {
    let log = Log::default();
    let (controls, probes) = (0..len).map(|name| probe(name, &log)).unzip();
    (controls, probes, log)
}

pub(crate) fn probe<T>(name: usize, log: &Log) -> (Control<T>, Probe<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new((None, None)),
        polls: AtomicUsize::new(0),
        wakes_itself: AtomicUsize::new(0),
    });
    let control = Control { shared: Arc::clone(&shared) };
    let log = Arc::clone(log);
    (control, Probe { shared, log, name })
}

impl<T> Control<T> {
    pub(crate) fn polls(&self) -> usize {
        self.shared.polls.load(Ordering::SeqCst)
    }

    /// Lets the probe be ready, and wakes it.
    pub(crate) fn finish(&self, output: T) {
        self.shared.state.lock().0 = Some(output);
        self.wake();
    }

    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker() {
            waker.wake();
        }
    }

    /// The waker of the last poll.
    pub(crate) fn waker(&self) -> Option<Waker> {
        self.shared.state.lock().1.clone()
    }

    /// Lets each of the next `times` polls wake the probe before it returns.
    pub(crate) fn wakes_itself(&self, times: usize) {
        self.shared.wakes_itself.store(times, Ordering::SeqCst);
    }
}

pub(crate) fn polls<T>(controls: &[Control<T>]) -> Vec<usize> {
    controls.iter().map(Control::polls).collect()
}

impl<T> Future for Probe<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.shared.polls.fetch_add(1, Ordering::SeqCst);
        let left = self.shared.wakes_itself.load(Ordering::SeqCst);
        if left > 0 {
            self.shared.wakes_itself.store(left - 1, Ordering::SeqCst);
            cx.waker().wake_by_ref();
        }
        let mut state = self.shared.state.lock();
        state.1 = Some(cx.waker().clone());
        state.0.take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<T> Drop for Probe<T> {
    fn drop(&mut self) {
        self.log.lock().push(format!("drop {}", self.name));
    }
}

/// Logs when it is dropped: for outputs that must not outlive their combinator.
#[derive(Debug)]
pub(crate) struct Noisy(pub(crate) &'static str, pub(crate) Log);

impl Drop for Noisy {
    fn drop(&mut self) {
        self.1.lock().push(format!("drop {}", self.0));
    }
}

/// A parent's waker that counts.
#[derive(Default)]
pub(crate) struct Parent {
    wakes: AtomicUsize,
}

impl Parent {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let parent = Arc::new(Self::default());
        let waker = Waker::from(Arc::clone(&parent));
        (parent, waker)
    }

    /// How often it was woken since the last question.
    pub(crate) fn wakes(&self) -> usize {
        self.wakes.swap(0, Ordering::SeqCst)
    }
}

impl Wake for Parent {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls once.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Polls once, for whoever does not care about wakes.
pub(crate) fn poll_quietly<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll(future, Waker::noop())
}
