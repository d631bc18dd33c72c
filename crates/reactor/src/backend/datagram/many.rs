//! Many datagrams in one system call: recvmmsg(2) and sendmmsg(2).
//!
//! Sending is safe, by way of rustix. No crate offers the receiving call in a form that can be made again with other memory
//! and without an allocation, so it is made here:
//!
//! - **N1** Whatever the kernel writes to is borrowed exclusively for the whole call. Every pointer that it gets is made for
//!   this one call, from the arrays and the memory that the caller lent for it, and is not looked at afterwards.
//! - **N2** It gets as many headers as it is told, each with a part of the memory that no other header has, and a name as long
//!   as it is told.
//! - **N3** What it says of names is believed as far as it wrote them: they were zeros before, and are addresses of the family
//!   that they say.

#![allow(unsafe_code)]

use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SocketAddrAny};
use socket2::{SockAddr, SockAddrStorage};

use super::names::to_target;
use super::one::{self, SEND};
use super::socket::Layout;
use super::{BATCH, DatagramQueue, Datagrams};
use crate::address::Address;
use crate::backend::SystemCalls;
use crate::backend::socket::read_address;

/// Memory for the arguments of the receiving call, and for what it answers.
#[derive(Default)]
pub(super) struct Arrays {
    headers: Vec<libc::mmsghdr>,
    parts: Vec<libc::iovec>,
    names: Vec<SockAddrStorage>,
    controls: Vec<Control>,
}

/// Room for the credentials of who sent a record, and for nothing else: descriptors that come along find none, and are closed.
/// A record has them, if they were asked for (SO_PASSCRED), and the end of a connection has not.
type Control = [u64; 4];

/// The last sender of one socket whose address takes an allocation: as the system has it, and as we have it.
#[derive(Debug, Default)]
pub(super) struct LastSender(Option<Box<(SockAddr, Address)>>);

impl Arrays {
    /// Makes the arguments of a call (N1, N2).
    fn prepare(&mut self, memory: &mut [u8], layout: Layout) {
        self.headers.clear();
        self.parts.clear();
        self.names.resize_with(BATCH.max(layout.count), SockAddrStorage::zeroed);
        let slots = memory.chunks_exact_mut(layout.slot).take(layout.count);
        self.parts.extend(
            slots.map(|slot| libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len() }),
        );
        for (part, name) in self.parts.iter_mut().zip(&mut self.names) {
            *name = SockAddrStorage::zeroed();
            // SAFETY: a header of zeros has neither name, nor parts, nor control data. (Some systems have more fields.)
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
            header.msg_hdr.msg_namelen = name.size_of();
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
            self.headers.push(header);
        }
        if !layout.has_end {
            return;
        }
        self.controls.resize(self.headers.len(), Control::default());
        for (header, control) in self.headers.iter_mut().zip(&mut self.controls) {
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = size_of::<Control>() as _;
        }
    }

    /// Whether what came at `index` is the end of a connection.
    fn is_end(&self, index: usize, layout: Layout) -> bool {
        let header = &self.headers[index];
        layout.has_end && header.msg_len == 0 && header.msg_hdr.msg_controllen == 0
    }

    /// Who sent the datagram at `index`. `None` if the system does not say.
    fn sender(&mut self, index: usize, last: &mut LastSender) -> Option<Address> {
        let len = self.headers[index].msg_hdr.msg_namelen;
        let name = std::mem::replace(&mut self.names[index], SockAddrStorage::zeroed());
        if len == 0 {
            return None;
        }
        // SAFETY: N3.
        let name = unsafe { SockAddr::new(name, len) };
        if let Some(address) = name.as_socket() {
            return Some(Address::Inet(address));
        }
        if let Some(last) = last.0.as_deref().filter(|last| last.0 == name) {
            return Some(last.1.clone());
        }
        let address = read_address(&name).ok()?;
        last.0 = Some(Box::new((name, address.clone())));
        Some(address)
    }
}

/// Receives datagrams until there is no more, or `layout` is full: how many. None is the end of a connection.
pub(super) fn receive(
    fd: BorrowedFd<'_>,
    arrays: &mut Arrays,
    batch: &mut Datagrams,
    layout: Layout,
    (nameless, last): (&Address, &mut LastSender),
    calls: &mut SystemCalls,
) -> Result<usize, Errno> {
    calls.receives += 1;
    let received = call(fd, arrays, batch.memory(layout.size()), layout)?;
    for index in 0..received {
        if arrays.is_end(index, layout) {
            return Ok(index);
        }
        let header = &arrays.headers[index];
        let (count, is_cut) = (header.msg_len as usize, header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0);
        let range = within(index, count, layout);
        let sender = arrays.sender(index, last);
        batch.add(range, sender.as_ref().unwrap_or(nameless), is_cut);
    }
    Ok(received)
}

fn within(index: usize, count: usize, layout: Layout) -> Range<usize> {
    let start = index * layout.slot;
    start..start + count.min(layout.slot)
}

fn call(fd: BorrowedFd<'_>, arrays: &mut Arrays, memory: &mut [u8], layout: Layout) -> Result<usize, Errno> {
    arrays.prepare(memory, layout);
    let (headers, count) = (arrays.headers.as_mut_ptr(), arrays.headers.len());
    #[allow(clippy::cast_possible_truncation)]
    // SAFETY: N1, N2.
    let received = unsafe {
        libc::recvmmsg(
            fd.as_raw_fd(),
            headers,
            count as libc::c_uint,
            libc::MSG_DONTWAIT as _,
            std::ptr::null_mut(),
        )
    };
    // Negative numbers are errors, and the number of the error is the thread's last.
    usize::try_from(received)
        .map(|received| received.min(count))
        .map_err(|_| Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO))
}

/// Sends from the front of `queue`: how many, at least one.
pub(super) fn send(fd: BorrowedFd<'_>, queue: &DatagramQueue, calls: &mut SystemCalls) -> io::Result<usize> {
    match queue.len() {
        0 => Ok(0),
        1 => {
            let first = queue.iter().next();
            first.map_or(Ok(0), |(bytes, target)| one::send(fd, bytes, target, calls).map(|()| 1))
        }
        2..=8 => send_array::<8>(fd, queue, calls),
        _ => send_array::<BATCH>(fd, queue, calls),
    }
}

/// The arguments lie on the stack, and are all made, so there are two sizes.
fn send_array<const N: usize>(
    fd: BorrowedFd<'_>,
    queue: &DatagramQueue,
    calls: &mut SystemCalls,
) -> io::Result<usize> {
    let mut parts = [[IoSlice::new(&[])]; N];
    let mut targets: [Option<SocketAddrAny>; N] = [const { None }; N];
    let mut count = 0;
    for (bytes, target) in queue.iter().take(N) {
        targets[count] = match target.map(to_target).transpose() {
            Ok(target) => target,
            Err(_) if count > 0 => break,
            Err(error) => return Err(error),
        };
        parts[count] = [IoSlice::new(bytes)];
        count += 1;
    }
    let mut controls: [SendAncillaryBuffer<'_, '_, '_>; N] =
        std::array::from_fn(|_| SendAncillaryBuffer::default());
    let mut arguments = targets.iter().zip(&parts);
    let mut messages = controls.each_mut().map(|control| match arguments.next() {
        Some((Some(target), parts)) => MMsgHdr::new_with_addr(target, parts, control),
        Some((None, parts)) => MMsgHdr::new(parts, control),
        None => MMsgHdr::new(&[], control),
    });
    calls.sends += 1;
    Ok(rustix::net::sendmmsg(fd, &mut messages[..count], SEND)?)
}
