//! Accepting connections.

use std::io;
use std::os::fd::OwnedFd;

use super::connection::Connection;
use super::listener::Listener;
use super::tag::{Tag, What};
use super::{Object, Uring, unknown};
use crate::address::{Address, Addresses};
use crate::backend::bits::Bits;
use crate::backend::stream::Connection as StreamConnection;
use crate::backend::{Accepted, Completion, Started, socket as sockets};
use crate::key::Key;

impl Uring {
    pub(super) fn accept_one(&mut self, listener: Key, key: Key) -> Accepted {
        let Some(found) = self.table.listener(listener) else {
            return Accepted::Failed(unknown());
        };
        let next = found.ready.pop_front().or_else(|| found.sweep(&mut self.calls));
        match next {
            Some(Ok(socket)) => {
                let (local, descriptors) = (found.local.clone(), found.descriptors);
                match self.accepted(local, key, socket, descriptors) {
                    Ok(addresses) => Accepted::Connection(addresses),
                    Err(error) => {
                        self.calls.closes += 1;
                        Accepted::Failed(error)
                    }
                }
            }
            Some(Err(number)) => Accepted::Failed(io::Error::from_raw_os_error(number)),
            None => {
                found.told = false;
                self.begin_accepting(listener);
                Accepted::Dry
            }
        }
    }

    pub(super) fn begin_accepting(&mut self, key: Key) {
        let idle = |listener: &&mut Listener| !listener.accepting && !listener.quits;
        let Some(listener) = self.table.listener(key).filter(idle) else { return };
        let Some(fd) = listener.fd() else { return };
        listener.accepting = true;
        listener.under_way += 1;
        self.under_way += 1;
        self.ring.accept(fd, Tag::new(key, What::Accept), &mut self.calls);
    }

    /// What is under way is cancelled. A connection that it wins before that is kept.
    pub(super) fn quit_accepting(&mut self, key: Key) -> Started<()> {
        let Some(listener) = self.table.listener(key) else { return Started::Done(()) };
        listener.quits = true;
        if !listener.accepting {
            listener.begin_sweeping(&mut self.calls);
            self.answers.push_late(Completion::AcceptsNoMore(key));
        } else if !listener.stopping {
            listener.stopping = true;
            self.ring.cancel(Tag::new(key, What::Accept), &mut self.calls);
        }
        Started::Pending
    }

    /// The last accept is over.
    pub(super) fn quit(&mut self, key: Key) {
        if let Some(listener) = self.table.listener(key) {
            listener.begin_sweeping(&mut self.calls);
        }
        self.answers.push(Completion::AcceptsNoMore(key));
    }

    pub(super) fn insert_listener(&mut self, key: Key, listener: Listener) {
        self.table.insert(key, Object::Listener(Box::new(listener)));
    }

    fn accepted(
        &mut self,
        local: Address,
        key: Key,
        socket: OwnedFd,
        descriptors: bool,
    ) -> io::Result<Addresses> {
        let peer = sockets::peer(&socket, &mut self.calls);
        // Whoever has no peer any more has reset the connection already.
        let peer = peer.map_err(|_| io::Error::from(io::ErrorKind::ConnectionAborted))?;
        let local =
            if sockets::is_wildcard(&local) { sockets::local(&socket, &mut self.calls)? } else { local };
        if descriptors {
            self.pass_over(key, socket, StreamConnection::accepted)?;
            return Ok(Addresses { local, peer });
        }
        self.table.insert(key, Object::Connection(Connection::new(socket, Bits::NONE, self.bulk())));
        self.want_receive(key);
        Ok(Addresses { local, peer })
    }
}
