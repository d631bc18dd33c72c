//! What a program gives the loop for datagrams.

use std::io;

use super::DatagramTransport;
use crate::address::Address;
use crate::lost::Lost;
use crate::protocol::Internal;

/// What happens on one datagram socket, told by callbacks.
///
/// The order is `connection_made`, then the others any number of times, and `connection_lost` last, exactly once.
/// `pause_writing` and `resume_writing` alternate, beginning with a pause. Every callback starts from the loop: never inside
/// another one, and never on the stack of a call that the program made.
///
/// Unlike a connection, a socket outlives what goes wrong with one datagram: a panic in a callback is
/// [reported](crate::Handle::on_failure), and the socket stays open, with this same protocol.
///
/// A closure `FnMut(&DatagramTransport, &[u8], &Address)` is a protocol too: it is called for `datagram_received`.
///
/// ```
/// use marline_reactor::{Address, DatagramProtocol, DatagramTransport, Reactor};
/// use std::net::SocketAddr;
///
/// struct Echo;
///
/// impl DatagramProtocol for Echo {
///     fn datagram_received(&mut self, transport: &DatagramTransport, data: &[u8], sender: &Address) {
///         // What is too much is dropped, as the network would.
///         _ = transport.send_to(data, sender);
///     }
/// }
///
/// let reactor = Reactor::new()?;
/// let echo = reactor.handle().bind_datagram(SocketAddr::from(([127, 0, 0, 1], 0)), Echo)?;
/// assert!(echo.local_address().is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait DatagramProtocol: 'static {
    /// The socket is open. The transport may be kept: it is a small handle.
    fn connection_made(&mut self, transport: &DatagramTransport) {
        let _ = transport;
    }

    /// A datagram came, maybe an empty one. Its bytes are lent for this call. A sender that has no name (a UNIX socket that was
    /// not bound) cannot be answered.
    fn datagram_received(&mut self, transport: &DatagramTransport, data: &[u8], sender: &Address);

    /// The system told of an error: that the other side of a connected socket does not listen (`ConnectionRefused`), that a
    /// datagram could not be sent, that one that came was too long for the memory of the loop's. The socket goes on.
    fn error_received(&mut self, transport: &DatagramTransport, error: &io::Error) {
        let _ = (transport, error);
    }

    /// More than the high watermark waits to be sent: the program had better send no more for now.
    fn pause_writing(&mut self, transport: &DatagramTransport) {
        let _ = transport;
    }

    /// No more than the low watermark waits to be sent.
    fn resume_writing(&mut self, transport: &DatagramTransport) {
        let _ = transport;
    }

    /// The socket is closed: the last callback. The transport still knows its addresses.
    fn connection_lost(&mut self, transport: &DatagramTransport, lost: &Lost) {
        let _ = (transport, lost);
    }

    /// The name of its type, which debug mode and dumps of the loop show. Only the loop can call it, and nobody can
    /// override it.
    fn type_name(&self, _: Internal) -> &'static str {
        std::any::type_name::<Self>()
    }
}

impl<F, R> DatagramProtocol for F
where
    F: FnMut(&DatagramTransport, &[u8], &Address) -> R + 'static,
{
    fn datagram_received(&mut self, transport: &DatagramTransport, data: &[u8], sender: &Address) {
        self(transport, data, sender);
    }
}

impl DatagramProtocol for Box<dyn DatagramProtocol> {
    fn connection_made(&mut self, transport: &DatagramTransport) {
        (**self).connection_made(transport);
    }

    fn datagram_received(&mut self, transport: &DatagramTransport, data: &[u8], sender: &Address) {
        (**self).datagram_received(transport, data, sender);
    }

    fn error_received(&mut self, transport: &DatagramTransport, error: &io::Error) {
        (**self).error_received(transport, error);
    }

    fn pause_writing(&mut self, transport: &DatagramTransport) {
        (**self).pause_writing(transport);
    }

    fn resume_writing(&mut self, transport: &DatagramTransport) {
        (**self).resume_writing(transport);
    }

    fn connection_lost(&mut self, transport: &DatagramTransport, lost: &Lost) {
        (**self).connection_lost(transport, lost);
    }

    fn type_name(&self, internal: Internal) -> &'static str {
        (**self).type_name(internal)
    }
}
