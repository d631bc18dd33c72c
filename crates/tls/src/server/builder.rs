//! A server's configuration, step by step.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier};

use super::certificate::Certificate;
use super::{ServerTls, Shared};
use crate::error::ConfigError;
use crate::identity::Identity;
use crate::provider;
use crate::roots::Roots;
use crate::timeouts::Timeouts;
use crate::version::{TlsVersion, Versions};

/// Makes a [`ServerTls`].
#[derive(Clone, Debug)]
pub struct ServerTlsBuilder {
    identity: Identity,
    provider: Option<Arc<CryptoProvider>>,
    clients: Clients,
    alpn: Vec<Vec<u8>>,
    versions: Versions,
    resumes: bool,
    ticketer: Option<Arc<dyn ProducesTickets>>,
    timeouts: Timeouts,
}

/// Whether clients have to say who they are.
#[derive(Clone, Debug)]
enum Clients {
    Anybody,
    MaySay(Roots),
    MustSay(Roots),
}

impl ServerTlsBuilder {
    pub(super) fn new(identity: Identity) -> Self {
        Self {
            identity,
            provider: None,
            clients: Clients::Anybody,
            alpn: Vec::new(),
            versions: Versions::default(),
            resumes: true,
            ticketer: None,
            timeouts: Timeouts::default(),
        }
    }

    /// The cryptography. By default that which the program installed for the process, or that of the features.
    #[must_use]
    pub fn crypto_provider(mut self, provider: impl Into<Arc<CryptoProvider>>) -> Self {
        self.provider = Some(provider.into());
        self
    }

    /// Accepts only clients with a certificate from one of these authorities.
    #[must_use]
    pub fn require_client_certificates(mut self, roots: Roots) -> Self {
        self.clients = Clients::MustSay(roots);
        self
    }

    /// Accepts clients without a certificate, and those with one from these authorities; but not those with any other.
    #[must_use]
    pub fn request_client_certificates(mut self, roots: Roots) -> Self {
        self.clients = Clients::MaySay(roots);
        self
    }

    /// The application protocols to accept (ALPN, RFC 7301), the most wanted first. None by default. A client that offers
    /// others only is refused, one that offers none is not.
    #[must_use]
    pub fn alpn<P: AsRef<[u8]>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn = protocols.into_iter().map(|protocol| protocol.as_ref().to_vec()).collect();
        self
    }

    /// The oldest version to accept; by default 1.2.
    #[must_use]
    pub const fn min_version(mut self, version: TlsVersion) -> Self {
        self.versions.min = version;
        self
    }

    /// The newest version to accept; by default 1.3.
    #[must_use]
    pub const fn max_version(mut self, version: TlsVersion) -> Self {
        self.versions.max = version;
        self
    }

    /// Whether clients may resume sessions. They may by default: 256 of those that clients have no ticket of are kept in
    /// memory, and tickets can be used for 12 hours, by any clone.
    #[must_use]
    pub const fn resumption(mut self, resumes: bool) -> Self {
        self.resumes = resumes;
        self
    }

    /// What makes the tickets, in the place of that which comes with the crypto provider of the features: for several processes
    /// that share their keys, for example.
    #[must_use]
    pub fn ticketer(mut self, ticketer: Arc<dyn ProducesTickets>) -> Self {
        self.ticketer = Some(ticketer);
        self
    }

    /// How long a handshake may take, 30 s by default; `None` is for no limit.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.handshake = timeout.into();
        self
    }

    /// How long the client may take to answer when we close, 30 s by default. The connection's
    /// [close timeout](marline_reactor::Transport::set_close_timeout) of 30 s holds as well, and is all there is with `None`.
    #[must_use]
    pub fn shutdown_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.shutdown = timeout.into();
        self
    }

    /// Makes it.
    ///
    /// # Errors
    ///
    /// If there is no crypto provider, or the key is not that of the certificate.
    pub fn build(self) -> Result<ServerTls, ConfigError> {
        let provider = provider::choose(self.provider)?;
        let certificate = Arc::new(Certificate::new(&self.identity, &provider)?);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder =
            builder.with_protocol_versions(&self.versions.of_rustls()).map_err(ConfigError::Rustls)?;
        let verifier = self.clients.into_verifier(&provider)?;
        let mut config =
            builder.with_client_cert_verifier(verifier).with_cert_resolver(Arc::clone(&certificate) as _);
        config.alpn_protocols = self.alpn;
        if !self.resumes {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        } else if let Some(ticketer) = self.ticketer.map_or_else(provider::ticketer, |own| Ok(Some(own)))? {
            config.ticketer = ticketer;
        }
        let shared = Shared { config: Arc::new(config), certificate: Some(certificate) };
        Ok(ServerTls { shared: Arc::new(shared), timeouts: self.timeouts })
    }
}

impl Clients {
    fn into_verifier(
        self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, ConfigError> {
        let of = |roots: Roots| {
            WebPkiClientVerifier::builder_with_provider(roots.into_store(), Arc::clone(provider))
        };
        match self {
            Self::Anybody => Ok(WebPkiClientVerifier::no_client_auth()),
            Self::MaySay(roots) => of(roots).allow_unauthenticated().build().map_err(ConfigError::Roots),
            Self::MustSay(roots) => of(roots).build().map_err(ConfigError::Roots),
        }
    }
}
