//! What the servers with TLS have in common, so that they differ in nothing but the loop and the layer that encrypts.

use std::sync::Arc;

use marline::Endpoint;
use marline_tls::ServerTls;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;

/// A certificate (P-256) of its own, and tickets to resume sessions by; everything else as rustls has it.
///
/// # Errors
///
/// That of whoever makes keys.
pub fn server_config() -> marline::Result<Arc<ServerConfig>> {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der())?;
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
    let mut config = builder.with_single_cert(vec![own.cert.der().clone()], key)?;
    config.ticketer = ring::Ticketer::new()?;
    Ok(Arc::new(config))
}

/// TLS over TCP, by Marline: where the first argument says to listen.
///
/// # Errors
///
/// Those of [`server_config`].
pub fn endpoint() -> marline::Result<Endpoint> {
    let place = std::env::args().nth(1).unwrap_or_else(|| "tcp://127.0.0.1:0".to_owned());
    Ok(ServerTls::from_config(server_config()?).endpoint(place.parse()?))
}
