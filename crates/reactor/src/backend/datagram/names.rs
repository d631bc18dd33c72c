//! Addresses, as the calls that send and receive have them.

use std::io;
use std::net::SocketAddr;

use rustix::net::{SocketAddrAny, SocketAddrUnix};

use crate::address::{Address, UnixAddress};

/// Whom to send to.
pub(super) fn to_target(address: &Address) -> io::Result<SocketAddrAny> {
    match address {
        Address::Inet(address) => Ok((*address).into()),
        Address::Unix(address) => Ok(to_unix(address)?.into()),
        Address::Named(_) => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn to_unix(address: &UnixAddress) -> io::Result<SocketAddrUnix> {
    match (address.as_path(), address.as_abstract()) {
        (Some(path), _) => Ok(SocketAddrUnix::new(path)?),
        (None, Some(name)) => to_abstract(name),
        (None, None) => Err(io::ErrorKind::InvalidInput.into()),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn to_abstract(name: &[u8]) -> io::Result<SocketAddrUnix> {
    Ok(SocketAddrUnix::new_abstract_name(name)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn to_abstract(_: &[u8]) -> io::Result<SocketAddrUnix> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Who has sent something. `None` for whoever has no name.
#[cfg_attr(all(target_os = "linux", not(test)), allow(dead_code))]
pub(super) fn from_target(target: SocketAddrAny) -> Option<Address> {
    if let Ok(address) = SocketAddr::try_from(target.clone()) {
        return Some(address.into());
    }
    let unix = SocketAddrUnix::try_from(target).ok()?;
    let path = unix.path_bytes().filter(|path| !path.is_empty());
    path.map(|path| {
        let path: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(path);
        UnixAddress::path(path).into()
    })
}
