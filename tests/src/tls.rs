//! Servers with a certificate of their own, and clients that trust anybody.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use marline_reactor::Endpoint;
use marline_tls::{ClientTls, ServerTls};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConnection, ServerConfig, StreamOwned};

/// A configuration with a new certificate, and tickets.
///
/// # Panics
///
/// If there is no such thing.
#[must_use]
pub fn server_config() -> Arc<ServerConfig> {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).expect("a key");
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
    let mut config = builder.with_single_cert(vec![own.cert.der().clone()], key).expect("a pair");
    config.ticketer = ring::Ticketer::new().expect("tickets");
    Arc::new(config)
}

/// TLS over TCP on a free port.
#[must_use]
pub fn endpoint(config: Arc<ServerConfig>) -> Endpoint {
    ServerTls::from_config(config).endpoint(SocketAddr::from(([127, 0, 0, 1], 0)).into())
}

/// A client that waits for the server, whoever that is.
///
/// # Panics
///
/// If there is no such client.
#[must_use]
pub fn client() -> ClientConnection {
    let tls = ClientTls::builder().danger_accept_any_certificate().build().expect("a client");
    let name = ServerName::try_from("localhost").expect("a name");
    ClientConnection::new(Arc::clone(tls.config()), name).expect("a client")
}

/// The same on a connection, whose handshake is over.
///
/// # Errors
///
/// The system's, and those of TLS.
pub fn connect(address: SocketAddr) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(crate::PATIENCE))?;
    let mut stream = StreamOwned::new(client(), socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}
