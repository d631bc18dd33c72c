//! A child process of the system's.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};

use super::Exit;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use super::no_pidfd as pidfd;
#[cfg(any(target_os = "linux", target_os = "android"))]
use super::pidfd;
use crate::backend::Opening;
use crate::os_signal::SignalKind;

/// How long the end of a loop waits for a child that it has killed.
const GRACE: Duration = Duration::from_secs(1);

/// Children that outlived their loop. Whoever starts another one, or ends a loop, collects those that have ended.
static ORPHANS: Mutex<Vec<std::process::Child>> = Mutex::new(Vec::new());

/// A child process, as the loop knows it: the system's, or one of a backend without a kernel.
pub trait Child {
    /// Its number.
    fn id(&self) -> u32;

    /// A descriptor that is readable when it has ended. `None` (the default) if there is none: the backend tells, or SIGCHLD
    /// does.
    fn descriptor(&self) -> Option<RawFd> {
        None
    }

    /// Whether the backend tells of the exit, by a [`Ready`](crate::backend::Completion::Ready) of the key that it was
    /// [started](crate::backend::Backend::spawn) for. `false` is the default.
    fn is_told(&self) -> bool {
        false
    }

    /// How it ended, if it did; then its status is collected, and its number may be somebody else's.
    fn try_exit(&mut self) -> Option<Exit>;

    /// Sends it a signal. It is not called after [`try_exit`](Self::try_exit) has answered.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn signal(&mut self, signal: SignalKind) -> io::Result<()>;

    /// Kills it, and collects its status, for which it waits a moment.
    fn end(&mut self);
}

/// One of the operating system's.
#[derive(Debug)]
pub(super) struct SystemChild {
    /// `None` once its status was collected.
    child: Option<std::process::Child>,
    id: u32,
    pidfd: Option<OwnedFd>,
}

impl SystemChild {
    /// A child that was started just now.
    pub(super) fn new(child: std::process::Child) -> io::Result<Self> {
        let id = child.id();
        let mut this = Self { child: Some(child), id, pidfd: None };
        let opened = this.pid().map_or(Ok(None), pidfd::open);
        match opened {
            Ok(pidfd) => {
                this.pidfd = pidfd;
                Ok(this)
            }
            Err(error) => {
                this.end();
                Err(error)
            }
        }
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.id).ok().and_then(Pid::from_raw)
    }
}

impl Child for SystemChild {
    fn id(&self) -> u32 {
        self.id
    }

    fn descriptor(&self) -> Option<RawFd> {
        self.pidfd.as_ref().map(AsRawFd::as_raw_fd)
    }

    fn try_exit(&mut self) -> Option<Exit> {
        let exit = match self.child.as_mut()?.try_wait() {
            Ok(status) => Exit::from(status?),
            // ECHILD: somebody else has waited for it, or the system keeps no status for us.
            Err(_) => Exit::Unknown,
        };
        self.child = None;
        Some(exit)
    }

    /// The status was not collected, so the number is still the child's, with and without a pidfd.
    fn signal(&mut self, signal: SignalKind) -> io::Result<()> {
        let known = Signal::from_named_raw(signal.as_raw());
        let (Some(known), Some(pid)) = (known, self.pid()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        match &self.pidfd {
            Some(pidfd) => pidfd::send(pidfd, known),
            None => Ok(kill_process(pid, known)?),
        }
    }

    fn end(&mut self) {
        if self.child.is_none() {
            return;
        }
        // An error would say that it has ended.
        let _ = self.signal(SignalKind::KILL);
        match (&self.pidfd, &mut self.child) {
            (Some(pidfd), _) => {
                let limit = Timespec::try_from(GRACE).ok();
                // What is not dead then is left to whoever comes later.
                let _ = poll(&mut [PollFd::new(pidfd, PollFlags::IN)], limit.as_ref());
            }
            (None, Some(child)) => _ = child.wait(),
            (None, None) => {}
        }
        self.try_exit();
    }
}

impl Drop for SystemChild {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            ORPHANS.lock().push(child);
        }
    }
}

/// Collects the status of those that outlived their loop, as far as they have ended.
pub(super) fn collect_orphans() {
    ORPHANS.lock().retain_mut(|child| matches!(child.try_wait(), Ok(None)));
}

/// A child process that a backend started itself.
pub struct Spawned {
    /// The child.
    pub child: Box<dyn Child>,
    /// Our ends of its pipes, with the child's numbers.
    pub pipes: Vec<(RawFd, Opening)>,
}

impl fmt::Debug for Spawned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spawned({})", self.child.id())
    }
}
