//! Descriptors that the program began with.
//!
//! **I1** A number is taken over only if its close-on-exec flag is not set. Whatever the standard library, this crate and its
//! dependencies open has that flag, so such a descriptor was inherited, or made on purpose to be named by its number; nobody in
//! this process owns it as a value.
//!
//! **I2** Taking over sets the flag, under a lock. So a number is taken over once, and none of the standard three ever is: those
//! belong to the standard library.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use parking_lot::Mutex;
use rustix::io::FdFlags;

/// Where the descriptors of the service manager begin (`sd_listen_fds(3)`).
const FIRST: RawFd = 3;

static TAKING: Mutex<()> = Mutex::new(());

/// Takes over the descriptor of that number.
///
/// # Errors
///
/// `NotFound` if there is none, `AlreadyExists` if it is somebody's already.
pub(crate) fn take(number: RawFd) -> io::Result<OwnedFd> {
    if number < FIRST {
        return copy_of_standard(number);
    }
    let _one_at_a_time = TAKING.lock();
    // SAFETY: it is looked at only; a number that stands for nothing is an error of the call's.
    let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = rustix::io::fcntl_getfd(descriptor)
        .map_err(|_| io::Error::new(io::ErrorKind::NotFound, format!("there is no descriptor {number}")))?;
    if flags.contains(FdFlags::CLOEXEC) {
        let taken = format!("descriptor {number} was not inherited, or is in use already");
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, taken));
    }
    rustix::io::fcntl_setfd(descriptor, flags | FdFlags::CLOEXEC)?;
    // SAFETY: I1, I2.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn copy_of_standard(number: RawFd) -> io::Result<OwnedFd> {
    let copied = match number {
        0 => rustix::io::fcntl_dupfd_cloexec(io::stdin(), FIRST),
        1 => rustix::io::fcntl_dupfd_cloexec(io::stdout(), FIRST),
        2 => rustix::io::fcntl_dupfd_cloexec(io::stderr(), FIRST),
        _ => Err(rustix::io::Errno::BADF),
    };
    Ok(copied?)
}

/// Takes over a descriptor that the service manager passed, by its name or its number from 0 on.
pub(crate) fn from_service_manager(name: &str) -> io::Result<OwnedFd> {
    let of = |variable: &str| std::env::var(variable).unwrap_or_default();
    let passed =
        Passed { process: &of("LISTEN_PID"), count: &of("LISTEN_FDS"), names: &of("LISTEN_FDNAMES") };
    passed.take(name, std::process::id())
}

/// What the environment says of the descriptors.
struct Passed<'a> {
    process: &'a str,
    count: &'a str,
    names: &'a str,
}

impl Passed<'_> {
    fn take(&self, name: &str, process: u32) -> io::Result<OwnedFd> {
        // The environment may speak of as many as it likes.
        take(FIRST.saturating_add(self.find(name, process)?))
    }

    fn find(&self, name: &str, process: u32) -> io::Result<RawFd> {
        let missing = |why: &str| Err(io::Error::new(io::ErrorKind::NotFound, why.to_owned()));
        if self.process.parse() != Ok(process) {
            return missing("the service manager passed no descriptors to this process (LISTEN_PID)");
        }
        let count: RawFd = self.count.parse().unwrap_or(0);
        let named = self.names.split(':').position(|known| known == name).and_then(|at| at.try_into().ok());
        match named.or_else(|| name.parse().ok()) {
            Some(index) if (0..count).contains(&index) => Ok(index),
            _ => missing(&format!(
                "the service manager passed no descriptor {name:?} (LISTEN_FDS, LISTEN_FDNAMES)"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd as _, IntoRawFd as _};

    use super::*;

    #[test]
    fn a_descriptor_is_found_by_its_name_or_number() {
        let passed = Passed { process: "7", count: "3", names: "http:admin:metrics" };
        assert_eq!(passed.find("http", 7).unwrap(), 0);
        assert_eq!(passed.find("metrics", 7).unwrap(), 2);
        assert_eq!(passed.find("1", 7).unwrap(), 1);
        for wrong in ["3", "-1", "none", ""] {
            assert_eq!(passed.find(wrong, 7).unwrap_err().kind(), io::ErrorKind::NotFound, "{wrong}");
        }
        assert_eq!(passed.find("http", 8).unwrap_err().kind(), io::ErrorKind::NotFound);
        let more = Passed { process: "7", count: "1", names: "http:admin" };
        assert!(more.find("admin", 7).is_err(), "a name without a descriptor");
        let all = Passed { process: "7", count: "2147483647", names: "" };
        assert_eq!(all.take("2147483646", 7).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_was_not_inherited_is_not_taken_over_and_nothing_is_twice() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(take(file.as_raw_fd()).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(take(1_000_000).unwrap_err().kind(), io::ErrorKind::NotFound);
        // As if it had been inherited: nobody owns it as a value.
        rustix::io::fcntl_setfd(&file, FdFlags::empty()).unwrap();
        let number = file.into_raw_fd();
        let taken = take(number).unwrap();
        assert_eq!(taken.as_raw_fd(), number);
        assert_eq!(take(number).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}
