//! The list of parts of a vectored send.

use std::io::IoSlice;
use std::ptr;

use crate::backend::Outgoing;

/// How many segments one send offers at most.
pub(super) const PARTS: usize = 64;

/// A `msghdr` with its parts. It is boxed, so it stays where it is while the kernel reads it (R4).
pub(super) struct Message {
    header: libc::msghdr,
    parts: [libc::iovec; PARTS],
}

impl Default for Box<Message> {
    fn default() -> Self {
        let header = libc::msghdr {
            msg_name: ptr::null_mut(),
            msg_namelen: 0,
            msg_iov: ptr::null_mut(),
            msg_iovlen: 0,
            msg_control: ptr::null_mut(),
            msg_controllen: 0,
            msg_flags: 0,
        };
        let nothing = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        Box::new(Message { header, parts: [nothing; PARTS] })
    }
}

impl Message {
    /// Lists the parts of `outgoing`. What this points to is valid while this and `outgoing` are left alone.
    pub(super) fn fill(&mut self, outgoing: &Outgoing) -> *const libc::msghdr {
        let mut slices = [IoSlice::new(&[]); PARTS];
        let filled = outgoing.fill(&mut slices);
        for (part, slice) in self.parts.iter_mut().zip(&slices[..filled]) {
            *part = libc::iovec { iov_base: slice.as_ptr().cast_mut().cast(), iov_len: slice.len() };
        }
        self.header.msg_iov = self.parts.as_mut_ptr();
        self.header.msg_iovlen = filled;
        &raw const self.header
    }
}
