//! Connections and listeners, awaited.
//!
//! * `stream`: a connection, as a program holds it; `halves`: one direction each; `copy`: from one to another, by way of a
//!   `scratch` buffer; `io`: what they share.
//! * `state`: what the loop keeps of a stream, and the protocol that feeds it; `turns`: one reader, one writer at a time.
//! * `listener`: a listener, as a program holds it; `connect`: making a connection.

mod connect;
mod copy;
mod halves;
mod io;
mod listener;
mod scratch;
mod state;
mod stream;
mod turns;

pub use connect::Connect;
pub use copy::copy;
pub use halves::{ReadHalf, WriteHalf};
pub(crate) use listener::Listeners;
pub use listener::{Accept, Incoming, Listener};
pub(crate) use state::Streams;
pub use stream::{Read, Stream, WriteAll};
