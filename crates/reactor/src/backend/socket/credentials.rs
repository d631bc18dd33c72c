//! Who is at the other end of a UNIX socket: SO_PEERCRED, unix(7).
//!
//! The wrappers of other crates give the process's number a type that cannot be zero, which it is when the peer lives in another
//! namespace. So the call is made here.
//!
//! - **K1** The system writes no more than the size that it is told, and any bytes are valid in what it writes to.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

use crate::backend::SystemCalls;
use crate::credentials::Credentials;

pub(in crate::backend) fn peer_credentials(
    socket: &impl AsFd,
    calls: &mut SystemCalls,
) -> io::Result<Credentials> {
    let mut known = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut size = libc::socklen_t::try_from(size_of::<libc::ucred>()).map_err(io::Error::other)?;
    calls.others += 1;
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: `known` is three integers, and `size` its size (K1). Both outlive the call, and the descriptor is open.
    let answer = unsafe {
        libc::getsockopt(
            descriptor,
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut known).cast(),
            &raw mut size,
        )
    };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    let pid = u32::try_from(known.pid).ok().filter(|pid| *pid != 0);
    Ok(Credentials { pid, uid: known.uid, gid: known.gid })
}
