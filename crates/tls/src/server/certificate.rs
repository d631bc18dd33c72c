//! The certificate of the day.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::error::ConfigError;
use crate::identity::{Files, Identity};

/// A certificate that can be changed while handshakes go on.
#[derive(Debug)]
pub(super) struct Certificate {
    provider: Arc<CryptoProvider>,
    current: RwLock<Current>,
    /// Held over a change: one that began earlier, and read older files, must not be the last.
    change: Mutex<()>,
}

#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    files: Option<Files>,
}

impl Certificate {
    pub(super) fn new(identity: &Identity, provider: &Arc<CryptoProvider>) -> Result<Self, ConfigError> {
        let current = RwLock::new(Current::new(identity, provider)?);
        Ok(Self { provider: Arc::clone(provider), current, change: Mutex::new(()) })
    }

    pub(super) fn set(&self, identity: &Identity) -> Result<(), ConfigError> {
        let _change = self.change.lock();
        self.put(identity)
    }

    fn put(&self, identity: &Identity) -> Result<(), ConfigError> {
        let current = Current::new(identity, &self.provider)?;
        *self.current.write() = current;
        Ok(())
    }

    /// Handshakes go on while the files are read.
    pub(super) fn reload(&self) -> Result<(), ConfigError> {
        let _change = self.change.lock();
        let files = self.current.read().files.clone();
        self.put(&files.ok_or(ConfigError::NotFromFiles)?.read()?)
    }
}

impl Current {
    fn new(identity: &Identity, provider: &CryptoProvider) -> Result<Self, ConfigError> {
        Ok(Self { key: Arc::new(identity.certified(provider)?), files: identity.files() })
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().key))
    }
}
