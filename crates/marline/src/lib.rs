#![doc = include_str!("../../../README.md")]
#![forbid(unsafe_code)]

#[cfg(doctest)]
mod book;
#[cfg(feature = "tls")]
mod program;

pub use marline_reactor::*;
pub use marline_tasks::*;
#[cfg(feature = "tls")]
pub use marline_tls as tls;
#[cfg(feature = "tls")]
pub use program::{run, serve};

/// Everything that small programs use: `use marline::prelude::*;`.
pub mod prelude {
    pub use crate::filter::ReadAhead;
    pub use crate::framing::{
        Encode, Feed, FrameProtocol, FrameTooLong, Frames, LineParser, LineProtocol, LineTooLong, Lines,
        Netstring, NetstringError, NetstringParser, Prefix, PrefixParser, Rest,
    };
    pub use crate::policy::{ConnectionLimit, IdleTimeout, RateLimit, TotalTimeout, TrafficLog};
    #[cfg(feature = "tls")]
    pub use crate::tls::{ClientTls, Identity, Roots, ServerTls, StartTls, StreamTls, TlsError, TlsInfo};
    pub use crate::{
        Address, Addresses, Call, Child, ChildFd, Command, Credentials, DatagramProtocol, DatagramSocket,
        DatagramTransport, Error, Exit, Framed, Group, GroupHandle, Handle, Instant, JoinHandle, Listener,
        Lost, OnEof, Process, ProcessProtocol, Protocol, Reactor, Reason, Remote, Result, Server, Signal,
        SignalKind, Stream, Timer, Transport, Worker, WriteStatus,
    };
    pub use crate::{
        AsyncGroup, CancelScope, GroupTasks, TaskGroup, conversation, copy, ctrl_c, deferred, endpoint_arg,
        gather, greeting, interval, race, relay, select, settle, shield, signal, sleep, spawn,
        spawn_blocking, spawn_remote, stdio, timeout, yield_now,
    };
}

/// Any error, for programs that only pass errors on. Every function here has a typed error of its own.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What `main` returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;
