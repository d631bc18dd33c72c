//! Addresses, as the system has them.

use std::io;

use rustix::net::SocketAddrAny;
use socket2::SockAddr;

use crate::address::Address;

/// For binding and connecting.
pub(super) fn to_name(address: &Address) -> io::Result<SockAddr> {
    match address {
        Address::Inet(address) => Ok((*address).into()),
    }
}

/// For sending.
pub(super) fn to_target(address: &Address) -> io::Result<SocketAddrAny> {
    match address {
        Address::Inet(address) => Ok((*address).into()),
    }
}

/// What the system calls somebody. `None` if that is nothing we have a word for.
pub(super) fn from_name(name: &SockAddr) -> Option<Address> {
    name.as_socket().map(Address::Inet)
}
