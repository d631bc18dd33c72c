//! The server's side.
//!
//! - `builder.rs`: a configuration, step by step. `certificate.rs`: the certificate of the day.

mod builder;
mod certificate;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rustls::ServerConfig;

pub use self::builder::ServerTlsBuilder;
use self::certificate::Certificate;
use crate::error::ConfigError;
use crate::filter::TlsFilter;
use crate::identity::Identity;
use crate::timeouts::Timeouts;

/// How to be a server: with which certificate, for whom. It is cheap to clone, may be shared between threads, and makes a
/// [`TlsFilter`] for each connection. Sessions are kept in it, and by clients in tickets, so that later connections resume
/// them.
///
/// ```no_run
/// use marline_tls::{Identity, Roots, ServerTls};
///
/// let server = ServerTls::builder(Identity::from_pem_files("server.crt", "server.key")?)
///     .require_client_certificates(Roots::new().with_pem_file("staff.pem")?)
///     .build()?;
/// // Some weeks later, when the files were renewed:
/// server.reload()?;
/// # Ok::<(), marline_tls::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct ServerTls {
    shared: Arc<Shared>,
    timeouts: Timeouts,
}

/// What all clones have in common.
struct Shared {
    config: Arc<ServerConfig>,
    /// The certificate, unless the configuration has a way of its own to choose.
    certificate: Option<Arc<Certificate>>,
}

impl ServerTls {
    /// With this certificate, and all defaults: clients of any kind, TLS 1.2 and 1.3.
    ///
    /// # Errors
    ///
    /// If there is no crypto provider, or the key is not that of the certificate.
    pub fn new(identity: Identity) -> Result<Self, ConfigError> {
        Self::builder(identity).build()
    }

    /// With this certificate, step by step.
    #[must_use]
    pub fn builder(identity: Identity) -> ServerTlsBuilder {
        ServerTlsBuilder::new(identity)
    }

    /// As rustls has it, for whatever the [builder](Self::builder) does not offer, such as certificates by the name that is
    /// asked for ([`ResolvesServerCert`](rustls::server::ResolvesServerCert)). Data before the end of the handshake (0-RTT)
    /// has to be off, as it is by default.
    #[must_use]
    pub fn from_config(config: impl Into<Arc<ServerConfig>>) -> Self {
        let shared = Shared { config: config.into(), certificate: None };
        Self { shared: Arc::new(shared), timeouts: Timeouts::default() }
    }

    /// The same with another limit for handshakes, 30 s by default; `None` is for no limit.
    #[must_use]
    pub fn with_handshake_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.handshake = timeout.into();
        self
    }

    /// The same with another limit for the client's answer when we close, 30 s by default. The connection's
    /// [close timeout](marline_reactor::Transport::set_close_timeout) of 30 s holds as well, and is all there is with `None`.
    #[must_use]
    pub fn with_shutdown_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.shutdown = timeout.into();
        self
    }

    /// The configuration as rustls has it.
    #[must_use]
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.shared.config
    }

    /// Handshakes that begin from now on, on whichever clone and thread, are with this certificate. Connections that stand
    /// are not touched, and sessions that are resumed show no certificate.
    ///
    /// # Errors
    ///
    /// If the key is not that of the certificate, or the [configuration](Self::from_config) chooses certificates itself. The
    /// certificate of before stays then.
    pub fn set_identity(&self, identity: &Identity) -> Result<(), ConfigError> {
        self.certificate()?.set(identity)
    }

    /// As [`set_identity`](Self::set_identity), with what the [files](Identity::from_pem_files) now have in them from which
    /// the certificate is.
    ///
    /// # Errors
    ///
    /// If they cannot be read or used, or there are none. The certificate of before stays then.
    pub fn reload(&self) -> Result<(), ConfigError> {
        self.certificate()?.reload()
    }

    /// The filter for a connection of a client.
    #[must_use]
    pub fn filter(&self) -> TlsFilter {
        TlsFilter::server(Arc::clone(&self.shared.config), self.timeouts)
    }

    fn certificate(&self) -> Result<&Certificate, ConfigError> {
        self.shared.certificate.as_deref().ok_or(ConfigError::OwnChoice)
    }

    pub(crate) fn downgrade(&self) -> WeakServerTls {
        WeakServerTls { shared: Arc::downgrade(&self.shared), timeouts: self.timeouts }
    }
}

/// One that lives only as long as others do.
pub(crate) struct WeakServerTls {
    shared: Weak<Shared>,
    timeouts: Timeouts,
}

impl WeakServerTls {
    pub(crate) fn upgrade(&self) -> Option<ServerTls> {
        self.shared.upgrade().map(|shared| ServerTls { shared, timeouts: self.timeouts })
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("timeouts", &self.timeouts).finish_non_exhaustive()
    }
}
