//! What was agreed upon.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, Connection, HandshakeKind, ProtocolVersion};

use crate::error::TlsError;

/// What was agreed upon in a handshake, and with whom. It is there from the end of the handshake on, in
/// [`connection_lost`](marline_reactor::Protocol::connection_lost) too.
///
/// It shares the connection's memory, so while it is kept the state of that connection is.
pub struct TlsInfo {
    connection: Rc<RefCell<Connection>>,
}

impl TlsInfo {
    pub(crate) const fn new(connection: Rc<RefCell<Connection>>) -> Self {
        Self { connection }
    }

    /// The version of TLS.
    #[must_use]
    pub fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.with(|connection| connection.protocol_version())
    }

    /// The algorithms of encryption.
    #[must_use]
    pub fn cipher_suite(&self) -> Option<CipherSuite> {
        self.with(|connection| connection.negotiated_cipher_suite().map(|suite| suite.suite()))
    }

    /// The application protocol (ALPN), if one was agreed upon.
    #[must_use]
    pub fn alpn(&self) -> Option<Vec<u8>> {
        self.with(|connection| connection.alpn_protocol().map(<[u8]>::to_vec))
    }

    /// The certificates that the peer sent, its own first. Those of a session that was resumed are those of its first
    /// connection. Clients have to send none.
    #[must_use]
    pub fn peer_certificates(&self) -> Vec<CertificateDer<'static>> {
        self.with(|connection| connection.peer_certificates().map(<[_]>::to_vec).unwrap_or_default())
    }

    /// To a server: the name that the client asked for (SNI), if it did.
    #[must_use]
    pub fn server_name(&self) -> Option<String> {
        self.with(|connection| match connection {
            Connection::Server(server) => server.server_name().map(str::to_owned),
            Connection::Client(_) => None,
        })
    }

    /// Whether an earlier session was resumed.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.with(|connection| connection.handshake_kind()) == Some(HandshakeKind::Resumed)
    }

    /// Fills `output` with key material of this connection alone, which both sides can derive and nobody else (RFC 5705,
    /// RFC 8446 section 7.5): it ties an authentication inside of the connection to it.
    ///
    /// # Errors
    ///
    /// If there is no room in `output`, or more than the algorithms can fill.
    pub fn export_keying_material<T: AsMut<[u8]>>(
        &self,
        output: T,
        label: &[u8],
        context: Option<&[u8]>,
    ) -> Result<T, TlsError> {
        let exported = self.with(|connection| connection.export_keying_material(output, label, context));
        exported.map_err(TlsError::Connection)
    }

    /// Everything else that rustls knows.
    pub fn with<R>(&self, look: impl FnOnce(&Connection) -> R) -> R {
        look(&self.connection.borrow())
    }
}

impl fmt::Debug for TlsInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsInfo")
            .field("protocol_version", &self.protocol_version())
            .field("cipher_suite", &self.cipher_suite())
            .field("alpn", &self.alpn().map(|name| String::from_utf8_lossy(&name).into_owned()))
            .field("server_name", &self.server_name())
            .field("is_resumed", &self.is_resumed())
            .finish_non_exhaustive()
    }
}
