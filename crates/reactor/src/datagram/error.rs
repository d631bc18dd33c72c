//! What can go wrong with datagrams, a type for each verb.

use std::io;
use std::net::IpAddr;

use thiserror::Error;

use crate::address::Address;
use crate::endpoint::EndpointError;

/// A datagram socket could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DatagramError {
    /// The endpoint is not one.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Endpoints of that kind are not for datagrams.
    #[error("cannot open a datagram socket: {target} is for something else")]
    WrongKind {
        /// The endpoint.
        target: String,
    },
    /// The endpoint names a host, and names are not looked up here.
    #[error("cannot open a datagram socket: {host:?} is not an IP address")]
    NotAnAddress {
        /// The host.
        host: String,
    },
    /// Neither a local address nor a peer was given.
    #[error("cannot open a datagram socket: no address was given")]
    NoAddress,
    /// The address to be bound and that of the peer are of different kinds, or none that datagrams have.
    #[error("cannot open a datagram socket on {address}: it is of the wrong kind")]
    WrongFamily {
        /// The address.
        address: Address,
    },
    /// Somebody is bound there already.
    #[error("cannot bind a datagram socket to {address}: the address is in use")]
    InUse {
        /// Where.
        address: Address,
        /// The system's error.
        source: io::Error,
    },
    /// The system refused.
    #[error("cannot open a datagram socket on {address}: {source}")]
    System {
        /// Where it was to be bound, or whom it was to be connected with.
        address: Address,
        /// The system's error.
        source: io::Error,
    },
    /// The loop was shut down or dropped.
    #[error("cannot open a datagram socket: the loop has ended")]
    Over,
}

impl DatagramError {
    pub(super) fn system(address: Address, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address, source },
            _ => Self::System { address, source },
        }
    }
}

/// A datagram was not accepted for sending. What goes wrong later is told by
/// [`error_received`](super::DatagramProtocol::error_received).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// It is larger than any datagram can be.
    #[error("a datagram of {size} bytes is too large: at most {limit} can be sent")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The largest size.
        limit: usize,
    },
    /// The target is of another kind than the socket: IPv6 for IPv4, words for an address.
    #[error("cannot send to {target}: this socket is bound to {local}")]
    WrongFamily {
        /// Whom it was for.
        target: Address,
        /// Where the socket is bound.
        local: Address,
    },
    /// The socket is connected, with somebody else.
    #[error("cannot send to {target}: this socket is connected with {peer}")]
    OtherTarget {
        /// Whom it was for.
        target: Address,
        /// The one that the socket is connected with.
        peer: Address,
    },
    /// No target was given, and the socket is not connected; or the target is a UNIX socket without a name.
    #[error("cannot send a datagram to nobody")]
    NoTarget,
    /// Too much waits to be sent already.
    #[error("datagrams of {limit} bytes wait to be sent, and more are not accepted")]
    Full {
        /// How much may wait.
        limit: usize,
    },
    /// The socket is closing or closed.
    #[error("the datagram socket is closed")]
    Closed,
}

/// Something about multicast could not be changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MulticastError {
    /// The address is none of a group.
    #[error("{group} is no multicast address")]
    NotMulticast {
        /// What was given.
        group: IpAddr,
    },
    /// The group is of another kind than the socket.
    #[error("{group} is no group for a socket that is bound to {local}")]
    WrongFamily {
        /// What was given.
        group: IpAddr,
        /// Where the socket is bound.
        local: Address,
    },
    /// The socket is closing or closed.
    #[error("the datagram socket is closed")]
    Closed,
    /// The system refused.
    #[error("the system refused: {0}")]
    System(#[source] io::Error),
}

impl From<SendError> for io::Error {
    fn from(error: SendError) -> Self {
        let kind = match &error {
            SendError::TooLarge { .. }
            | SendError::WrongFamily { .. }
            | SendError::OtherTarget { .. }
            | SendError::NoTarget => io::ErrorKind::InvalidInput,
            SendError::Full { .. } => io::ErrorKind::WouldBlock,
            SendError::Closed => io::ErrorKind::NotConnected,
        };
        Self::new(kind, error)
    }
}
