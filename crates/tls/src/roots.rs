//! Whom we trust.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use crate::error::ConfigError;
use crate::pem;

/// The authorities whose certificates are accepted.
///
/// ```no_run
/// use marline_tls::Roots;
///
/// let roots = Roots::new().with_pem_file("company.pem")?.with_pem_file("partner.pem")?;
/// # Ok::<(), marline_tls::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Roots {
    store: RootCertStore,
}

impl Roots {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { store: RootCertStore { roots: Vec::new() } }
    }

    /// And all certificates of a file of PEM text.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, has no certificate in it, or one that is malformed.
    pub fn with_pem_file(self, path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        self.add_pem(&pem::read(path)?, &path.display().to_string())
    }

    /// And all certificates of PEM text.
    ///
    /// # Errors
    ///
    /// If there is no certificate in it, or one that is malformed.
    pub fn with_pem(self, text: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        self.add_pem(text.as_ref(), "the text of the roots")
    }

    /// And a certificate in binary form.
    ///
    /// # Errors
    ///
    /// If it is malformed.
    pub fn with_der(self, certificate: CertificateDer<'_>) -> Result<Self, ConfigError> {
        self.add(certificate, "the roots")
    }

    fn add_pem(self, text: &[u8], from: &str) -> Result<Self, ConfigError> {
        let mut all = pem::certificates(text, from)?.into_iter();
        all.try_fold(self, |roots, certificate| roots.add(certificate, from))
    }

    fn add(mut self, certificate: CertificateDer<'_>, from: &str) -> Result<Self, ConfigError> {
        let added = self.store.add(certificate);
        added.map_err(|source| ConfigError::Certificate { from: from.to_owned(), source })?;
        Ok(self)
    }

    pub(crate) fn into_store(self) -> Arc<RootCertStore> {
        Arc::new(self.store)
    }
}

impl Default for Roots {
    fn default() -> Self {
        Self::new()
    }
}

impl From<RootCertStore> for Roots {
    fn from(store: RootCertStore) -> Self {
        Self { store }
    }
}
