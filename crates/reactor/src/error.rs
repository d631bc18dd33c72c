//! What can go wrong, a type for each verb.
//!
//! * `descriptor`: what keeps a descriptor from being sent.
//! * `lookup`: what a resolver answers if not with addresses.
//! * `send_file`: files that cannot be sent.
//! * `to_io`: the same for programs that know `std::io::Error` alone.

mod descriptor;
mod lookup;
mod send_file;
mod to_io;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::time::Duration;

pub use descriptor::{DescriptorsCut, SendDescriptorError};
pub use lookup::LookupError;
pub use send_file::{FileTruncated, SendFileError, SendFileErrorKind};
use thiserror::Error;

use crate::address::Address;
use crate::contain::Panic;
use crate::endpoint::EndpointError;
use crate::lost::Lost;

/// A loop could not be made.
#[derive(Debug, Error)]
#[error("cannot make a loop on the {backend} backend: {cause}")]
pub struct CreateError {
    backend: String,
    #[source]
    cause: io::Error,
}

impl CreateError {
    pub(crate) fn system(backend: &str, cause: io::Error) -> Self {
        Self { backend: backend.to_owned(), cause }
    }

    pub(crate) fn unknown(backend: String, kind: io::ErrorKind) -> Self {
        let cause =
            io::Error::new(kind, "there is no such backend here (known: readiness, completion, auto)");
        Self { backend, cause }
    }
}

/// A loop could not run, or broke.
#[derive(Debug, Error)]
#[error("{}", self.text())]
pub struct RunError {
    kind: RunErrorKind,
    #[source]
    cause: Option<io::Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RunErrorKind {
    Nested,
    Over,
    Stopped,
    Backend,
}

impl RunError {
    pub(crate) fn nested() -> Self {
        Self { kind: RunErrorKind::Nested, cause: None }
    }

    pub(crate) fn over() -> Self {
        Self { kind: RunErrorKind::Over, cause: None }
    }

    pub(crate) fn backend(cause: io::Error) -> Self {
        Self { kind: RunErrorKind::Backend, cause: Some(cause) }
    }

    /// The loop was stopped before its work was done: for whoever builds a "run until" on [`Reactor::run`](crate::Reactor::run).
    #[must_use]
    pub fn stopped() -> Self {
        Self { kind: RunErrorKind::Stopped, cause: None }
    }

    /// Whether the loop was stopped before the work was done that it was run for.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.kind == RunErrorKind::Stopped
    }

    /// Whether a loop was running on this thread already.
    #[must_use]
    pub fn is_nested(&self) -> bool {
        self.kind == RunErrorKind::Nested
    }

    /// Whether the loop had been shut down.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.kind == RunErrorKind::Over
    }

    fn text(&self) -> &'static str {
        match self.kind {
            RunErrorKind::Nested => "a loop runs on this thread already",
            RunErrorKind::Over => "the loop was shut down",
            RunErrorKind::Stopped => "the loop was stopped before the work was done",
            RunErrorKind::Backend => "the loop's backend broke",
        }
    }
}

/// No loop runs here, and none was entered. It tells where the loop was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no loop runs on this thread, and {0} needs one")]
pub struct NotInLoop(pub(crate) &'static Location<'static>);

/// A listener could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The endpoint is not one.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Endpoints of that kind cannot be listened on.
    #[error("cannot listen on {target}: endpoints of that kind are for something else")]
    WrongKind {
        /// The endpoint.
        target: String,
    },
    /// A listener wants an address, or `localhost`, and not another name.
    #[error("cannot listen on {host:?}: not an IP address")]
    NotAnAddress {
        /// What was given.
        host: String,
    },
    /// Somebody listens there already.
    #[error("cannot listen on {address}: the address is in use")]
    InUse {
        /// Where.
        address: Address,
        /// The system's error.
        source: io::Error,
    },
    /// The system refused.
    #[error("cannot listen on {address}: {source}")]
    System {
        /// Where.
        address: Address,
        /// The system's error.
        source: io::Error,
    },
    /// A socket that was to be taken over is no listening one.
    #[error("cannot take over the listener: {source}")]
    Adopt {
        /// What is wrong with it.
        source: io::Error,
    },
    /// The loop was shut down or dropped.
    #[error("cannot listen: the loop has ended")]
    Over,
}

/// A stream of bytes could not be taken over. Its descriptors are closed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The system refused, it is no stream of bytes, or the loop's backend has no use for it.
    #[error("cannot take over the stream: {source}")]
    System {
        /// The system's error.
        source: io::Error,
    },
    /// The loop was shut down or dropped.
    #[error("cannot take over the stream: the loop has ended")]
    Over,
}

