//! A callback event loop: protocols, transports, timers, and backends that can be swapped.
//!
//! It is what Twisted's reactor, asyncio's transports and protocols, and libuv are to their languages. It knows
//! nothing of futures: `marline-tasks` builds them on this crate's public API, and so can anybody else. It is not a
//! scheduler for many threads: a loop belongs to one thread, and programs with many cores run one loop on each.
//!
//! ```no_run
//! use marline_reactor::{Protocol, Transport, serve};
//!
//! struct Echo;
//!
//! impl Protocol for Echo {
//!     fn data_received(&mut self, transport: &Transport, data: &[u8]) {
//!         transport.write(data);
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//!     serve("tcp://127.0.0.1:8000", |_| Echo)
//! }
//! ```
//!
//! * A [`Reactor`] is the loop; a [`Handle`] is how programs use it; a [`Remote`] is the door for other threads.
//! * A [`Protocol`] is what a program gives the loop; a [`Transport`] is what the loop gives the protocol.
//! * A [`DatagramProtocol`] and a [`DatagramTransport`] are the same for datagrams.
//! * A [`Job`] is work that blocks, done by threads of the loop's own.
//! * A [`Server`] listens; an [`Endpoint`] says where.
//! * A [`Resolve`] looks host names up, in the place of the [system's](SystemResolver).
//! * A [`Source`] is anything else that can be waited for: a descriptor, or what mio knows; a [`Watch`] is a handle of one.
//! * [`policy`] wraps protocols: timeouts, limits, a log.
//! * A [`Command`] is a program to start as a child [`Process`]; a [`ProcessProtocol`] is told what happens with it.
//! * A [`SignalKind`] is a signal of the operating system, handled by [`Handle::on_signal`].
//! * [`filter`] puts TLS, and what else changes bytes on their way, between a protocol and any connection.
//! * [`framing`] finds messages in bytes; [`relay`] joins two connections.
//! * [`DebugMode`] finds what blocks a loop or leaks; [`Handle::dump`] tells what it holds.
//! * [`testing`] runs all of it with no descriptors, on a clock that the test moves.
//! * A [`Group`] is a loop on each processor; a [`Worker`] is one of them.
//! * [`backend`] is the contract of multiplexers.

mod address;
mod adopt;
pub mod backend;
mod before_sleep;
mod choice;
mod connect;
mod connection;
mod contain;
mod credentials;
mod datagram;
mod debug;
mod endpoint;
mod error;
pub mod filter;
pub mod framing;
mod group;
mod inherited;
mod instant;
mod key;
mod lost;
mod os_signal;
mod patience;
pub mod policy;
mod pool;
mod process;
mod program;
mod protocol;
mod reactor;
mod ready;
mod relay;
mod remote;
mod resolve;
mod sendable;
mod server;
mod signals;
mod slab;
pub mod terminal;
pub mod testing;
mod timer;
mod transport;
mod watch;

pub use address::{Address, Addresses, UnixAddress};
pub use backend::{DatagramOptions, MulticastInterface};
pub use before_sleep::BeforeSleep;
pub use choice::{Choice, ChoiceKind, Choices};
pub use connect::Connecting;
pub use connection::{Suspension, Traffic};
pub use contain::Panic;
pub use credentials::Credentials;
pub use datagram::{
    DatagramError, DatagramProtocol, DatagramTransport, MulticastError, PacketServer, SendError,
};
pub use debug::{DebugMode, Warning};
pub use endpoint::{
    ConnectDone, ConnectFactory, Endpoint, EndpointError, EndpointErrorKind, EndpointKind, EndpointParts,
    IntoEndpoint, ListenFactory, OpenFor, RegisterError, register_endpoint,
};
pub use error::{
    ConnectError, CreateError, DescriptorsCut, EmptyReceiveBuffer, FileTruncated, ListenError, LookupError,
    NotInLoop, OpenError, PostError, ReplaceError, RunError, SendDescriptorError, SendFileError,
    SendFileErrorKind, WatermarkError, WriteLimitExceeded,
};
pub use group::{
    Balance, Busy, DrainHook, Group, GroupBroken, GroupHandle, GroupStats, LoopEnd, LoopReport, LoopStats,
    OnBroken, OnSignal, Report, RollError, Rolled, Running, StartError, StartErrorKind, Worker,
};
pub use instant::Instant;
pub use key::Key;
pub use lost::{Lost, Reason};
pub use os_signal::{SignalError, SignalHandler, SignalKind};
pub use pool::{Job, JobError, PoolError};
pub use process::{ChildFd, Command, Exit, KillError, Process, ProcessProtocol, SpawnError};
pub use program::{endpoint_arg, greeting, serve};
pub use protocol::{IntoProtocol, OnEof, Protocol};
pub use reactor::{
    Builder, Call, Failure, Handle, Hold, KeepAlive, LoopId, OnPanic, Phase, Reactor, Stats, Turned,
};
pub use relay::relay;
pub use remote::{Remote, Signal};
pub use resolve::{Answer, Family, Query, Resolve, SystemResolver};
pub use server::Server;
pub use timer::{Timer, TimerKey};
pub use transport::{Taken, Transport, WriteStatus};
pub use watch::{
    Interest, InterestError, Mio, Pollable, Ready, Removed, Source, Watch, WatchError, WatchErrorKind,
};
