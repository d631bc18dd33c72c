//! How to listen and to connect.

use crate::address::Address;

/// How to listen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListenOptions {
    /// How many connections the system keeps that were not accepted yet (it may cap the number). 1 024 by default.
    pub backlog: u32,
    /// Whether a port can be bound again while old connections of it linger. Yes by default.
    pub reuse_address: bool,
    /// Whether several listeners share the port, each with its share of the connections. No by default.
    pub reuse_port: bool,
    /// Whether small writes leave at once (TCP_NODELAY). Yes by default: a turn's writes are joined anyway.
    pub nodelay: bool,
    /// The permissions of the file of a UNIX socket. By default the process's mask decides.
    pub mode: Option<u32>,
    /// Whether its connections [carry descriptors](super::Backend::carries_descriptors). No by default.
    pub descriptors: bool,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            backlog: 1024,
            reuse_address: true,
            reuse_port: false,
            nodelay: true,
            mode: None,
            descriptors: false,
        }
    }
}

/// How to connect.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// The local address to connect from. Any by default.
    pub bind: Option<Address>,
    /// Whether small writes leave at once (TCP_NODELAY). Yes by default.
    pub nodelay: bool,
    /// Whether the connection [carries descriptors](super::Backend::carries_descriptors). No by default.
    pub descriptors: bool,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { bind: None, nodelay: true, descriptors: false }
    }
}
