//! Tasks on a world's loop.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use futures::FutureExt;
use marline_tasks::{JoinHandle, Listener, Stream, spawn_on};
use marline_tests::PATIENCE;

use super::raw::Raw;
use super::world::World;

impl World {
    /// Starts a task.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        spawn_on(&self.handle(), future)
    }

    /// Runs a future as a task until it is done.
    #[track_caller]
    pub fn finish<F>(&self, future: F) -> F::Output
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let task = self.spawn(future);
        self.join(task)
    }

    /// Turns the loop until the task is done.
    #[track_caller]
    pub fn join<T: 'static>(&self, task: JoinHandle<T>) -> T {
        self.until(|| task.is_finished());
        task.now_or_never().expect("an ended task").expect("an output")
    }

    /// Turns the loop until another thread has done something. Unlike `until` it does not give up when nothing is left
    /// in the loop.
    #[track_caller]
    pub fn until_elsewhere(&self, done: impl Fn() -> bool) {
        let begun = Instant::now();
        while !done() {
            self.wait(Duration::from_millis(1));
            assert!(begun.elapsed() < PATIENCE, "what the test waits for did not happen");
            thread::yield_now();
        }
    }

    /// A listener of the loop's.
    pub fn listener(&self) -> Listener {
        self.handle().enter(|| Listener::bind(self.free_endpoint())).expect("a listener")
    }

    /// A stream that was accepted, and its far end.
    pub fn stream(&self) -> (Stream, Raw) {
        let listener = self.listener();
        let raw = self.connect_raw_to_listener(&listener);
        let stream = self.finish(async move { listener.accept().await });
        (stream.expect("a stream"), raw)
    }

    /// A far end that connects to a listener.
    pub fn connect_raw_to_listener(&self, listener: &Listener) -> Raw {
        self.connect_raw_to(listener.local_address().expect("an address"))
    }

    /// Both ends of a connection: the one that connected, and the one that was accepted.
    pub fn streams(&self) -> (Stream, Stream) {
        let listener = self.listener();
        let endpoint = self.endpoint_to(&listener.local_address().expect("an address"));
        self.finish(async move {
            let client = Stream::connect(endpoint).await.expect("a connection");
            (client, listener.accept().await.expect("a stream"))
        })
    }
}

/// Something that is not `Send`, and writes down where it is dropped.
pub struct Witness {
    drops: Drops,
    _not_send: Rc<()>,
}

/// What witnesses saw. Clones share it.
#[derive(Clone)]
pub struct Drops {
    home: ThreadId,
    here: Arc<AtomicUsize>,
    elsewhere: Arc<AtomicUsize>,
}

impl Drops {
    /// Drops on this thread are at home.
    pub fn new() -> Self {
        Self { home: thread::current().id(), here: Arc::default(), elsewhere: Arc::default() }
    }

    pub fn witness(&self) -> Witness {
        Witness { drops: self.clone(), _not_send: Rc::new(()) }
    }

    /// How many were dropped on the home thread.
    #[track_caller]
    pub fn count(&self) -> usize {
        assert_eq!(self.elsewhere.load(Ordering::SeqCst), 0, "dropped on another thread");
        self.here.load(Ordering::SeqCst)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let at_home = thread::current().id() == self.drops.home;
        let counter = if at_home { &self.drops.here } else { &self.drops.elsewhere };
        counter.fetch_add(1, Ordering::SeqCst);
    }
}
