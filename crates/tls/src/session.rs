//! A TLS connection over bytes that somebody else moves.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io::{BufRead, IoSlice, Read, Write};
use std::rc::Rc;

use rustls::Connection;

use crate::error::TlsError;

/// A TLS connection that reads and writes memory only.
pub(crate) struct Session {
    connection: Rc<RefCell<Connection>>,
    /// What went wrong while there was still plaintext to hand over.
    failure: Option<Box<TlsError>>,
    /// The peer said that it sends no more.
    peer_closed: bool,
}

/// What became of bytes that were received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// So many bytes were used,
    pub(crate) consumed: usize,
    /// and so many of plaintext are in the room.
    pub(crate) filled: usize,
}

impl Session {
    pub(crate) fn new(mut connection: Connection) -> Self {
        // The loop bounds what it passes on, and what waits to be sent.
        connection.set_buffer_limit(None);
        Self { connection: Rc::new(RefCell::new(connection)), failure: None, peer_closed: false }
    }

    pub(crate) const fn connection(&self) -> &Rc<RefCell<Connection>> {
        &self.connection
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.borrow().is_handshaking()
    }

    /// Whether the peer said that it sends no more, and everything before that was handed over.
    pub(crate) fn is_at_end(&self) -> bool {
        self.peer_closed && !has_plaintext(&mut self.connection.borrow_mut())
    }

    /// Whether the peer said that it sends no more.
    pub(crate) const fn peer_has_closed(&self) -> bool {
        self.peer_closed
    }

    /// What it failed with, once everything before that was handed over.
    pub(crate) fn take_last_failure(&mut self) -> Option<TlsError> {
        let is_last = self.failure.is_some() && !has_plaintext(&mut self.connection.borrow_mut());
        if is_last { self.take_failure() } else { None }
    }

    pub(crate) fn take_failure(&mut self) -> Option<TlsError> {
        self.failure.take().map(|failure| *failure)
    }

    /// Decrypts into the room, as far as there is some, and answers the peer.
    ///
    /// No more is taken in than what rustls decrypts at once, about 4 KiB or a record, before its plaintext left: it refuses input
    /// while it has much. What comes behind the peer's close_notify is not looked at (RFC 8446, section 6.1). A failure behind
    /// plaintext waits until that was handed over.
    pub(crate) fn receive(
        &mut self,
        mut input: &[u8],
        room: &mut [u8],
        wire: &mut dyn Write,
    ) -> Result<Received, TlsError> {
        let connection = Rc::clone(&self.connection);
        let connection = &mut *connection.borrow_mut();
        let (total, mut filled) = (input.len(), 0);
        let has_more = loop {
            filled += take(connection, &mut room[filled..]);
            let has_more = has_plaintext(connection);
            let is_full = filled > 0 && filled == room.len();
            if has_more || is_full || input.is_empty() || self.failure.is_some() {
                break has_more;
            }
            if self.peer_closed {
                input = &[];
            } else {
                self.feed(connection, &mut input);
            }
        };
        flush(connection, wire);
        match self.failure.take_if(|_| filled == 0 && !has_more) {
            Some(failure) => Err(*failure),
            None => Ok(Received { consumed: total - input.len(), filled }),
        }
    }

    /// As [`receive`](Self::receive), for one who is no longer interested in plaintext.
    pub(crate) fn discard(&mut self, mut input: &[u8], wire: &mut dyn Write) -> Result<usize, TlsError> {
        let (mut scratch, total) = ([0; 1024], input.len());
        loop {
            let received = self.receive(input, &mut scratch, wire)?;
            input = &input[received.consumed..];
            if received.filled == 0 {
                return Ok(total - input.len());
            }
        }
    }

    fn feed(&mut self, connection: &mut Connection, input: &mut &[u8]) {
        let handshaking = connection.is_handshaking();
        // It fails only if its buffer is full of a message that is too large.
        let read = connection.read_tls(input).map_err(|_| rustls::Error::PeerSentOversizedRecord);
        match read.and_then(|_| connection.process_new_packets()) {
            Ok(state) => self.peer_closed = state.peer_has_closed(),
            Err(error) => self.failure = Some(Box::new(TlsError::new(error, handshaking))),
        }
    }

    /// Encrypts all of it, in records as large as can be.
    pub(crate) fn send(&mut self, parts: &[IoSlice<'_>], wire: &mut dyn Write) -> Result<usize, TlsError> {
        let connection = &mut *self.connection.borrow_mut();
        let written = connection.writer().write_vectored(parts);
        flush(connection, wire);
        // It fails only with the error that the connection failed with before.
        written.map_err(|error| {
            let cause = error.downcast::<rustls::Error>();
            TlsError::Connection(cause.unwrap_or_else(|error| rustls::Error::General(error.to_string())))
        })
    }

    /// Says that we send no more. Once is enough.
    pub(crate) fn send_close_notify(&mut self, wire: &mut dyn Write) {
        let connection = &mut *self.connection.borrow_mut();
        connection.send_close_notify();
        flush(connection, wire);
    }

    /// Sends what the handshake begins with.
    pub(crate) fn start(&mut self, wire: &mut dyn Write) {
        flush(&mut self.connection.borrow_mut(), wire);
    }
}

/// Hands plaintext over, as much as there is and the room takes.
fn take(connection: &mut Connection, room: &mut [u8]) -> usize {
    // It answers an error where there is nothing.
    if room.is_empty() { 0 } else { connection.reader().read(room).unwrap_or(0) }
}

fn has_plaintext(connection: &mut Connection) -> bool {
    connection.reader().fill_buf().is_ok_and(|plaintext| !plaintext.is_empty())
}

/// The writer is memory, which takes everything.
fn flush(connection: &mut Connection, wire: &mut dyn Write) {
    while connection.wants_write() && connection.write_tls(wire).is_ok_and(|count| count > 0) {}
}
