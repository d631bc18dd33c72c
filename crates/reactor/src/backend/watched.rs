//! One source that somebody else owns, watched by a readiness multiplexer.
//!
//! EPOLL_CTL_MOD reports the present state as a new event (`ep_modify` polls the file), which is what a change of interest
//! does here, and what a level-triggered watch is made of. mio has no empty interest, and epoll would tell of a hang-up
//! whatever is asked for, so a source that nobody is interested in is not registered at all.

use std::io;
use std::os::fd::RawFd;

use mio::unix::SourceFd;

use super::bits::Bits;
use super::poller::{Event, Poller, says};
use super::{Completion, SystemCalls};
use crate::key::Key;
use crate::watch::{Interest, Ready, change_mio, probe_mio};

/// A watched source.
#[derive(Debug)]
pub(super) struct Watched {
    /// `None` for one that registers itself.
    descriptor: Option<RawFd>,
    registered: bool,
}

impl Watched {
    /// One that registers itself.
    pub(super) fn registered() -> Self {
        Self { descriptor: None, registered: false }
    }

    pub(super) fn register(
        descriptor: RawFd,
        key: Key,
        interest: Interest,
        poller: &Poller,
        calls: &mut SystemCalls,
    ) -> io::Result<Self> {
        let mut watched = Self { descriptor: Some(descriptor), registered: false };
        if interest.to_mio().is_none() {
            // Nothing would be registered, and nothing found out about it: whose it is, and whether it can be waited for.
            calls.registrations += 2;
            probe_mio(poller.registry(), key, &mut SourceFd(&descriptor))?;
        }
        watched.change(key, interest, poller, calls)?;
        Ok(watched)
    }

    /// Another interest, or the same again.
    pub(super) fn change(
        &mut self,
        key: Key,
        interest: Interest,
        poller: &Poller,
        calls: &mut SystemCalls,
    ) -> io::Result<()> {
        let Some(descriptor) = self.descriptor else { return Ok(()) };
        let mut source = SourceFd(&descriptor);
        let registry = poller.registry();
        calls.registrations += u64::from(self.registered || interest.to_mio().is_some());
        self.registered = change_mio(registry, key, &mut source, self.registered, interest)?;
        Ok(())
    }

    /// Does what is due about `event`.
    pub(super) fn advance(&self, event: &mut Event) -> Option<Completion> {
        event.due = Bits::NONE;
        let says = event.says;
        let ready = Ready::READABLE.when(says.has(says::READABLE))
            | Ready::WRITABLE.when(says.has(says::WRITABLE))
            | Ready::PRIORITY.when(says.has(says::URGENT))
            | Ready::READ_CLOSED.when(says.has(says::ENDED))
            | Ready::WRITE_CLOSED.when(says.has(says::HUNG_UP))
            | Ready::ERROR.when(says.has(says::ERROR));
        Some(Completion::Ready { key: event.key, ready })
    }

    /// Takes the registration back. The descriptor is its owner's.
    pub(super) fn close(mut self, poller: &Poller, calls: &mut SystemCalls) {
        if let (Some(descriptor), true) = (self.descriptor.take(), self.registered) {
            poller.forget(&mut SourceFd(&descriptor), calls);
        }
    }
}

/// The token of a source that registers itself.
#[allow(clippy::cast_possible_truncation)]
pub(crate) fn token(key: Key) -> mio::Token {
    mio::Token(key.to_u64() as usize)
}
