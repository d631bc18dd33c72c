//! What is left when a test is over.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use marline_tests::PATIENCE;

use super::raw::Raw;
use super::world::World;

/// Long enough for everything that ends by itself, and nothing that a passing test waits for, in virtual time.
const GIVE_UP: Duration = Duration::from_secs(20);

/// Runs the loop as a program does: whether it returns because nothing is left in it. No slot, attempt or timer has
/// leaked then.
pub fn runs_out(world: &World) -> bool {
    let (handle, gave_up) = (world.handle(), Rc::new(Cell::new(false)));
    let (stopped, seen) = (handle.clone(), Rc::clone(&gave_up));
    let guard = handle.call_later(if world.is_memory() { GIVE_UP } else { PATIENCE }, move || {
        seen.set(true);
        stopped.stop();
    });
    guard.unreference();
    world.run();
    guard.cancel();
    !gave_up.get()
}

/// Whether our side is gone for this far end, in good order or not. Throws away what arrived.
pub fn is_over(raw: &Raw) -> bool {
    drop(raw.read());
    raw.is_finished() || raw.is_reset()
}
