//! What an endpoint names.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;
use std::path::PathBuf;

use super::kind::EndpointParts;
use crate::address::{Address, UnixAddress};

/// What an endpoint names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Tcp(Host),
    Udp(Host),
    Unix(UnixAddress),
    UnixDatagram(UnixAddress),
    UnixSeqpacket(UnixAddress),
    Stdio,
    Descriptor(RawFd),
    /// A descriptor that the service manager passed, by its name or number.
    Systemd(String),
    Pipe(PathBuf),
    Exec(String),
    Pty(String),
    /// A kind that the program added.
    Registered(EndpointParts),
}

/// A machine, and a port on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    /// Nothing to resolve.
    Literal(SocketAddr),
    Name {
        name: String,
        port: u16,
    },
}

impl Host {
    /// Leaves out the flow label, which a string cannot express and a program does not choose.
    pub(super) fn literal(ip: IpAddr, scope: u32, port: u16) -> Self {
        let mut address = SocketAddr::new(ip, port);
        if let SocketAddr::V6(address) = &mut address {
            address.set_scope_id(scope);
        }
        Self::Literal(address)
    }

    /// The name, or an address without brackets.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Literal(SocketAddr::V6(address)) if address.scope_id() != 0 => {
                format!("{}%{}", address.ip(), address.scope_id())
            }
            Self::Literal(address) => address.ip().to_string(),
            Self::Name { name, .. } => name.clone(),
        }
    }

    pub(crate) const fn port(&self) -> u16 {
        match self {
            Self::Literal(address) => address.port(),
            Self::Name { port, .. } => *port,
        }
    }
}

impl From<SocketAddr> for Host {
    fn from(address: SocketAddr) -> Self {
        let scope = match &address {
            SocketAddr::V4(_) => 0,
            SocketAddr::V6(address) => address.scope_id(),
        };
        Self::literal(address.ip(), scope, address.port())
    }
}

impl Target {
    /// The host and port, if it has such.
    pub(crate) const fn host(&self) -> Option<&Host> {
        match self {
            Self::Tcp(host) | Self::Udp(host) => Some(host),
            _ => None,
        }
    }

    /// The address, if it has one and there is nothing to resolve.
    pub(crate) fn literal(&self) -> Option<Address> {
        match self {
            Self::Tcp(Host::Literal(address)) | Self::Udp(Host::Literal(address)) => Some((*address).into()),
            Self::Unix(address) | Self::UnixDatagram(address) | Self::UnixSeqpacket(address) => {
                Some(address.clone().into())
            }
            _ => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(address) => address.fmt(f),
            Self::Name { name, port } => write!(f, "{name}:{port}"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host) => write!(f, "tcp://{host}"),
            Self::Udp(host) => write!(f, "udp://{host}"),
            Self::Unix(address) => address.fmt(f),
            Self::UnixDatagram(address) => write!(f, "{}", other_unix("unix-datagram", address)),
            Self::UnixSeqpacket(address) => write!(f, "{}", other_unix("unix-seqpacket", address)),
            Self::Stdio => f.write_str("stdio:"),
            Self::Descriptor(number) => write!(f, "fd://{number}"),
            Self::Systemd(name) => write!(f, "systemd://{name}"),
            Self::Pipe(path) => write!(f, "pipe://{}", path.display()),
            Self::Exec(command) => write!(f, "exec:{command}"),
            Self::Pty(command) => write!(f, "pty:{command}"),
            Self::Registered(parts) => write!(f, "{}:{}", parts.scheme(), parts.rest()),
        }
    }
}

/// Abstract names of these kinds begin with an at sign, as in the tables of ss(8).
fn other_unix(scheme: &str, address: &UnixAddress) -> String {
    match (address.as_path(), address.as_abstract()) {
        (Some(path), _) => format!("{scheme}://{}", path.display()),
        (_, Some(name)) => format!("{scheme}://@{}", String::from_utf8_lossy(name)),
        _ => format!("{scheme}:"),
    }
}
