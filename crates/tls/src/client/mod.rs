//! The client's side.
//!
//! - `builder.rs`: a configuration, step by step. `no_verification.rs`: trust in anybody.

mod builder;
mod no_verification;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

pub use self::builder::ClientTlsBuilder;
use crate::error::ConfigError;
use crate::filter::TlsFilter;
use crate::timeouts::Timeouts;

/// How to be a client: whom to trust, what to offer. It is cheap to clone, may be shared between threads, and makes a
/// [`TlsFilter`] for each connection. Sessions are kept in it, so that later connections to a server resume them.
///
/// ```no_run
/// use marline_tls::{ClientTls, Roots};
///
/// let everybody = ClientTls::new()?;
/// let company = ClientTls::builder().roots(Roots::new().with_pem_file("company.pem")?).alpn(["h2", "http/1.1"]).build()?;
/// # Ok::<(), marline_tls::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
    timeouts: Timeouts,
}

impl ClientTls {
    /// With all defaults: the system's roots, no certificate of ours, TLS 1.2 and 1.3.
    ///
    /// # Errors
    ///
    /// If there are no roots, or there is no crypto provider.
    pub fn new() -> Result<Self, ConfigError> {
        Self::builder().build()
    }

    /// Step by step.
    #[must_use]
    pub fn builder() -> ClientTlsBuilder {
        ClientTlsBuilder::default()
    }

    /// As rustls has it, for whatever the [builder](Self::builder) does not offer. Data before the end of the handshake
    /// (0-RTT) is not sent.
    #[must_use]
    pub fn from_config(config: impl Into<Arc<ClientConfig>>) -> Self {
        Self { config: config.into(), server_name: None, timeouts: Timeouts::default() }
    }

    /// The same with another limit for handshakes, 30 s by default; `None` is for no limit.
    #[must_use]
    pub fn with_handshake_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.handshake = timeout.into();
        self
    }

    /// The same with another limit for the server's answer when we close, 30 s by default. The connection's
    /// [close timeout](marline_reactor::Transport::set_close_timeout) of 30 s holds as well, and is all there is with `None`.
    #[must_use]
    pub fn with_shutdown_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.shutdown = timeout.into();
        self
    }

    /// The configuration as rustls has it.
    #[must_use]
    pub const fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// The filter for a connection to the server of that name, a host name or an IP address: it is what the certificate has
    /// to be for, and is told to the server (SNI, host names only), unless the [builder](ClientTlsBuilder::server_name) fixed
    /// another.
    ///
    /// # Errors
    ///
    /// If it is no such name.
    ///
    /// ```
    /// use marline_tls::{ClientTls, ConfigError};
    ///
    /// let client = ClientTls::builder().danger_accept_any_certificate().build()?;
    /// assert!(client.filter("example.org").is_ok());
    /// assert!(client.filter("::1").is_ok());
    /// assert!(matches!(client.filter("not a name"), Err(ConfigError::ServerName { .. })));
    /// # Ok::<(), ConfigError>(())
    /// ```
    pub fn filter(&self, server_name: &str) -> Result<TlsFilter, ConfigError> {
        Ok(self.filter_for(self.name(server_name)?))
    }

    /// The name of the server, where that was asked for.
    pub(crate) fn name(&self, server_name: &str) -> Result<ServerName<'static>, ConfigError> {
        self.server_name.clone().map_or_else(|| parse_name(server_name), Ok)
    }

    /// Takes a session that can be resumed, which is good for one connection, so it is made when that stands.
    pub(crate) fn filter_for(&self, name: ServerName<'static>) -> TlsFilter {
        TlsFilter::client(Arc::clone(&self.config), name, self.timeouts)
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("server_name", &self.server_name)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

/// A host name or an IP address.
pub(crate) fn parse_name(name: &str) -> Result<ServerName<'static>, ConfigError> {
    ServerName::try_from(name.to_owned()).map_err(|_| ConfigError::ServerName { name: name.to_owned() })
}
