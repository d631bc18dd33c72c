//! Listeners, as a program holds them.
//!
//! * `line`: the connections that wait for a program, and the tasks that wait for a connection.
//! * `streams`: listeners for streams; `packets`: for connections that keep records apart.

mod line;
mod packets;
mod streams;

pub(crate) use line::Listeners;
pub use packets::{AcceptPackets, PacketListener};
pub use streams::{Accept, Incoming, Listener};
