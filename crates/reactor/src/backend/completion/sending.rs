//! Sends.
//!
//! Most are *quiet*: they do not wait for room, and if everything was sent there is no completion. When the call that submitted
//! it returns such a send is over (R1), either way: what has no completion by then was sent completely. That conclusion holds
//! only if the kernel took the whole submission queue and keeps no completion back.
//!
//! A send that finds its socket full is made again as a *patient* one: the kernel waits for room, and always answers.

#![allow(unsafe_code)]

use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::rc::Rc;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags};

use super::connection::{CLOSING, FULL, QUIET};
use super::message::PARTS;
use super::ring::{Answer, LONGEST, Manner};
use super::tag::{Tag, What};
use super::{Connection, Lists, Uring, aborted, unknown};
use crate::backend::{Completion, Departing, Departures, LentSocket, Outgoing, Sent, SentWhole, Started};
use crate::instant::Instant;
use crate::key::Key;

impl Uring {
    pub(super) fn begin_send(&mut self, key: Key, outgoing: Box<Outgoing>) -> Started<Sent> {
        let Some(connection) = self.table.connection(key) else { return refuse(outgoing) };
        let Some(fd) = connection.fd() else { return refuse(outgoing) };
        let manner = if connection.is(FULL) { Manner::Patient } else { Manner::Quiet };
        // What does not fit into one send waits behind it.
        self.urgent |= manner == Manner::Quiet && offered(&outgoing) < outgoing.len();
        let outgoing = connection.outgoing.insert(outgoing);
        // SAFETY: as in `submit_send`.
        unsafe { self.ring.send(fd, outgoing, Tag::new(key, What::Send), manner, &mut self.calls) };
        connection.submitted(key, manner, &mut self.lists);
        self.under_way += 1;
        self.submit_in_time();
        Started::Pending
    }

    /// Begins the sends of what departs.
    #[inline]
    pub(super) fn send_departures(&mut self) {
        if !self.full.is_empty() {
            self.lend_where_full();
        }
        if self.departures.are_waiting() {
            self.send_waiting();
        }
    }

    #[inline(never)]
    fn send_waiting(&mut self) {
        let Self { departures, ring, calls, .. } = self;
        let departures = &**departures;
        let next = || {
            let (key, socket, bytes) = departures.begin_next()?;
            Some((socket, bytes, Tag::new(key, What::Departure)))
        };
        // SAFETY: the bytes stay where they are, untouched, until all sends of departures are over (R2, O2): they are cleared only where
        // those are concluded, and the backend keeps them as long as the ring (O1).
        unsafe { ring.send_each(next, calls) };
    }

    /// What departs to a socket that is full is lent: it has to wait there. Who has something under way, or has gone, leaves the list: once
    /// before each wait, and so that stays short.
    #[cold]
    fn lend_where_full(&mut self) {
        let mut full = std::mem::take(&mut self.full);
        full.retain(|key| self.stays_full(*key));
        full.append(&mut self.full);
        self.full = full;
    }

    /// Whether its socket is full with nothing under way to it, also after this.
    fn stays_full(&mut self, key: Key) -> bool {
        let is_idle = |connection: &mut Connection| connection.is(FULL) && connection.outgoing.is_none();
        if !self.table.connection(key).is_some_and(is_idle) {
            return false;
        }
        let departs = self.departures.is_waiting(key);
        let Some(outgoing) = departs.then(|| self.departures.take_back(key)).flatten() else { return true };
        self.unsent.push(key);
        if let Started::Done(sent) = self.begin_send(key, outgoing) {
            // Not before the core knows that it is not sent.
            self.answers.push_late(Completion::Sent(key, sent));
        }
        false
    }

    /// Nothing is under way any more to a socket that is full.
    pub(super) fn note_full(&mut self, key: Key) {
        if let Some(connection) = self.table.connection(key) {
            connection.state.insert(FULL);
            self.full.push(key);
        }
    }

    /// Whether a send of it may be under way that is not answered if it succeeds.
    pub(super) fn is_quiet(&mut self, key: Key) -> bool {
        let Some(connection) = self.table.connection(key) else { return false };
        // Whether it is among those who departed need not be known.
        connection.is(QUIET) || (connection.outgoing.is_none() && !self.departures.is_empty())
    }

    /// What departed was not sent completely, or nobody knows: from now on it is a quiet send like others, unless it is one already.
    pub(super) fn keep_departure(&mut self, key: Key) {
        let Some(connection) = self.table.connection(key) else { return };
        let Some(outgoing) = self.departures.take_back(key) else { return };
        connection.outgoing = Some(outgoing);
        connection.submitted(key, Manner::Quiet, &mut self.lists);
        self.under_way += 1;
        self.unsent.push(key);
    }

    /// The kernel has not taken all that was submitted, so nobody knows what is sent of that which departed.
    #[cold]
    pub(super) fn keep_departures(&mut self) {
        self.departures.begun().into_iter().for_each(|key| self.keep_departure(key));
    }

    /// Submits what was sent, if that has waited for long.
    #[inline]
    fn submit_in_time(&mut self) {
        if self.patience.ends(|_| self.hold, Instant::monotonic) {
            self.depart();
        }
    }

