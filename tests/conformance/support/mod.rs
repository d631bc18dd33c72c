//! What the sections share.
//!
//! * `world`: a loop on one of the backends, and the outside of it.
//! * `raw`: the far ends of connections: plain sockets, or scripted peers.
//! * `trace`: a protocol that writes down what happens to it.
//! * `notes`: what a test writes down, and when that was.
//! * `watched`: a backend that writes down what its loop waits for.
//! * `stamp`: the macros that turn one function into a test for every world.

mod notes;
mod raw;
mod stamp;
mod trace;
mod watched;
mod world;

pub use notes::{Moment, Notes};
pub use raw::{Raw, RawListener};
pub use trace::{Event, Log, Trace};
pub use watched::{Waits, Watched};
pub use world::{World, skip};
