//! A foreign loop that drives ours, as bare as can be: it watches the descriptor, or is told by notices.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use marline_reactor::testing::MemoryReactor;
use marline_reactor::{Handle, Reactor, RunError, Turned};
use marline_tests::{PATIENCE, backends};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::sources::{self, Far, Near};

/// A loop, and the host that drives it.
pub enum Hosted {
    /// It watches the descriptor, and nothing else.
    Polled(Reactor),
    /// It is told by notices, and asks what is ready and when the next deadline is.
    Told(MemoryReactor, Arc<Notices>),
}

/// How often the host was told since it last forgot.
#[derive(Default)]
pub struct Notices {
    all: AtomicUsize,
    /// Those of the loop's own thread. Another one may add a notice at any moment: when a turn begins, and after its end.
    own: AtomicUsize,
}

impl Hosted {
    pub fn polled(backend: &str) -> Self {
        let this = Self::Polled(backends::reactor(backend));
        assert!(this.reactor().pollable_fd().expect("descriptors to spare").is_some());
        this
    }

    pub fn told() -> Self {
        let (memory, notices) = (MemoryReactor::new(), Arc::<Notices>::default());
        assert!(memory.reactor().pollable_fd().expect("no error").is_none());
        let (count, home) = (Arc::clone(&notices), thread::current().id());
        memory.reactor().set_host(move || {
            count.all.fetch_add(1, Ordering::SeqCst);
            count.own.fetch_add(usize::from(thread::current().id() == home), Ordering::SeqCst);
        });
        Self::Told(memory, notices)
    }

    pub fn each() -> Vec<Self> {
        backends::here().into_iter().map(Self::polled).chain([Self::told()]).collect()
    }

    pub fn reactor(&self) -> &Reactor {
        match self {
            Self::Polled(reactor) => reactor,
            Self::Told(memory, _) => memory.reactor(),
        }
    }

    pub fn handle(&self) -> Handle {
        self.reactor().handle()
    }

    /// Something to watch, and its far end.
    pub fn source(&self) -> (Near, Far) {
        sources::pair(matches!(self, Self::Told(..)))
    }

    pub fn turns(&self) -> u64 {
        self.handle().stats().turns
    }

    /// Waits as the host does, for at most `limit`: whether it has a reason to make a turn.
    pub fn wait(&self, limit: Duration) -> bool {
        match self {
            Self::Polled(reactor) => is_readable(&reactor.pollable_fd().unwrap().unwrap(), limit),
            Self::Told(memory, notices) => {
                let begun = std::time::Instant::now();
                let told = || memory.reactor().has_ready() || notices.all.load(Ordering::SeqCst) > 0;
                while !told() && begun.elapsed() < limit {
                    thread::sleep(Duration::from_millis(1));
                }
                told()
            }
        }
    }

    /// Makes a turn that does not wait. The notices before it are forgotten; in it there are none of its own thread.
    pub fn turn(&self) -> Result<Turned, RunError> {
        self.forget_notices();
        let turned = self.reactor().turn(Some(Duration::ZERO));
        if let Self::Told(_, notices) = self {
            assert_eq!(notices.own.load(Ordering::SeqCst), 0, "a notice during a turn");
        }
        turned
    }

    /// What was told so far is done with.
    pub fn forget_notices(&self) {
        if let Self::Told(_, notices) = self {
            notices.all.store(0, Ordering::SeqCst);
            notices.own.store(0, Ordering::SeqCst);
        }
    }

    /// Makes turns until there is no reason for one.
    pub fn rest(&self) {
        while self.wait(Duration::ZERO) {
            self.turn().expect("a turn");
        }
    }

    /// Drives the loop as a host does, until it comes to its end.
    pub fn drive(&self) -> Turned {
        let begun = std::time::Instant::now();
        let mut turned = self.turn().expect("a turn");
        while turned == Turned::GoesOn {
            assert!(begun.elapsed() < PATIENCE, "the loop has no end");
            if let Self::Told(memory, _) = self {
                let next = memory.reactor().next_deadline();
                match next {
                    Some(next) if !memory.reactor().has_ready() => {
                        memory.clock().advance(next - memory.clock().now());
                    }
                    _ => {}
                }
            }
            assert!(self.wait(PATIENCE), "nothing brings the loop to its end");
            turned = self.turn().expect("a turn");
        }
        turned
    }

    /// What woke the host, and that once was enough.
    #[track_caller]
    pub fn assert_woken(&self, by: &str) {
        assert!(self.wait(Duration::ZERO), "{by} wakes nobody");
        if let Self::Told(_, notices) = self {
            assert_eq!(notices.all.load(Ordering::SeqCst), 1, "{by}");
        }
    }
}

pub fn is_readable(descriptor: &impl AsFd, limit: Duration) -> bool {
    let limit = Timespec::try_from(limit).expect("a short time");
    let mut polled = [PollFd::new(descriptor, PollFlags::IN)];
    poll(&mut polled, Some(&limit)).expect("a poll") == 1
}
