//! Datagrams, awaited.
//!
//! * `socket`: a datagram socket, as a program holds it; `operations`: its futures.
//! * `state`: what the loop keeps of one, and the protocol that feeds it.

mod operations;
mod socket;
mod state;

pub use operations::{RecvFrom, SendTo};
pub use socket::DatagramSocket;
pub(crate) use state::DatagramSockets;
pub(super) use state::Feeder;
