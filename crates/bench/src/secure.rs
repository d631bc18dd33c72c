//! What the servers with TLS have in common, so that they differ in nothing but the loop and the layer that encrypts.

use std::sync::Arc;

use marline::Endpoint;
use marline_tls::ServerTls;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;

/// How many bytes a source writes at a time.
pub const CHUNK: usize = 64 * 1024;
/// For each byte that it gets a source sends so many; a sink answers a byte for so many.
pub const UNIT: usize = 1024 * 1024;
/// What a source sends, and sinks get.
pub const FILLER: u8 = b'x';

/// What a server does with what it gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Sends it back.
    #[default]
    Echo,
    /// Sends a [`UNIT`] for each byte.
    Source,
    /// Sends a byte for each [`UNIT`].
    Sink,
}

impl Role {
    /// What the third argument of the servers with TLS calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Source => "source",
            Self::Sink => "sink",
        }
    }

    /// That of the third argument.
    #[must_use]
    pub fn of_arguments() -> Self {
        let name = std::env::args().nth(3).unwrap_or_default();
        [Self::Source, Self::Sink].into_iter().find(|role| role.name() == name).unwrap_or_default()
    }
}

/// Counts the bytes that a sink gets.
#[derive(Debug, Default)]
pub struct Units {
    rest: usize,
}

impl Units {
    /// How many are complete with these bytes.
    pub fn complete(&mut self, bytes: usize) -> usize {
        let total = self.rest + bytes;
        self.rest = total % UNIT;
        total / UNIT
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_counted_across_pieces() {
        let mut units = Units::default();
        assert_eq!(units.complete(UNIT - 1), 0);
        assert_eq!(units.complete(UNIT + 1), 2);
        assert_eq!(units.complete(3 * UNIT), 3);
    }
}
