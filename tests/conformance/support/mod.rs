//! What the sections share.
//!
//! * `world`: a loop on one of the backends, and the outside of it.
//! * `raw`: the far ends of connections: plain sockets, or scripted peers.
//! * `trace`: a protocol that writes down what happens to it.
//! * `ending`: what is left when a test is over.
//! * `meddler`: a backend that refuses accepts and answers look-ups.
//! * `stamp`: the macros that turn one function into a test for every world.

mod ending;
mod meddler;
mod raw;
mod stamp;
mod trace;
mod world;

pub use ending::{is_over, runs_out};
pub use meddler::{Meddled, Meddler, Plan};
pub use raw::{Raw, RawListener};
pub use trace::{Event, Log, Trace};
pub use world::{World, address_of, pattern, skip};
