//! What a program gives the loop: protocols, and factories of them.

use std::os::fd::OwnedFd;

use crate::lost::Lost;
use crate::transport::Transport;

/// What happens on one connection, told by callbacks.
///
/// The order is `connection_made`, then `data_received` (or `receive_buffer` and `buffer_filled`) any number of
/// times, at most one `eof_received`, and `connection_lost` last, exactly once. `pause_writing` and `resume_writing`
/// alternate, beginning with a pause. Behind [filters](crate::filter) that are not established at first, TLS say, the first
/// is `connection_made` too, once they are; if they fail, there is only `connection_lost`. Every callback starts from the loop: never inside another one, and never on the stack
/// of a call that the program made.
///
/// A panic in a callback ends that connection with [`Reason::Panicked`](crate::Reason::Panicked), and nothing else.
///
/// A closure `FnMut(&Transport, &[u8])` is a protocol too: it is called for `data_received`.
///
/// ```
/// use marline_reactor::{Protocol, Transport};
///
/// struct Echo;
///
/// impl Protocol for Echo {
///     fn data_received(&mut self, transport: &Transport, data: &[u8]) {
///         transport.write(data);
///     }
/// }
/// ```
pub trait Protocol: 'static {
    /// The connection stands. The transport may be kept: it is a small handle.
    fn connection_made(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// Bytes came, at least one. They are lent for this call.
    fn data_received(&mut self, transport: &Transport, data: &[u8]);

    /// A descriptor came, on a connection that [carries](crate::Endpoint::descriptors) them: before the byte that it was sent
    /// with, and maybe before bytes that were sent earlier. It is closed in programs that are started, and when it is dropped, as it
    /// is by default. At most 253 come with one byte. While reading is paused none comes. If the process has no room for those that
    /// came, the connection is lost with [`DescriptorsCut`](crate::DescriptorsCut).
    ///
    /// ```
    /// use marline_reactor::{Protocol, Transport};
    /// use std::fs::File;
    /// use std::os::fd::OwnedFd;
    ///
    /// /// Gets files, each with one byte.
    /// struct Inbox(Vec<File>);
    ///
    /// impl Protocol for Inbox {
    ///     fn descriptor_received(&mut self, _: &Transport, descriptor: OwnedFd) {
    ///         self.0.push(descriptor.into());
    ///     }
    ///
    ///     fn data_received(&mut self, _: &Transport, data: &[u8]) {
    ///         println!("{} files announced, {} here", data.len(), self.0.len());
    ///     }
    /// }
    /// ```
    fn descriptor_received(&mut self, transport: &Transport, descriptor: OwnedFd) {
        let _ = (transport, descriptor);
    }

    /// Memory of the protocol's own, to receive into: asked when the system announced bytes (or the end, which it tells
    /// apart only when asked), and borrowed for that moment only. When it was filled,
    /// [`buffer_filled`](Self::buffer_filled) is called, and not `data_received`.
    ///
    /// Whoever answers `Some` answers so for the whole connection. If bytes came and the buffer is empty, that is an
    /// error that ends the connection.
    fn receive_buffer(&mut self) -> Option<&mut [u8]> {
        None
    }

    /// So many bytes, at least one, are at the front of what [`receive_buffer`](Self::receive_buffer) offered.
    fn buffer_filled(&mut self, transport: &Transport, count: usize) {
        let _ = (transport, count);
    }

    /// Bytes have come that the system, or the backend, still has. Whoever answers `true` takes them itself, later, with
    /// [`try_receive`](Transport::try_receive), into memory that it chooses then: a task does that with its own. Who does it in a
    /// [`call_next`](crate::Handle::call_next) does it soonest. Until all is
    /// taken, or [`resume_reading`](Transport::resume_reading) is called, nothing comes in another way. After `false`
    /// `data_received` comes, unless reading was paused or another protocol named meanwhile.
    ///
    /// It is asked only after [`notify_readable`](Transport::notify_readable), and not always: not behind filters, nor where
    /// bytes were given back or descriptors passed, nor in debug mode. `data_received` comes then, so that has to be there too.
    ///
    /// ```
    /// use std::cell::Cell;
    /// use std::rc::Rc;
    ///
    /// use marline_reactor::{Protocol, Transport};
    ///
    /// /// Tells somebody that there is something to take.
    /// struct Bell(Rc<Cell<bool>>);
    ///
    /// impl Protocol for Bell {
    ///     fn connection_made(&mut self, transport: &Transport) {
    ///         transport.notify_readable();
    ///     }
    ///
    ///     fn readable(&mut self, _: &Transport) -> bool {
    ///         self.0.set(true);
    ///         true
    ///     }
    ///
    ///     fn data_received(&mut self, _: &Transport, data: &[u8]) {
    ///         println!("{} bytes that could not be left where they were", data.len());
    ///     }
    /// }
    /// ```
    fn readable(&mut self, transport: &Transport) -> bool {
        let _ = transport;
        false
    }

    /// The peer ended its direction, and everything before that was received.
    fn eof_received(&mut self, transport: &Transport) -> OnEof {
        let _ = transport;
        OnEof::Close
    }

    /// More than the high watermark waits to be sent: the program had better write no more for now.
    fn pause_writing(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// No more than the low watermark waits to be sent.
    fn resume_writing(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// Everything written was handed to the system. It is only called after
    /// [`notify_drained`](Transport::notify_drained), once for any number of calls.
    fn drained(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// The peer ended the connection while reading is paused. It is only called after
    /// [`watch_peer`](Transport::watch_peer), once; what the peer sent before can still be read after `resume_reading`.
    fn peer_closed(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// All filters that were [pushed](Transport::push_filter) are established: with TLS, the handshake is done. It comes
    /// before any bytes that went through them, in both directions: what was written meanwhile is sent when it has
    /// returned, and not at all if it aborts.
    fn filter_established(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// A filter is put [beneath](Transport::push_filter) this protocol, which stays: the bytes that it received and did not
    /// use. They are the filter's, and it must not keep any: who sent them is not known to be who the filter will talk to.
    fn give_back(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// The connection is gone: the last callback. The transport still knows its addresses.
    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        let _ = (transport, lost);
    }

    /// Another protocol takes over ([`set_protocol`](Transport::set_protocol)): the bytes that this one received and did
    /// not use, which its successor gets first. The last call before this protocol is dropped.
    fn replaced(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// The name of its type, which debug mode and dumps of the loop show. Only the loop can call it, and nobody can
    /// override it.
    fn type_name(&self, _: Internal) -> &'static str {
        std::any::type_name::<Self>()
    }
}

/// An argument that nobody outside of this crate can name: a method that takes it can neither be called nor overridden.
#[derive(Clone, Copy, Debug)]
pub struct Internal;

/// The answer to [`Protocol::eof_received`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnEof {
    /// Send what was written, then close.
    #[default]
    Close,
    /// Keep our direction open, for more writes; `write_eof` or `close` ends it.
    KeepOpen,
}

impl<F, R> Protocol for F
where
    F: FnMut(&Transport, &[u8]) -> R + 'static,
{
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        self(transport, data);
    }
}

impl Protocol for Box<dyn Protocol> {
    fn connection_made(&mut self, transport: &Transport) {
        (**self).connection_made(transport);
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        (**self).data_received(transport, data);
    }

    fn descriptor_received(&mut self, transport: &Transport, descriptor: OwnedFd) {
        (**self).descriptor_received(transport, descriptor);
    }

    fn receive_buffer(&mut self) -> Option<&mut [u8]> {
        (**self).receive_buffer()
    }

    fn buffer_filled(&mut self, transport: &Transport, count: usize) {
        (**self).buffer_filled(transport, count);
    }

    fn readable(&mut self, transport: &Transport) -> bool {
        (**self).readable(transport)
    }

    fn eof_received(&mut self, transport: &Transport) -> OnEof {
        (**self).eof_received(transport)
    }

    fn pause_writing(&mut self, transport: &Transport) {
        (**self).pause_writing(transport);
    }

    fn resume_writing(&mut self, transport: &Transport) {
        (**self).resume_writing(transport);
    }

    fn drained(&mut self, transport: &Transport) {
        (**self).drained(transport);
    }

    fn peer_closed(&mut self, transport: &Transport) {
        (**self).peer_closed(transport);
    }

    fn filter_established(&mut self, transport: &Transport) {
        (**self).filter_established(transport);
    }

    fn give_back(&mut self) -> Vec<u8> {
        (**self).give_back()
    }

    fn connection_lost(&mut self, transport: &Transport, lost: &Lost) {
        (**self).connection_lost(transport, lost);
    }

    fn replaced(&mut self) -> Vec<u8> {
        (**self).replaced()
    }

    fn type_name(&self, internal: Internal) -> &'static str {
        (**self).type_name(internal)
    }
}

/// What a factory may answer with: a protocol, or an `Option` or `Result` of one, to refuse the connection.
pub trait IntoProtocol {
    /// The protocol, or `None` to refuse.
    fn into_protocol(self) -> Option<Box<dyn Protocol>>;
}

impl<P: Protocol> IntoProtocol for P {
    fn into_protocol(self) -> Option<Box<dyn Protocol>> {
        Some(Box::new(self))
    }
}

impl<P: Protocol> IntoProtocol for Option<P> {
    fn into_protocol(self) -> Option<Box<dyn Protocol>> {
        self.map(|protocol| Box::new(protocol) as Box<dyn Protocol>)
    }
}

impl<P: Protocol, E> IntoProtocol for Result<P, E> {
    fn into_protocol(self) -> Option<Box<dyn Protocol>> {
        self.ok().into_protocol()
    }
}
