//! Joins two connections.

use std::io;
use std::os::fd::OwnedFd;

use crate::lost::{Lost, Reason};
use crate::protocol::{OnEof, Protocol};
use crate::transport::Transport;

/// Joins two connections: what comes from one goes to the other, in both directions, until both have ended.
///
/// Back-pressure passes through: while one of them does not take what is written to it, the other is not read. An end of
/// one direction (half-close) is passed on. When one connection is lost the other is closed after what was
/// written to it is sent, or aborted if the first was not lost in good order. Both protocols are replaced; bytes that
/// they gave [back](Protocol::replaced) are relayed first. So are descriptors, if both connections
/// [carry](crate::Endpoint::descriptors) them; what only one of them carries is closed.
///
/// # Errors
///
/// If one of the two is gone, or both are the same; then the other is left as it is.
pub fn relay(left: &Transport, right: &Transport) -> io::Result<()> {
    if left == right {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a connection cannot be joined to itself"));
    }
    if left.is_closing() || right.is_closing() {
        return Err(io::Error::new(io::ErrorKind::NotConnected, "a connection to be joined is gone"));
    }
    let gone = |_| io::Error::new(io::ErrorKind::NotConnected, "a connection to be joined is gone");
    left.set_protocol(Relay { other: right.clone() }, &[]).map_err(gone)?;
    right.set_protocol(Relay { other: left.clone() }, &[]).map_err(gone)
}

/// One of the two sides.
struct Relay {
    other: Transport,
}

impl Protocol for Relay {
    fn connection_made(&mut self, transport: &Transport) {
        if self.other.is_closing() {
            transport.close();
        } else {
            // While the other side is stuck this one is not read, and would not be missed.
            transport.watch_peer();
            transport.resume_reading();
        }
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self.other.write(data);
        let (_, high) = self.other.watermarks();
        if self.other.buffered() > high {
            // What can leave at once leaves; only what is really stuck stops the reading.
            self.other.flush();
            if self.other.buffered() > high {
                transport.pause_reading();
                // The other side may be sent empty before it is ever told to pause, and is not told to resume then.
                self.other.notify_drained();
            }
        }
    }

    /// It is closed if the other side carries none.
    fn descriptor_received(&mut self, _: &Transport, descriptor: OwnedFd) {
        let _ = self.other.send_descriptor(descriptor);
    }

    fn eof_received(&mut self, _: &Transport) -> OnEof {
        self.other.write_eof();
        OnEof::KeepOpen
    }

    fn resume_writing(&mut self, _: &Transport) {
        self.other.resume_reading();
    }

    fn drained(&mut self, _: &Transport) {
        self.other.resume_reading();
    }

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        match lost.reason() {
            Reason::Clean | Reason::Shutdown => self.other.close(),
            _ => self.other.abort(),
        }
    }
}
