//! Many turns.

use std::rc::Rc;
use std::time::Duration;

use super::{Life, Shell, Turned, context};
use crate::error::RunError;

impl Shell {
    pub(super) fn run(self: &Rc<Self>) -> Result<(), RunError> {
        if context::in_callback() {
            return Err(RunError::nested());
        }
        self.check_life()?;
        let _roused = self.rouse();
        loop {
            // A post made before the run counts as something to do, so the first turn is made in any case.
            self.turn(if self.is_idle() { Some(Duration::ZERO) } else { None })?;
            if self.turned() != Turned::GoesOn {
                return Ok(());
            }
        }
    }

    pub(super) fn turn_once(self: &Rc<Self>, limit: Option<Duration>) -> Result<Turned, RunError> {
        if self.in_turn.get() {
            return Err(RunError::nested());
        }
        self.check_life()?;
        let _roused = self.rouse();
        self.turn(limit)?;
        Ok(self.turned())
    }

    /// What came of a turn. A stop is obeyed once.
    fn turned(&self) -> Turned {
        let stopped = self.stopping.replace(false);
        let turned = match self.life.get() {
            Life::Alive if stopped => Turned::Stopped,
            Life::Alive if self.is_idle() && !self.has_work() => Turned::Idle,
            Life::Alive => Turned::GoesOn,
            Life::ShutDown | Life::Ended => Turned::Over,
        };
        self.answer_host(turned);
        turned
    }

    fn check_life(&self) -> Result<(), RunError> {
        if self.life.get() == Life::Alive { Ok(()) } else { Err(RunError::over()) }
    }

    /// Whether nothing is left that could ever call back.
    pub(crate) fn is_idle(&self) -> bool {
        let idle_slots =
            self.watches.unreferenced() + self.os_signals.slots() + self.processes.borrow().slots();
        self.slot_count() == idle_slots
            && !self.processes.borrow().keep_alive()
            && self.guards.get() == 0
            && !self.timers.keep_alive()
            && self.connects.borrow().is_empty()
            && !self.pool.borrow().is_busy()
            && !self.shutdown.borrow().is_under_way()
    }
}
