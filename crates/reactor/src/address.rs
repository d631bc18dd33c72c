//! Where the ends of a connection are.

use std::fmt;
use std::net::SocketAddr;

/// One end of a connection, or where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// An IP address with its port (and scope, for IPv6).
    Inet(SocketAddr),
}

impl Address {
    /// The IP address and port, if that is what this is.
    #[must_use]
    pub fn as_inet(&self) -> Option<SocketAddr> {
        match self {
            Self::Inet(address) => Some(*address),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Inet(address)
    }
}

impl fmt::Display for Address {
    /// In the form of an endpoint: `tcp://127.0.0.1:8000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// Both ends of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Our end.
    pub local: Address,
    /// The other end.
    pub peer: Address,
}
