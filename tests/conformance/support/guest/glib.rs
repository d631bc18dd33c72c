//! GLib as the host: a source on our descriptor in a context of the test's own.

use std::cell::Cell;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use glib::thread_guard::ThreadGuard;
use glib::{ControlFlow, IOCondition, MainContext, MainLoop, Priority, Source};
use marline_reactor::RunError;

use super::{Host, Turns};

pub struct GLib {
    context: MainContext,
}

impl GLib {
    pub fn new() -> Self {
        Self { context: MainContext::new() }
    }

    /// Calls `made` whenever a turn was made because the descriptor is readable, with whether `run` would go on.
    fn watch(&self, turns: &Rc<Turns>, made: impl Fn(bool) + 'static) -> Attached {
        let work = ThreadGuard::new((Rc::clone(turns), made));
        let descriptor = turns.descriptor().as_raw_fd();
        let source =
            glib::unix_fd_source_new(descriptor, IOCondition::IN, None, Priority::DEFAULT, move |_, _| {
                let (turns, made) = work.get_ref();
                made(turns.make());
                ControlFlow::Continue
            });
        self.attach(source)
    }

    fn idle(&self, call: impl Fn() + 'static) -> Attached {
        let call = ThreadGuard::new(call);
        self.attach(glib::idle_source_new(None, Priority::DEFAULT, move || {
            (call.get_ref())();
            ControlFlow::Break
        }))
    }

    fn attach(&self, source: Source) -> Attached {
        source.attach(Some(&self.context));
        Attached(source)
    }
}

/// A source, until this is dropped.
struct Attached(Source);

impl Drop for Attached {
    fn drop(&mut self) {
        self.0.destroy();
    }
}

impl Host for GLib {
    fn wait(&self, turns: &Rc<Turns>, limit: Duration) {
        let over = Rc::new(Cell::new(false));
        let (made, late) = (Rc::clone(&over), ThreadGuard::new(Rc::clone(&over)));
        let _watched = self.watch(turns, move |_| made.set(true));
        let _timed = self.attach(glib::timeout_source_new(limit, None, Priority::DEFAULT, move || {
            late.get_ref().set(true);
            ControlFlow::Break
        }));
        while !over.get() {
            self.context.iteration(true);
        }
    }

    fn turn(&self, turns: &Rc<Turns>) {
        let over = Rc::new(Cell::new(false));
        let (turns, made) = (Rc::clone(turns), Rc::clone(&over));
        let _idle = self.idle(move || {
            turns.make();
            made.set(true);
        });
        while !over.get() {
            self.context.iteration(true);
        }
    }

    fn run(&self, turns: &Rc<Turns>) -> Result<(), RunError> {
        let main = MainLoop::new(Some(&self.context), false);
        let quits = |goes_on: bool, main: &MainLoop| {
            if !goes_on {
                main.quit();
            }
        };
        let (watching, beginning, first) = (main.clone(), main.clone(), Rc::clone(turns));
        let _watched = self.watch(turns, move |goes_on| quits(goes_on, &watching));
        // A run makes a turn in any case.
        let _begun = self.idle(move || quits(first.make(), &beginning));
        turns.run(|| main.run())
    }
}
