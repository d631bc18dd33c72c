//! What the whole process shares: its handlers of signals.
//!
//! The handler itself is that of `signal-hook`: it writes one byte to a socket that does not block, for each loop that
//! watches the signal, and then calls the handler that was there before, if there was one. Once installed it stays. So what
//! the process did before, when nobody watched, is done by a second action, which is told whether somebody does.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use signal_hook::{SigId, flag, low_level};

use super::SignalKind;
use super::disposition::{Disposition, disposition};

/// The signals for which the handler is installed.
static INSTALLED: Mutex<BTreeMap<SignalKind, Installed>> = Mutex::new(BTreeMap::new());

struct Installed {
    /// How many loops watch it.
    watchers: usize,
    /// While it is set, the signal does what the system does by itself.
    unwatched: Arc<AtomicBool>,
    /// Whether that was what it did before anybody watched.
    was_default: bool,
}

/// One loop's watch of one signal.
#[derive(Debug)]
pub(super) struct SignalSocket {
    signal: SignalKind,
    action: SigId,
    near: UnixStream,
}

impl SignalSocket {
    pub(super) fn new(signal: SignalKind) -> io::Result<Self> {
        let (near, far) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        let mut installed = INSTALLED.lock();
        begin(&mut installed, signal)?;
        match low_level::pipe::register(signal.as_raw(), far) {
            Ok(action) => Ok(Self { signal, action, near }),
            Err(error) => {
                end(&mut installed, signal);
                Err(error)
            }
        }
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.near.as_raw_fd()
    }

    /// Takes what the handler has written: whether it wrote something.
    pub(super) fn take(&self) -> bool {
        let (mut bytes, mut came) = ([0; 64], false);
        loop {
            match (&self.near).read(&mut bytes) {
                Ok(0) => return came,
                Ok(_) => came = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return came,
            }
        }
    }
}

impl Drop for SignalSocket {
    fn drop(&mut self) {
        let mut installed = INSTALLED.lock();
        end(&mut installed, self.signal);
        low_level::unregister(self.action);
    }
}

/// One more loop watches.
fn begin(installed: &mut BTreeMap<SignalKind, Installed>, signal: SignalKind) -> io::Result<()> {
    let entry = match installed.entry(signal) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => entry.insert(Installed::new(signal)?),
    };
    entry.watchers += 1;
    entry.unwatched.store(false, Ordering::SeqCst);
    Ok(())
}

impl Installed {
    fn new(signal: SignalKind) -> io::Result<Self> {
        let was_default = disposition(signal)? == Disposition::Default;
        let unwatched = Arc::new(AtomicBool::new(false));
        if was_default && signal.name().is_some() {
            flag::register_conditional_default(signal.as_raw(), Arc::clone(&unwatched))?;
        }
        Ok(Self { watchers: 0, unwatched, was_default })
    }
}

/// One loop less watches.
fn end(installed: &mut BTreeMap<SignalKind, Installed>, signal: SignalKind) {
    if let Some(entry) = installed.get_mut(&signal) {
        entry.watchers -= 1;
        entry.unwatched.store(entry.watchers == 0 && entry.was_default, Ordering::SeqCst);
    }
}

/// If the handler is installed, what the system did by itself before is not done again when nobody watches any more.
pub(super) fn forget_default(signal: SignalKind) {
    if let Some(entry) = INSTALLED.lock().get_mut(&signal) {
        entry.was_default = false;
        entry.unwatched.store(false, Ordering::SeqCst);
    }
}
