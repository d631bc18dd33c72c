//! Operations that begin later than they were asked for.

use std::io;

use marline_reactor::backend::{Backend, Close, Completion, Outgoing, Sent, Started};
use marline_reactor::{ChoiceKind, Key};

use super::Adversary;

/// An operation that the next wait begins. A key has at most one.
pub enum Late {
    Send(Key, Box<Outgoing>),
    Shut(Key),
    Close(Key, Close),
}

impl Late {
    fn key(&self) -> Key {
        match self {
            Self::Send(key, _) | Self::Shut(key) | Self::Close(key, _) => *key,
        }
    }
}

impl<B: Backend> Adversary<B> {
    /// Begins what was put off, in any order: the operations are of different keys.
    pub(super) fn begin_late(&mut self) {
        while !self.late.is_empty() {
            let which = self.choices.choose(ChoiceKind::Event, self.late.len());
            match self.late.remove(which) {
                Late::Send(key, outgoing) => {
                    if let Started::Done(sent) = self.send_part(key, outgoing) {
                        self.hold(Completion::Sent(key, sent));
                    }
                }
                Late::Shut(key) => {
                    if let Started::Done(result) = self.inner.shutdown(key) {
                        self.hold(Completion::Shut(key, result));
                    }
                }
                Late::Close(key, how) => self.close_now(key, how),
            }
        }
    }

    fn close_now(&mut self, key: Key, how: Close) {
        if let Started::Done(()) = self.inner.close(key, how) {
            self.hold(Completion::Closed(key));
        }
    }

    /// Answers what was put off and will not begin, because its key is closed.
    pub(super) fn give_up_late(&mut self, key: Key) {
        let Some(place) = self.late.iter().position(|late| late.key() == key) else { return };
        let aborted = || io::Error::from(io::ErrorKind::ConnectionAborted);
        match self.late.remove(place) {
            Late::Send(key, outgoing) => {
                self.hold(Completion::Sent(key, Sent { outgoing, result: Err(aborted()) }));
            }
            Late::Shut(key) => self.hold(Completion::Shut(key, Err(aborted()))),
            Late::Close(..) => unreachable!("a key is closed once"),
        }
    }

    /// Closes. A connection may stay open until the next wait; whatever else is closed has an owner who relies on it.
    pub(super) fn begin_close(&mut self, key: Key, how: Close) -> Started<()> {
        let stream = self.streams.remove(&key);
        let is_connection = stream.is_some();
        if how == Close::Orderly && stream.is_some_and(|stream| stream.is_denied()) {
            self.discard(key);
        }
        self.listeners.remove(&key);
        self.datagrams.remove(&key);
        // A success that was kept tells of bytes that were sent.
        self.events.expedite(key);
        self.give_up_late(key);
        if is_connection && self.happens(ChoiceKind::Postpone, 3) {
            self.late.push(Late::Close(key, how));
            return Started::Pending;
        }
        match self.inner.close(key, how) {
            Started::Pending => Started::Pending,
            Started::Done(()) if self.events.has_answer(key) || self.happens(ChoiceKind::Postpone, 3) => {
                self.hold(Completion::Closed(key));
                Started::Pending
            }
            Started::Done(()) => {
                self.events.forget(key);
                Started::Done(())
            }
        }
    }
}

impl<B: Backend> Drop for Adversary<B> {
    /// Closes what was asked to be closed, in the way that was asked for.
    fn drop(&mut self) {
        for late in std::mem::take(&mut self.late) {
            if let Late::Close(key, how) = late {
                _ = self.inner.close(key, how);
            }
        }
    }
}
