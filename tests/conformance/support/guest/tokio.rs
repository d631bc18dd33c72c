//! Tokio as the host: our loop is a future of a current-thread runtime.

use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::Duration;

use marline_reactor::RunError;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};

use super::{Host, Turns};

pub struct Tokio {
    runtime: Runtime,
}

impl Tokio {
    pub fn new() -> Self {
        Self { runtime: Builder::new_current_thread().enable_all().build().expect("a runtime") }
    }
}

#[allow(unsafe_code)]
fn watched(descriptor: BorrowedFd<'_>) -> AsyncFd<BorrowedFd<'_>> {
    // SAFETY: D1: a borrowed descriptor is open, and the same one, as long as it is borrowed, which the result does.
    unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }.expect("a registration")
}

/// Makes turns whenever the descriptor is readable, while `goes_on` says so of each.
async fn drive(turns: &Turns, mut goes_on: impl FnMut(bool) -> bool) {
    let descriptor = watched(turns.descriptor());
    loop {
        let mut ready = descriptor.readable().await.expect("readiness");
        let more = turns.make();
        ready.clear_ready();
        if !goes_on(more) {
            return;
        }
    }
}

impl Host for Tokio {
    fn wait(&self, turns: &Rc<Turns>, limit: Duration) {
        self.runtime.block_on(async {
            // Late is no error: then nothing happened.
            let _ = tokio::time::timeout(limit, drive(turns, |_| false)).await;
        });
    }

    fn turn(&self, turns: &Rc<Turns>) {
        self.runtime.block_on(async {
            tokio::task::yield_now().await;
            turns.make();
        });
    }

    fn run(&self, turns: &Rc<Turns>) -> Result<(), RunError> {
        let run = async {
            // A run makes a turn in any case.
            if turns.make() {
                drive(turns, |more| more).await;
            }
        };
        turns.run(|| self.runtime.block_on(run))
    }
}
