//! Timers: callbacks that wait for a moment of the loop's clock.
//!
//! [`queue`] keeps them in order, knows no clock and calls nobody.

pub(crate) mod queue;
