//! Tests with no descriptors, on a clock that the test moves, with the order of events forced.
//!
//! * [`Recorder`]: a real [`Transport`](crate::Transport) that records what a protocol does with it: call the protocol's
//!   methods, and look. No loop runs.
//! * [`MemoryReactor`]: a whole loop on the memory backend, [`pump`](MemoryReactor::pump)ed by the test.
//! * [`Network`], [`Peer`], [`PeerListener`]: the wires, and scripted ends of connections.
//! * [`VirtualStream`], [`VirtualTerminal`]: pipes, terminals, standard input and output.
//! * [`DatagramPeer`]: the same for datagrams; [`Delivery`]: what becomes of those.
//! * [`VirtualSource`]: something to [watch](crate::Handle::watch) whose readiness the test sets.
//! * [`Clock`]: the virtual time. [`Chunking`]: how bytes are cut. [`Choices`](crate::Choices): every other
//!   decision of chance, from a script or a seed.
//!
//! ```
//! use marline_reactor::testing::MemoryReactor;
//! use marline_reactor::{Addresses, Transport};
//! use std::time::Duration;
//!
//! let memory = MemoryReactor::new();
//! let shout = |_: &Addresses| |transport: &Transport, data: &[u8]| {
//!     transport.write(data.to_ascii_uppercase());
//! };
//! memory.handle().listen("tcp://127.0.0.1:7", shout)?;
//!
//! let peer = memory.connect("127.0.0.1:7")?;
//! peer.write(b"hello");
//! memory.pump();
//! assert_eq!(peer.read(), b"HELLO");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod memory;
mod recorder;

pub use memory::MemoryReactor;
pub use recorder::Recorder;

pub use crate::backend::memory::{
    Chunking, Clock, DatagramPeer, Delivery, Network, Peer, PeerListener, StreamKind, VirtualChild,
    VirtualProgram, VirtualSource, VirtualStream, VirtualTerminal,
};
