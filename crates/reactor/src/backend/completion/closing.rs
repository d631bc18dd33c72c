//! The end of a key, and of the ring.

use std::rc::Rc;
use std::time::Duration;

use super::Object;
use super::Uring;
use super::connection::CONNECTING;
use super::tag::{Tag, What};
use crate::backend::{Close, Completion, Started, socket};
use crate::instant::Instant;
use crate::key::Key;

/// For how long the end of the ring waits for what it cancelled, since something ended last.
const PATIENCE: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_millis(20);

impl Uring {
    pub(super) fn begin_close(&mut self, key: Key, how: Close) -> Started<()> {
        self.send_departures();
        match self.table.get(key) {
            Some(Object::Connection(_)) => self.close_connection(key, how),
            Some(Object::Listener(_)) => self.close_listener(key),
            Some(Object::Watched(_)) => self.end_watch(key, how),
            Some(Object::Datagram(_)) => self.close_datagram(key),
            Some(Object::Stream(_)) => return self.close_stream(key, how),
            None => return Started::Done(()),
        }
        if self.table.get(key).is_some() { Started::Pending } else { Started::Done(()) }
    }

    fn close_connection(&mut self, key: Key, how: Close) {
        let Some(connection) = self.table.connection(key) else { return };
        if let Some(socket) = connection.socket().filter(|_| how == Close::Reset) {
            socket::reset_on_close(socket, &mut self.calls);
        }
        let unread = how == Close::Orderly && !connection.is_over() && !connection.is(CONNECTING);
        let busy = connection.under_way > 0;
        let Some(fd) = connection.give_up_socket() else { return };
        connection.under_way += 1;
        self.under_way += 1;
        if busy {
            self.ring.cancel_all(fd, &mut self.calls);
        }
        if unread {
            self.ring.discard(fd, &mut self.calls);
        }
        self.ring.close(fd, Tag::new(key, What::Close), &mut self.calls);
    }

    fn close_listener(&mut self, key: Key) {
        let Some(listener) = self.table.listener(key) else { return };
        self.calls.closes += listener.ready.iter().filter(|ready| ready.is_ok()).count() as u64;
        let busy = listener.under_way > 0;
        let Some(fd) = listener.give_up_socket() else { return };
        listener.under_way += 1;
        self.under_way += 1;
        if busy {
            self.ring.cancel_all(fd, &mut self.calls);
        }
        self.ring.close(fd, Tag::new(key, What::Close), &mut self.calls);
    }

    fn close_datagram(&mut self, key: Key) {
        if let Some(Object::Datagram(socket)) = self.table.remove(key) {
            socket.close(&mut self.calls);
        }
    }

    /// Answers a close once everything of its key is over (R5).
    pub(super) fn finish_close(&mut self, key: Key) {
        let over = match self.table.get(key) {
            Some(Object::Connection(connection)) => connection.fd().is_none() && connection.under_way == 0,
            Some(Object::Listener(listener)) => listener.fd().is_none() && listener.under_way == 0,
            _ => false,
        };
        if over {
            self.table.remove(key);
            self.answers.push_late(Completion::Closed(key));
        }
    }

    /// Cancels everything, and waits until it is over, or until nothing has ended for a while.
    pub(super) fn end_operations(&mut self) {
        self.ending = true;
        self.send_departures();
        self.ring.cancel_everything(&mut self.calls);
        let mut last = Instant::monotonic() + PATIENCE;
        while (self.under_way > 0 || !self.departures.is_empty()) && Instant::monotonic() < last {
            let before = self.under_way;
            // The answer to the cancelling is not what is waited for.
            let waited = self.ring.wait(2, Some(LAST_WAIT), None, &mut self.calls);
            if waited.and_then(|()| self.collect()).is_err() {
                break;
            }
            if self.under_way < before {
                // The kernel ends a few of many at a time.
                last = Instant::monotonic() + PATIENCE;
            } else {
                // A send may have begun anew.
                self.ring.cancel_everything(&mut self.calls);
            }
        }
    }
}

/// R6.
impl Drop for Uring {
    fn drop(&mut self) {
        self.end_operations();
        if self.answers.arrivals.are_shown() {
            self.answers.arrivals.keep(Box::new(self.buffers.take_held()));
        }
        if self.under_way > 0 || !self.departures.is_empty() {
            tracing::error!(
                operations = self.under_way,
                "a ring ends with operations that do not; their memory is lost"
            );
            std::mem::forget(std::mem::take(&mut self.table));
            self.buffers.leak();
            // Their memory (O1).
            std::mem::forget(Rc::clone(&self.departures));
        }
    }
}
