//! TLS on a connection that stands.

use std::rc::Rc;

use marline_reactor::Transport;
use marline_reactor::filter::{PushFilterError, ReadAhead};

use crate::filter::TlsFilter;
use crate::info::TlsInfo;

/// What TLS adds to a [`Transport`].
///
/// ```
/// use marline_reactor::filter::ReadAhead;
/// use marline_reactor::{Protocol, Transport};
/// use marline_tls::{ServerTls, StartTls};
///
/// /// The server's side of a protocol that begins in plain text.
/// struct Session(ServerTls);
///
/// impl Protocol for Session {
///     fn data_received(&mut self, transport: &Transport, data: &[u8]) {
///         if data == b"STARTTLS\r\n" {
///             transport.write(b"220 go ahead\r\n");
///             // The client has to wait for the answer, so bytes that are here already are somebody else's.
///             if transport.start_tls(self.0.filter(), ReadAhead::Refuse).is_err() {
///                 transport.abort();
///             }
///         }
///     }
///
///     fn filter_established(&mut self, transport: &Transport) {
///         println!("{:?}", transport.tls());
///     }
/// }
/// ```
pub trait StartTls {
    /// Begins a handshake on a connection, as the client or the server that the filter is for
    /// ([`ClientTls::filter`](crate::ClientTls::filter), [`ServerTls::filter`](crate::ServerTls::filter)). What was written before
    /// leaves as it is, what is written from now on is encrypted, and
    /// [`filter_established`](marline_reactor::Protocol::filter_established) tells the end of the handshake. Over a connection that is
    /// encrypted already it is TLS within TLS.
    ///
    /// # Errors
    ///
    /// If the connection is lost, or closes. Hands the filter back.
    fn start_tls(&self, filter: TlsFilter, read_ahead: ReadAhead) -> Result<(), PushFilterError<TlsFilter>>;

    /// What was agreed upon in the last handshake; `None` before, and on connections without TLS.
    fn tls(&self) -> Option<Rc<TlsInfo>>;
}

impl StartTls for Transport {
    fn start_tls(&self, filter: TlsFilter, read_ahead: ReadAhead) -> Result<(), PushFilterError<TlsFilter>> {
        self.push_filter(filter, read_ahead)
    }

    fn tls(&self) -> Option<Rc<TlsInfo>> {
        self.published()
    }
}
