//! Connections and listeners, awaited.
//!
//! * `stream`: a connection, as a program holds it; `halves`: one direction each; `copy`: from one to another, by way of a
//!   `scratch` buffer; `operations` and `io`: what they share.
//! * `state`: what the loop keeps of a stream; `received`: bytes of its that were not read; `straight`: the usual, by
//!   itself; `protocol`: the protocol that feeds it; `turns`: one reader, one writer at a time.
//! * `descriptors`: those that pass over a stream, and who is at its other end.
//! * `filters`: what stands between a stream and its connection.
//! * `framed`: frames from a stream and onto it, by a parser of the reactor's or a program's own.
//! * `handover`: a connection passes from a callback protocol to a stream, and back; `conversation`: an async fn where a
//!   protocol is asked for.
//! * `datagram`: datagrams.
//! * `listener`: listeners, as a program holds them; `connect`: making a connection; `adopt`: taking over what exists already.

mod adopt;
mod connect;
mod conversation;
mod copy;
mod datagram;
mod descriptors;
mod filters;
mod framed;
mod halves;
mod handover;
mod io;
mod listener;
mod operations;
mod protocol;
mod received;
mod scratch;
mod state;
mod straight;
mod stream;
mod turns;

pub use adopt::stdio;
pub use connect::Connect;
pub use conversation::conversation;
pub(crate) use conversation::conversation_at;
pub use copy::copy;
pub(crate) use datagram::DatagramSockets;
pub use datagram::{DatagramSocket, RecvFrom, SendTo};
pub use framed::{Framed, FramedError, FramedSendError, NextFrame};
pub use halves::{ReadHalf, ReuniteError, WriteHalf};
pub use handover::{FromTransportError, IntoProtocolError, IntoTransportError};
pub(crate) use io::on_loop;
pub(crate) use listener::Listeners;
pub use listener::{Accept, AcceptPackets, Incoming, Listener, PacketListener};
pub use operations::{Read, WriteAll};
pub use protocol::StreamProtocol;
pub(crate) use state::Streams;
pub use stream::Stream;
