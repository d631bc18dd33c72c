//! Streams of bytes that a readiness multiplexer announces: shared by the backends that have a kernel.
//!
//! - `connection.rs`: one connection, and what is known about it without asking.
//! - `channel.rs`: what a connection asks of what it reads and writes.
//! - `socket.rs`: sockets. `carrying.rs`: those that descriptors are passed over. `ends.rs`: everything else: pipes, terminals,
//!   files; `end.rs`: one descriptor of those. `special.rs`: what is no plain socket.
//! - `typing.rs`: what a terminal makes of the bytes that are typed into it.
//! - `passing.rs`: parts of files, passed on by the kernel; `no_passing.rs`: where that cannot be.
//! - `scratch.rs`: the one buffer that all streams of a backend receive into.
//! - `opening.rs`: what the core gives to be opened. `taking_over.rs`: descriptors that were made elsewhere, whose mode is
//!   somebody else's, too.

mod carrying;
mod channel;
mod connection;
mod end;
mod ends;
#[cfg(not(target_os = "linux"))]
mod no_passing;
mod opening;
#[cfg(target_os = "linux")]
mod passing;
mod scratch;
mod socket;
mod special;
mod taking_over;
mod typing;

pub(super) use carrying::Carrying;
pub(super) use channel::Channel;
pub(super) use connection::Connection;
pub(super) use ends::Ends;
#[cfg(not(target_os = "linux"))]
use no_passing as passing;
pub use opening::{Opened, Opening};
pub(super) use scratch::Scratch;
pub(super) use socket::{SEND, Socket, connect};
pub(super) use special::Special;
pub(super) use taking_over::{TakenOver, take_over};