    /// Sends from the front of `bytes` what there is room for, by a call of its own: for many bytes it costs less than their
    /// copy. A failure is met again by the next send.
    pub(super) fn send_at_once(&mut self, key: Key, parts: &[IoSlice<'_>]) -> usize {
        let Some(connection) = self.table.connection(key).filter(|connection| !connection.is(FULL)) else {
            return 0;
        };
        let Some(socket) = connection.socket() else { return 0 };
        self.calls.sends += 1;
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let sent = match parts {
            [bytes] => rustix::net::send(socket, bytes, flags),
            _ => rustix::net::sendmsg(socket, parts, &mut SendAncillaryBuffer::default(), flags),
        };
        match sent {
            Ok(count) => {
                if count < parts.iter().map(|part| part.len()).sum() {
                    self.note_full(key);
                }
                count
            }
            Err(Errno::AGAIN) => {
                self.note_full(key);
                0
            }
            Err(Errno::INTR) => 0,
            Err(error) => {
                let _ = connection.refused(error.raw_os_error(), &mut self.calls);
                0
            }
        }
    }

    /// Sends what is lent.
    fn submit_send(&mut self, key: Key, manner: Manner) {
        let Some(connection) = self.table.connection(key) else { return };
        let (Some(fd), Some(outgoing)) = (connection.fd(), &connection.outgoing) else { return };
        // SAFETY: the bytes stay with the connection, untouched, until the send is over (R2): they are taken out only where
        // its answer is looked at, or concluded, and the connection is removed only when nothing is under way.
        unsafe { self.ring.send(fd, outgoing, Tag::new(key, What::Send), manner, &mut self.calls) };
        connection.submitted(key, manner, &mut self.lists);
        self.under_way += 1;
    }

    /// A send that was patient, or did not succeed completely.
    pub(super) fn sent(&mut self, key: Key, answer: &Answer) {
        let Some(connection) = self.table.connection(key) else { return };
        let was_quiet = connection.is(QUIET);
        connection.state.remove(QUIET);
        let again = matches!(-answer.result, 0 | libc::EAGAIN | libc::EINTR);
        if again && !connection.is(CLOSING) {
            connection.state.insert(FULL);
            return self.submit_send(key, Manner::Patient);
        }
        let Some(outgoing) = connection.outgoing.take() else { return };
        match usize::try_from(answer.result) {
            Ok(count) if count > 0 => {
                let full = was_quiet || count < offered(&outgoing);
                connection.state.remove(FULL);
                if full {
                    self.note_full(key);
                }
                self.answers.push(Completion::Sent(key, Sent { outgoing, result: Ok(count) }));
            }
            _ => {
                let error: io::Error =
                    if again { aborted() } else { connection.refused(-answer.result, &mut self.calls) };
                self.answers.push_late(Completion::Sent(key, Sent { outgoing, result: Err(error) }));
            }
        }
    }

    /// Answers the quiet sends of which nothing was heard.
    pub(super) fn conclude_quiet_sends(&mut self) {
        self.urgent = false;
        let mut quiet = std::mem::take(&mut self.lists.quiet);
        for key in quiet.drain(..) {
            let Some(connection) = self.table.connection(key).filter(|connection| connection.is(QUIET))
            else {
                continue;
            };
            connection.state.remove(QUIET);
            connection.under_way -= 1;
            self.under_way -= 1;
            let is_closing = connection.is(CLOSING);
            if let Some(outgoing) = connection.outgoing.take() {
                let count = offered(&outgoing);
                if count == outgoing.len() {
                    self.answers.push_sent(SentWhole { key, outgoing });
                } else {
                    self.answers.push(Completion::Sent(key, Sent { outgoing, result: Ok(count) }));
                }
            }
            if is_closing {
                self.finish_close(key);
            }
        }
        self.lists.quiet = quiet;
        self.departures.clear();
    }
}

impl Departing for Uring {
    fn departures(&mut self) -> Rc<Departures> {
        Rc::clone(&self.departures)
    }

    fn departs(&mut self, key: Key) -> Option<LentSocket> {
        let socket = self.table.connection(key)?.socket()?;
        // SAFETY: it is closed only by an operation that is submitted behind what departed, when the core has closed the key, or after
        // the end of all operations (T1).
        Some(unsafe { LentSocket::new(socket.as_fd()) })
    }

    fn depart(&mut self) {
        self.send_departures();
        // What fails is met again by the wait.
        let _ = self.ring.submit_alone(&mut self.calls);
    }

    fn take_unsent(&mut self, into: &mut Vec<Key>) {
        into.append(&mut self.unsent);
    }
}

impl Connection {
    /// A send is under way.
    #[inline]
    fn submitted(&mut self, key: Key, manner: Manner, lists: &mut Lists) {
        self.under_way += 1;
        if manner == Manner::Quiet {
            self.state.insert(QUIET);
            lists.quiet.push(key);
        }
    }
}

#[cold]
fn refuse(outgoing: Box<Outgoing>) -> Started<Sent> {
    Started::Done(Sent { outgoing, result: Err(unknown()) })
}

/// How many bytes one send offers.
#[inline]
fn offered(outgoing: &Outgoing) -> usize {
    if outgoing.is_plain() || outgoing.segments() <= 1 {
        return outgoing.front().len().min(LONGEST);
    }
    if outgoing.segments() <= PARTS {
        return outgoing.len();
    }
    outgoing.len_of_parts(PARTS)
}
