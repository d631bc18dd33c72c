//! What a resolver is asked.

use std::net::SocketAddr;

/// The question for the addresses of a host.
///
/// ```
/// use marline_reactor::{Answer, Handle, Query};
/// use std::net::SocketAddr;
///
/// /// A resolver for a machine where every name is the machine itself.
/// fn resolve(_: &Handle, query: Query, answer: Answer) {
///     println!("{} is here", query.host());
///     answer.all([SocketAddr::from(([127, 0, 0, 1], query.port()))]);
/// }
///
/// let reactor = marline_reactor::Builder::new().resolver(resolve).build()?;
/// # Ok::<(), marline_reactor::CreateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    host: String,
    port: u16,
}

impl Query {
    pub(crate) fn new(host: String, port: u16) -> Self {
        Self { host, port }
    }

    /// The name, as it stands in the endpoint. It is no IP address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port that is to be connected to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// The family of an IP address. In the DNS each is a question by itself.
///
/// ```
/// use marline_reactor::Family;
///
/// let address = "[2001:db8::1]:80".parse().expect("an address");
/// assert_eq!(Family::of(&address), Family::V6);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4: the records of the type A.
    V4,
    /// IPv6: the records of the type AAAA.
    V6,
}

impl Family {
    /// The family of this address.
    #[must_use]
    pub const fn of(address: &SocketAddr) -> Self {
        match address {
            SocketAddr::V4(_) => Self::V4,
            SocketAddr::V6(_) => Self::V6,
        }
    }

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }
}
