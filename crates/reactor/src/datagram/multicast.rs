//! Groups, and what else can be changed about a socket.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::MulticastError;
use super::open::are_of_one_kind;
use crate::address::Address;
use crate::backend::{DatagramChange, Membership};
use crate::key::Key;
use crate::reactor::Shell;

impl Shell {
    pub(crate) fn change_membership(&self, key: Key, membership: Membership) -> Result<(), MulticastError> {
        let group: IpAddr = membership.group;
        if !group.is_multicast() {
            return Err(MulticastError::NotMulticast { group });
        }
        let local = self.port(key, |port| port.local.clone()).ok_or(MulticastError::Closed)?;
        if !are_of_one_kind(&local, &Address::Inet(SocketAddr::new(group, 0))) {
            return Err(MulticastError::WrongFamily { group, local });
        }
        self.change_multicast(key, &DatagramChange::Membership(membership))
    }

    pub(crate) fn change_multicast(&self, key: Key, change: &DatagramChange) -> Result<(), MulticastError> {
        self.change_datagram(key, change).map_err(|error| match error.kind() {
            io::ErrorKind::NotConnected => MulticastError::Closed,
            _ => MulticastError::System(error),
        })
    }

    pub(crate) fn change_datagram(&self, key: Key, change: &DatagramChange) -> io::Result<()> {
        if self.port(key, |port| port.is_closing()).unwrap_or(true) || self.is_ended() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        match self.backend().datagrams() {
            Some(backend) => backend.change_datagram(key, change),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}
