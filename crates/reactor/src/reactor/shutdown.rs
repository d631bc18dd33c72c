//! The orderly end: hooks in three phases, everybody told.

use std::fmt;
use std::panic::Location;
use std::rc::Rc;

use super::{Life, Shell};
use crate::ready::{Callback, Entry};

/// When a shutdown hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// While everything still stands: to say goodbye, to refuse new work, to finish old work.
    Before,
    /// After every connection, listener and attempt was told to end, and every watched source was dropped.
    During,
    /// After the last of them is gone.
    After,
}

/// While one lives, its phase of the shutdown lasts.
pub struct Hold {
    shell: Rc<Shell>,
}

#[derive(Default)]
pub(crate) struct Shutdown {
    /// The phase that is under way; `None` before and after.
    phase: Option<Phase>,
    holds: usize,
    /// The next phase waits for connections that are being closed.
    closing: bool,
    hooks: Vec<Hook>,
}

struct Hook {
    phase: Phase,
    call: Box<dyn FnOnce(Hold)>,
    /// Where it was added.
    place: &'static Location<'static>,
}

impl Shutdown {
    pub(super) fn is_under_way(&self) -> bool {
        self.phase.is_some()
    }

    /// Whether everybody was told: what began from now on would be told never.
    fn is_past_telling(&self) -> bool {
        self.phase >= Some(Phase::During)
    }

    /// The hooks of a phase, in the order they were added.
    fn take(&mut self, phase: Phase) -> Vec<Hook> {
        let hooks = std::mem::take(&mut self.hooks);
        let (now, later) = hooks.into_iter().partition(|hook| hook.phase == phase);
        self.hooks = later;
        now
    }

    /// Ends it, wherever it is. The caller drops what comes back.
    pub(super) fn clear(&mut self) -> Vec<impl Sized + use<>> {
        self.phase = None;
        std::mem::take(&mut self.hooks)
    }
}

impl Shell {
    #[track_caller]
    pub(super) fn add_shutdown_hook(&self, phase: Phase, call: Box<dyn FnOnce(Hold)>) {
        let hook = Hook { phase, call, place: Location::caller() };
        if self.life.get() == Life::Ended {
            // Kept here, it might keep the loop itself alive.
            self.contained(move || drop(hook));
            return;
        }
        self.shutdown.borrow_mut().hooks.push(hook);
    }

    pub(super) fn begin_shutdown(self: &Rc<Self>) {
        if self.life.get() != Life::Alive || self.shutdown.borrow().is_under_way() {
            return;
        }
        self.shutdown.borrow_mut().phase = Some(Phase::Before);
        let shell = Rc::clone(self);
        self.soon(move || shell.run_phase(Phase::Before));
    }

    /// Whether nothing can begin any more, be it a listener or an attempt to connect: the shutdown would wait for it,
    /// and a protocol that connects again whenever it loses its connection would keep it from ending.
    pub(crate) fn refuses_work(&self) -> bool {
        self.is_over() || self.shutdown.borrow().is_past_telling()
    }

    #[track_caller]
    fn soon(&self, call: impl FnOnce() + 'static) {
        self.push(Entry::Call(Callback::new(call, Location::caller())));
    }

    fn run_phase(self: &Rc<Self>, phase: Phase) {
        self.shutdown.borrow_mut().phase = Some(phase);
        // The phase lasts at least until all its hooks were called.
        let hold = Hold::new(self);
        if phase == Phase::During {
            self.cancel_connects();
            self.stop_listeners();
            self.lose_all();
            self.drop_watches();
            self.end_signals();
            self.leave_children();
            self.revoke_jobs();
        }
        let hooks = self.shutdown.borrow_mut().take(phase);
        for Hook { call, place, .. } in hooks {
            let hold = Hold::new(self);
            let ran = || self.contained_at(place, move || call(hold));
            self.timed(ran, || format!("the shutdown hook of the phase {phase:?} added at {place}"));
        }
        drop(hold);
    }

    fn hold_dropped(self: &Rc<Self>) {
        let mut shutdown = self.shutdown.borrow_mut();
        shutdown.holds -= 1;
        if shutdown.holds == 0 {
            drop(shutdown);
            let shell = Rc::clone(self);
            self.soon(move || shell.end_phase());
        }
    }

    /// Whether the connections are gone that the shutdown waits for.
    pub(super) fn all_closed(&self) -> bool {
        self.shutdown.borrow().closing && self.slot_count() == 0
    }

    /// Goes on with a shutdown that waited for connections.
    pub(super) fn go_on_shutting_down(self: &Rc<Self>) {
        if self.all_closed() {
            self.shutdown.borrow_mut().closing = false;
            self.end_phase();
        }
    }

    fn end_phase(self: &Rc<Self>) {
        let (phase, holds) = {
            let shutdown = self.shutdown.borrow();
            (shutdown.phase, shutdown.holds)
        };
        match phase {
            _ if holds > 0 => {}
            Some(Phase::Before) => self.run_phase(Phase::During),
            // The last connections may still be closing; the loop looks again when they are gone.
            Some(Phase::During) if self.slot_count() > 0 => {
                self.lose_all();
                self.shutdown.borrow_mut().closing = true;
            }
            // What becomes of the last jobs is told before the last hooks run.
            Some(Phase::During) if self.has_jobs() => {
                self.finish_jobs();
                let shell = Rc::clone(self);
                self.soon(move || shell.end_phase());
            }
            Some(Phase::During) => self.run_phase(Phase::After),
            Some(Phase::After) => {
                self.shutdown.borrow_mut().phase = None;
                self.life.set(Life::ShutDown);
                // Nothing runs any more, so nothing is accepted any more.
                let (arrived, waker) = self.remote.shared().close();
                self.contained(move || drop(waker));
                self.drop_each(arrived.posts);
            }
            None => {}
        }
    }
}

impl Shell {
    /// Where the loop stands in its life, in words.
    pub(crate) fn state_name(&self) -> String {
        let shutdown = self.shutdown.borrow();
        match (self.life.get(), shutdown.phase) {
            (Life::Alive, None) => "alive".to_owned(),
            (Life::Alive, Some(phase)) => {
                format!("shutting down: in the phase {phase:?}, held up by {}", shutdown.holds)
            }
            (Life::ShutDown, _) => "shut down".to_owned(),
            (Life::Ended, _) => "ended".to_owned(),
        }
    }
}

impl Hold {
    fn new(shell: &Rc<Shell>) -> Self {
        shell.shutdown.borrow_mut().holds += 1;
        Self { shell: Rc::clone(shell) }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shell.hold_dropped();
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hold")
    }
}
