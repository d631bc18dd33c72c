//! Addresses as the system writes them.

use std::io;

use socket2::{Domain, SockAddr};

use crate::address::{Address, UnixAddress};

pub(super) fn domain(address: &Address) -> io::Result<Domain> {
    match address {
        Address::Inet(address) => Ok(Domain::for_address(*address)),
        Address::Unix(_) => Ok(Domain::UNIX),
        Address::Named(_) => Err(no_socket()),
    }
}

/// An abstract name is a path that begins with a zero byte: unix(7).
pub(super) fn write(address: &Address) -> io::Result<SockAddr> {
    match address {
        Address::Inet(address) => Ok((*address).into()),
        Address::Unix(address) => write_unix(address),
        Address::Named(_) => Err(no_socket()),
    }
}

pub(super) fn write_unix(address: &UnixAddress) -> io::Result<SockAddr> {
    use std::os::unix::ffi::OsStrExt as _;

    if let Some(path) = address.as_path() {
        // To the system, an empty path is a request for a name, and one that begins with a zero byte an abstract name.
        let bytes = path.as_os_str().as_bytes();
        if bytes.is_empty() || bytes.contains(&0) {
            return Err(invalid("the path of a socket is empty, or has a zero byte"));
        }
        return SockAddr::unix(path);
    }
    match address.as_abstract() {
        Some(name) if cfg!(any(target_os = "linux", target_os = "android")) => {
            SockAddr::unix(std::ffi::OsStr::from_bytes(&[&[0], name].concat()))
        }
        Some(_) => {
            Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no abstract socket names"))
        }
        None => Err(invalid("a UNIX socket without a name")),
    }
}

pub(super) fn read(address: &SockAddr) -> io::Result<Address> {
    if let Some(inet) = address.as_socket() {
        return Ok(inet.into());
    }
    if !address.is_unix() {
        return Err(invalid("neither an Internet nor a UNIX socket"));
    }
    let unix = match (address.as_pathname(), address.as_abstract_namespace()) {
        (Some(path), _) => UnixAddress::path(path),
        (None, Some(name)) => UnixAddress::abstract_name(name),
        (None, None) => UnixAddress::unnamed(),
    };
    Ok(unix.into())
}

pub(super) fn no_socket() -> io::Error {
    invalid("not the address of a socket")
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
