//! What the sections share.
//!
//! * `world`: a loop on one of the backends, and the outside of it.
//! * `raw`: the far ends of connections: plain sockets, or scripted peers.
//! * `faulty`: a backend whose operations fail as the test says.
//! * `trace`: a protocol that writes down what happens to it.
//! * `stamp`: the macros that turn one function into a test for every world.

mod faulty;
mod raw;
mod stamp;
mod trace;
mod world;

pub use faulty::Faults;
pub use raw::{Raw, RawListener};
pub use trace::{Event, Log, Trace};
pub use world::{World, address_of, pattern, skip};
