//! One datagram in one system call.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendFlags, SocketAddrAny,
};

use super::names::to_target;
use crate::address::Address;
use crate::backend::SystemCalls;

/// A dead peer is an error, and never a signal.
#[cfg(not(target_vendor = "apple"))]
pub(super) const SEND: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
/// There is no such flag here; Rust's runtime has the signal ignored before `main`.
#[cfg(target_vendor = "apple")]
pub(super) const SEND: SendFlags = SendFlags::DONTWAIT;

/// Sends a datagram: all of it, as there is no other way.
pub(super) fn send(
    fd: BorrowedFd<'_>,
    bytes: &[u8],
    target: Option<&Address>,
    calls: &mut SystemCalls,
) -> io::Result<()> {
    let target = target.map(to_target).transpose()?;
    let (parts, mut control) = ([IoSlice::new(bytes)], SendAncillaryBuffer::default());
    calls.sends += 1;
    let sent = match &target {
        Some(target) => rustix::net::sendmsg_addr(fd, target, &parts, &mut control, SEND),
        None => rustix::net::sendmsg(fd, &parts, &mut control, SEND),
    };
    Ok(sent.map(drop)?)
}

/// Receives a datagram into `memory`: how many bytes, whether it was cut, and who sent it.
#[cfg_attr(all(target_os = "linux", not(test)), allow(dead_code))]
pub(super) fn receive(
    fd: BorrowedFd<'_>,
    memory: &mut [u8],
    calls: &mut SystemCalls,
) -> Result<(usize, bool, Option<SocketAddrAny>), Errno> {
    calls.receives += 1;
    let mut control = RecvAncillaryBuffer::default();
    let received =
        rustix::net::recvmsg(fd, &mut [IoSliceMut::new(memory)], &mut control, RecvFlags::DONTWAIT)?;
    Ok((received.bytes, received.flags.contains(ReturnFlags::TRUNC), received.address))
}
