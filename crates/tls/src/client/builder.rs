//! A client's configuration, step by step.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;

use super::no_verification::NoVerification;
use super::{ClientTls, parse_name};
use crate::error::ConfigError;
use crate::identity::Identity;
use crate::provider;
use crate::roots::Roots;
use crate::timeouts::Timeouts;
use crate::version::{TlsVersion, Versions};

/// Makes a [`ClientTls`].
#[derive(Clone, Debug)]
pub struct ClientTlsBuilder {
    provider: Option<Arc<CryptoProvider>>,
    trust: Trust,
    identity: Option<Identity>,
    alpn: Vec<Vec<u8>>,
    versions: Versions,
    server_name: Option<ServerName<'static>>,
    tells_name: bool,
    resumes: bool,
    timeouts: Timeouts,
}

/// Which certificates are accepted.
#[derive(Clone, Debug)]
enum Trust {
    Platform,
    Roots(Roots),
    Anybody,
}

impl Default for ClientTlsBuilder {
    fn default() -> Self {
        Self {
            provider: None,
            trust: Trust::Platform,
            identity: None,
            alpn: Vec::new(),
            versions: Versions::default(),
            server_name: None,
            tells_name: true,
            resumes: true,
            timeouts: Timeouts::default(),
        }
    }
}

impl ClientTlsBuilder {
    /// The cryptography. By default that which the program installed for the process, or that of the features.
    #[must_use]
    pub fn crypto_provider(mut self, provider: impl Into<Arc<CryptoProvider>>) -> Self {
        self.provider = Some(provider.into());
        self
    }

    /// Trusts these authorities, in the place of the system's.
    #[must_use]
    pub fn roots(mut self, roots: Roots) -> Self {
        self.trust = Trust::Roots(roots);
        self
    }

    /// Accepts any certificate of anybody for any name. The connection is encrypted then, but it may be with an attacker: this is
    /// for tests, and for peers that are known by other means.
    #[must_use]
    pub fn danger_accept_any_certificate(mut self) -> Self {
        self.trust = Trust::Anybody;
        self
    }

    /// The certificate for servers that ask who we are.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The application protocols to offer (ALPN, RFC 7301), the most wanted first. None by default.
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

    /// The newest version to offer; by default 1.3.
    #[must_use]
    pub const fn max_version(mut self, version: TlsVersion) -> Self {
        self.versions.max = version;
        self
    }

    /// Fixes the name of the server for all connections, in the place of the one that each asks for.
    ///
    /// # Errors
    ///
    /// If it is neither a host name nor an IP address.
    pub fn server_name(mut self, name: &str) -> Result<Self, ConfigError> {
        self.server_name = Some(parse_name(name)?);
        Ok(self)
    }

    /// Whether the server is told the name that was asked for (SNI, RFC 6066). It is by default.
    #[must_use]
    pub const fn sni(mut self, tells_name: bool) -> Self {
        self.tells_name = tells_name;
        self
    }

    /// Whether sessions are kept, and resumed by later connections to the same server. They are by default.
    #[must_use]
    pub const fn resumption(mut self, resumes: bool) -> Self {
        self.resumes = resumes;
        self
    }

    /// How long a handshake may take, 30 s by default; `None` is for no limit.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.handshake = timeout.into();
        self
    }

    /// How long the server may take to answer when we close, 30 s by default. The connection's
    /// [close timeout](marline_reactor::Transport::set_close_timeout) of 30 s holds as well, and is all there is with `None`.
    #[must_use]
    pub fn shutdown_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.shutdown = timeout.into();
        self
    }

    /// Makes it. The system's roots are read here, which takes some milliseconds: keep what it makes.
    ///
    /// # Errors
    ///
    /// If there is no crypto provider, nobody to trust, or the key is not that of the certificate.
    pub fn build(self) -> Result<ClientTls, ConfigError> {
        let provider = provider::choose(self.provider)?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder =
            builder.with_protocol_versions(&self.versions.of_rustls()).map_err(ConfigError::Rustls)?;
        let verifier = self.trust.into_verifier(&provider)?;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match self.identity {
            Some(identity) => builder
                .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified(&provider)?))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self.alpn;
        config.enable_sni = self.tells_name;
        if !self.resumes {
            config.resumption = Resumption::disabled();
        }
        Ok(ClientTls { config: Arc::new(config), server_name: self.server_name, timeouts: self.timeouts })
    }
}

impl Trust {
    fn into_verifier(
        self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, ConfigError> {
        match self {
            Self::Platform => platform(provider),
            Self::Roots(roots) => {
                let builder =
                    WebPkiServerVerifier::builder_with_provider(roots.into_store(), Arc::clone(provider));
                Ok(builder.build().map_err(ConfigError::Roots)?)
            }
            Self::Anybody => Ok(Arc::new(NoVerification(Arc::clone(provider)))),
        }
    }
}

#[cfg(feature = "platform-verifier")]
fn platform(provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, ConfigError> {
    match rustls_platform_verifier::Verifier::new(Arc::clone(provider)) {
        Ok(verifier) => Ok(Arc::new(verifier)),
        Err(error) => Err(ConfigError::Platform(error)),
    }
}

#[cfg(not(feature = "platform-verifier"))]
fn platform(_: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, ConfigError> {
    Err(ConfigError::NoRoots)
}
