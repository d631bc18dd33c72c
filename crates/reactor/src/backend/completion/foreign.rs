//! Sources that somebody else owns: a multiplexer of the system's watches them, whose own descriptor the ring polls, or a
//! host watches.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use super::Object;
use super::connection::Connection as RingConnection;
use super::ring::{Answer, READABLE};
use super::tag::{Tag, What};
use super::{Uring, unknown};
use crate::address::Address;
use crate::backend::bits::Bits;
use crate::backend::poller::{Event, Poller, untold_input};
use crate::backend::stream::{Carrying, Connection, Ends, Socket, Special, connect};
use crate::backend::watched::Watched;
use crate::backend::{Close, Completion, ConnectOptions, Opened, Started, Watchable, socket as sockets};
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
            // What is due about one event of a stream is several completions, one after the other.
            while !event.due.is_empty() {
                let told = match self.table.get(event.key) {
                    Some(Object::Watched(watched)) => watched.advance(&mut event),
                    Some(Object::Stream(stream)) => stream.advance(&mut event, &mut self.calls),
                    Some(Object::Datagram(socket)) => socket.advance(&mut event),
                    _ => break,
                };
                told.into_iter().for_each(|completion| self.answers.push(completion));
            }
        }
        Ok(())
    }

    /// An event that the multiplexer does not tell itself. It is looked at after the next wait, which does not sleep.
    pub(super) fn push_foreign(&mut self, event: Event) {
        if let Some(poller) = &mut self.foreign {
            poller.push(event);
            self.foreign_ready = true;
        }
    }

    pub(super) fn open_socket(&mut self, key: Key, socket: OwnedFd) -> io::Result<Opened> {
        let addresses = sockets::addresses(&socket, &mut self.calls)?;
        self.table.insert(key, Object::Connection(RingConnection::new(socket, Bits::NONE, self.bulk())));
        self.want_receive(key);
        Ok(Opened { addresses, reads: true, writes: true, drops_input: true })
    }

    /// What is no socket is read and written when the multiplexer says so, as on readiness: a read that is under way in the
    /// ring would take bytes that somebody else shall have when we are gone.
    pub(super) fn open_ends(&mut self, key: Key, ends: Ends) -> io::Result<Opened> {
        self.foreign()?;
        let poller = self.foreign.as_deref().ok_or_else(unknown)?;
        let (ends, untold) = ends.register(poller, key, &mut self.calls)?;
        let opened = ends.opened();
        if untold {
            self.push_foreign(untold_input(key));
        }
        self.table.insert(key, Object::Stream(Box::new(Connection::accepted(Special::Ends(ends)))));
        Ok(opened)
    }

    /// A socket that descriptors are passed over. There are few, and a multishot receive into shared buffers could give them to
    /// nobody. So the multiplexer tells of them too, and the calls are made as on readiness.
    pub(super) fn pass_over(
        &mut self,
        key: Key,
        socket: OwnedFd,
        as_it_is: fn(Special) -> Connection<Special>,
    ) -> io::Result<()> {
        self.foreign()?;
        let poller = self.foreign.as_deref().ok_or_else(unknown)?;
        let socket = Carrying::new(Socket::register(socket, poller, key, &mut self.calls)?);
        self.table.insert(key, Object::Stream(Box::new(as_it_is(Special::Carrying(socket)))));
        Ok(())
    }

    pub(super) fn open_passing(&mut self, key: Key, socket: OwnedFd) -> io::Result<Opened> {
        let addresses = sockets::addresses(&socket, &mut self.calls)?;
        self.pass_over(key, socket, |socket| Connection::accepted(socket).shared())?;
        Ok(Opened { addresses, reads: true, writes: true, drops_input: true })
    }

    /// A UNIX socket is connected at once or not at all.
    pub(super) fn connect_passing(
        &mut self,
        key: Key,
        address: &Address,
        options: &ConnectOptions,
    ) -> io::Result<()> {
        let socket = connect(address, options, &mut self.calls)?;
        self.pass_over(key, socket, Connection::connecting)
    }

    pub(super) fn close_stream(&mut self, key: Key, how: Close) -> Started<()> {
        let Some(Object::Stream(stream)) = self.table.remove(key) else { return Started::Done(()) };
        if how == Close::Orderly && stream.has_unread() {
            self.scratch.discard(&stream, &mut self.calls);
        }
        let Some(poller) = self.foreign.as_deref() else { return Started::Done(()) };
        let mut answers = VecDeque::new();
        stream.close(key, how, poller, &mut answers, &mut self.calls);
        if answers.is_empty() {
            return Started::Done(());
        }
        answers.push_back(Completion::Closed(key));
        answers.into_iter().for_each(|answer| self.answers.push_late(answer));
        Started::Pending
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
            Object::Watched(_) | Object::Stream(_) => false,
        })
    }

    pub(super) fn end_watch(&mut self, key: Key, how: Close) {
        let Some(Object::Watched(watched)) = self.table.remove(key) else { return };
        if let Some(poller) = self.foreign.as_deref().filter(|_| how != Close::Forget) {
            watched.close(poller, &mut self.calls);
        }
    }
}