impl ListenError {
    pub(crate) fn system(address: Address, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::AddrInUse {
            Self::InUse { address, source }
        } else {
            Self::System { address, source }
        }
    }
}

/// A connection could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Endpoints of that kind cannot be connected to as a stream.
    #[error("cannot connect to {target}: endpoints of that kind are for something else")]
    WrongKind {
        /// The endpoint.
        target: String,
    },
    /// What the endpoint names cannot be opened.
    #[error("cannot open {target}: {source}")]
    Open {
        /// The endpoint.
        target: String,
        /// The system's error.
        source: io::Error,
    },
    /// The endpoint is not one.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The host's name could not be looked up, or has no address.
    #[error("cannot look up {host:?}: {source}")]
    Lookup {
        /// The name.
        host: String,
        /// The resolver's error, or that there is no address.
        source: LookupError,
    },
    /// No address is of the family of the local address that was chosen.
    #[error("cannot connect to {target} from {local}: none of its addresses is of the same family")]
    WrongFamily {
        /// What was to be connected to.
        target: String,
        /// The local address.
        local: SocketAddr,
    },
    /// Every attempt failed.
    #[error("cannot connect to {target}: {}", Causes(attempts, look_up.as_ref()))]
    Failed {
        /// What was to be connected to.
        target: String,
        /// Each address that was tried, and why it failed.
        attempts: Vec<(Address, io::Error)>,
        /// Why there may be more addresses, which were not found: a resolver that was asked for both families knew one.
        look_up: Option<LookupError>,
    },
    /// The time was up.
    #[error("cannot connect to {target} within {after:?}")]
    TimedOut {
        /// What was to be connected to.
        target: String,
        /// The limit.
        after: Duration,
    },
    /// The attempt was cancelled.
    #[error("connecting to {target} was cancelled")]
    Cancelled {
        /// What was to be connected to.
        target: String,
    },
    /// The factory gave no protocol.
    #[error("the factory refused the connection to {target}")]
    Refused {
        /// What was connected to.
        target: String,
    },
    /// The factory panicked.
    #[error("the factory of the connection to {target} {panic}")]
    Panicked {
        /// What was connected to.
        target: String,
        /// With what.
        #[source]
        panic: Panic,
    },
    /// The connection ended in its `connection_made`, or before it: a [filter](crate::filter) that negotiates with the peer failed.
    #[error("{0}")]
    Lost(#[source] Lost),
    /// The loop was shut down or dropped.
    #[error("cannot connect: the loop has ended")]
    Over,
}

/// A list of attempts, for people.
struct Causes<'a>(&'a [(Address, io::Error)], Option<&'a LookupError>);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (address, error)) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{address}: {error}")?;
        }
        self.1.map_or(Ok(()), |error| write!(f, ", and the look-up of more addresses failed: {error}"))
    }
}

/// A call from another thread was not accepted. Hands it back.
#[derive(Error)]
#[error("{}", if *.full { "too many calls wait for the loop" } else { "the loop has ended" })]
pub struct PostError<F> {
    call: F,
    full: bool,
}

impl<F> PostError<F> {
    pub(crate) fn gone(call: F) -> Self {
        Self { call, full: false }
    }

    pub(crate) fn full(call: F) -> Self {
        Self { call, full: true }
    }

    /// Whether the limit was reached; otherwise the loop is gone.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// The closure.
    pub fn into_inner(self) -> F {
        self.call
    }
}

impl<F> fmt::Debug for PostError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostError").field("full", &self.full).finish_non_exhaustive()
    }
}

/// A protocol could not take over, because the connection is gone. Hands it back.
#[derive(Error)]
#[error("the connection is gone")]
pub struct ReplaceError<P> {
    protocol: P,
}

impl<P> ReplaceError<P> {
    pub(crate) fn new(protocol: P) -> Self {
        Self { protocol }
    }

    /// The protocol.
    pub fn into_inner(self) -> P {
        self.protocol
    }
}

impl<P> fmt::Debug for ReplaceError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplaceError")
    }
}

/// The low watermark is above the high one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the low watermark ({low}) is above the high one ({high})")]
pub struct WatermarkError {
    pub(crate) low: usize,
    pub(crate) high: usize,
}

/// A protocol offered an empty buffer to receive into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the protocol offered an empty buffer to receive into")]
pub struct EmptyReceiveBuffer;

/// A connection was written to although more than its [limit](crate::Transport::set_write_limit) waited to be sent. It is the
/// reason of the connection's loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("more than {limit} bytes waited to be sent, and more were written")]
pub struct WriteLimitExceeded {
    pub(crate) limit: usize,
}
