//! Where the ends of a connection are.
//!
//! - `unix.rs`: the names of UNIX sockets.

mod unix;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

pub use unix::UnixAddress;

/// One end of a connection, or where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// An IP address with its port (and scope, for IPv6).
    Inet(SocketAddr),
    /// The name of a UNIX socket, or that it has none.
    Unix(UnixAddress),
    /// What has no address in that sense: a pipe, a terminal, a file, a process. In words, to be shown.
    Named(Arc<str>),
}

impl Address {
    /// Something without an address, in words.
    pub fn named(words: impl Into<Arc<str>>) -> Self {
        Self::Named(words.into())
    }

    /// The IP address and port, if that is what this is.
    #[must_use]
    pub fn as_inet(&self) -> Option<SocketAddr> {
        match self {
            Self::Inet(address) => Some(*address),
            _ => None,
        }
    }

    /// The name of a UNIX socket, if that is what this is.
    #[must_use]
    pub fn as_unix(&self) -> Option<&UnixAddress> {
        match self {
            Self::Unix(address) => Some(address),
            _ => None,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Inet(address)
    }
}

impl From<UnixAddress> for Address {
    fn from(address: UnixAddress) -> Self {
        Self::Unix(address)
    }
}

impl fmt::Display for Address {
    /// In the form of an endpoint where there is one: `tcp://127.0.0.1:8000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => write!(f, "tcp://{address}"),
            Self::Unix(address) => address.fmt(f),
            Self::Named(words) => f.write_str(words),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_no_larger_than_that_of_an_internet_socket() {
        const { assert!(size_of::<Address>() == size_of::<SocketAddr>()) }
    }
}
