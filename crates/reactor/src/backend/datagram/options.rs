//! How a socket that keeps boundaries is opened, and what can be changed about it.

use std::net::{IpAddr, Ipv4Addr};

use crate::address::Address;

/// How a datagram socket is opened.
///
/// ```
/// use marline_reactor::DatagramOptions;
/// use std::net::SocketAddr;
///
/// let group_port = SocketAddr::from(([0, 0, 0, 0], 5353));
/// let mut options = DatagramOptions::bind(group_port);
/// options.reuse_address = true; // several programs listen to one group
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DatagramOptions {
    /// Where to be reached. Any free port of any interface by default, of the family of the peer.
    pub local: Option<Address>,
    /// Whom to be connected with: only that one is heard, and only that one is sent to.
    pub peer: Option<Address>,
    /// Whether to connect to a UNIX socket that keeps records apart on a connection (SOCK_SEQPACKET), and not to one for
    /// datagrams. No by default.
    pub packets: bool,
    /// Whether the address may be in use by others who say so too (SO_REUSEADDR), as the receivers of a multicast group do. No
    /// by default.
    pub reuse_address: bool,
    /// Whether several sockets share the port, each with its share of the senders (SO_REUSEPORT). No by default.
    pub reuse_port: bool,
    /// Whether datagrams may be sent to broadcast addresses. No by default.
    pub broadcast: bool,
    /// The permissions of the file of a UNIX socket. By default the process's mask decides.
    pub mode: Option<u32>,
    /// How many bytes the system keeps of what arrived (SO_RCVBUF; it may cap the number). What does not fit is lost.
    pub receive_buffer: Option<usize>,
    /// How many bytes the system keeps of what is to leave (SO_SNDBUF; it may cap the number).
    pub send_buffer: Option<usize>,
}

impl DatagramOptions {
    /// To be reached at `local`, where port 0 means any free port.
    #[must_use]
    pub fn bind(local: impl Into<Address>) -> Self {
        Self { local: Some(local.into()), ..Self::default() }
    }

    /// To be connected with `peer`.
    #[must_use]
    pub fn connect(peer: impl Into<Address>) -> Self {
        Self { peer: Some(peer.into()), ..Self::default() }
    }
}

/// Which interface of the machine is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MulticastInterface {
    /// The system chooses.
    #[default]
    Any,
    /// The one that has this address. For IPv4 only.
    Address(Ipv4Addr),
    /// The one with this number (`if_nametoindex(3)`).
    Index(u32),
}

/// What can be changed about an open socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatagramChange {
    /// Whether datagrams may be sent to broadcast addresses.
    Broadcast(bool),
    /// Joins a multicast group, or leaves it.
    Membership(Membership),
    /// Whether what is sent to a group comes back to the groups' members on this machine.
    MulticastLoop(bool),
    /// How many routers what is sent to a group may pass, and one more.
    MulticastTtl(u32),
    /// By way of which interface what is sent to a group leaves.
    MulticastInterface(MulticastInterface),
}

/// A join or a leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The group.
    pub group: IpAddr,
    /// On which interface.
    pub interface: MulticastInterface,
    /// Whether to join; otherwise to leave.
    pub joins: bool,
}
