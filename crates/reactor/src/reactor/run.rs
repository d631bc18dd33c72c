//! Many turns.

use std::rc::Rc;
use std::time::Duration;

use super::{Life, Shell, context};
use crate::error::RunError;

impl Shell {
    pub(super) fn run(self: &Rc<Self>) -> Result<(), RunError> {
        if context::in_callback() {
            return Err(RunError::nested());
        }
        self.check_life()?;
        loop {
            // A post made before the run counts as something to do, so the first turn is made in any case.
            self.turn(if self.is_idle() { Some(Duration::ZERO) } else { None })?;
            let stopped = self.stopping.replace(false);
            if stopped || self.life.get() != Life::Alive || (self.is_idle() && !self.has_work()) {
                return Ok(());
            }
        }
    }

    pub(super) fn turn_once(self: &Rc<Self>, limit: Option<Duration>) -> Result<(), RunError> {
        if self.in_turn.get() {
            return Err(RunError::nested());
        }
        self.check_life()?;
        self.turn(limit)?;
        self.stopping.set(false);
        Ok(())
    }

    fn check_life(&self) -> Result<(), RunError> {
        if self.life.get() == Life::Alive { Ok(()) } else { Err(RunError::over()) }
    }

    /// Whether nothing is left that could ever call back.
    fn is_idle(&self) -> bool {
        self.slot_count() == 0
            && self.guards.get() == 0
            && !self.timers.keep_alive()
            && self.connects.borrow().is_empty()
            && !self.pool.borrow().is_busy()
            && !self.shutdown.borrow().is_under_way()
    }
}
