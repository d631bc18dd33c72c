//! Sources that somebody else owns: a multiplexer of the system's watches them, whose own descriptor the ring polls, or a
//! host watches.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use super::Object;
use super::ring::{Answer, READABLE};
use super::tag::{Tag, What};
use super::{Uring, unknown};
use crate::backend::poller::Poller;
use crate::backend::watched::Watched;
use crate::backend::{Close, Watchable};
use crate::key::Key;
use crate::watch::Interest;

impl Uring {
    /// The multiplexer, which is made when it is first needed.
    pub(super) fn foreign(&mut self) -> io::Result<&Poller> {
        if self.foreign.is_none() {
            self.calls.others += 1;
            let poller = Poller::new()?;
            if let Some(host) = &self.host {
                host.contain(poller.registry(), &mut self.calls)?;
            }
            self.foreign = Some(Box::new(poller));
        }
        self.foreign.as_deref().ok_or_else(unknown)
    }

    /// Has the ring tell of foreign sources, if the wait to come is what they have to end. One that a host makes does not
    /// sleep, and looks at them in any case.
    pub(super) fn poll_foreign(&mut self, sleeps: bool) {
        let Some(poller) = &self.foreign else { return };
        if !self.foreign_polled && (sleeps || self.host.is_none()) {
            let fd = poller.registry().as_fd().as_raw_fd();
            self.ring.poll(fd, READABLE, Tag::own(What::Foreign), &mut self.calls);
            self.foreign_polled = true;
        }
    }

    pub(super) fn foreign_answered(&mut self, answer: &Answer) {
        self.foreign_ready = true;
        self.foreign_polled = answer.more();
    }

    /// Fetches the events of foreign sources.
    pub(super) fn look_at_foreign(&mut self) -> io::Result<()> {
        let due = self.foreign_ready || self.host.is_some();
        let Some(poller) = self.foreign.as_mut().filter(|_| due) else { return Ok(()) };
        poller.wait(Some(Duration::ZERO), &mut self.calls)?;
        // There may be more than fits.
        self.foreign_ready = poller.is_full();
        while let Some(mut event) = poller.pop() {
            // Each time one thing less is due.
            while let Some(told) = self.table.advance_polled(&mut event) {
                self.answers.push(told);
            }
        }
        Ok(())
    }

    pub(super) fn begin_watch(&mut self, key: Key, what: &Watchable, interest: Interest) -> io::Result<()> {
        let watched = match *what {
            Watchable::Descriptor(descriptor) => {
                if self.owns(descriptor) {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                self.foreign()?;
                let poller = self.foreign.as_deref().ok_or_else(unknown)?;
                Watched::register(descriptor, key, interest, poller, &mut self.calls)?
            }
            Watchable::Registered => Watched::registered(),
            Watchable::Virtual(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        self.table.insert(key, Object::Watched(watched));
        Ok(())
    }

    /// Whether a connection or a listener has this descriptor.
    fn owns(&self, descriptor: std::os::fd::RawFd) -> bool {
        self.table.iter().any(|object| match object {
            Object::Connection(connection) => connection.fd() == Some(descriptor),
            Object::Listener(listener) => listener.fd() == Some(descriptor),
            Object::Datagram(socket) => socket.descriptor() == descriptor,
            Object::Watched(_) => false,
        })
    }

    pub(super) fn end_watch(&mut self, key: Key, how: Close) {
        let Some(Object::Watched(watched)) = self.table.remove(key) else { return };
        if let Some(poller) = self.foreign.as_deref().filter(|_| how != Close::Forget) {
            watched.close(poller, &mut self.calls);
        }
    }
}
