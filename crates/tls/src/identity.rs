//! Who we are: a certificate and its key.

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::error::ConfigError;
use crate::pem;

/// A certificate, those that lead from it to an authority, and the private key of the first.
///
/// ```no_run
/// use marline_tls::Identity;
///
/// let identity = Identity::from_pem_files("server.crt", "server.key")?;
/// assert!(!identity.chain().is_empty());
/// # Ok::<(), marline_tls::ConfigError>(())
/// ```
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    files: Option<Files>,
}

/// Where an identity was read.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    certificates: PathBuf,
    key: PathBuf,
}

impl Files {
    /// Reads them (again).
    pub(crate) fn read(self) -> Result<Identity, ConfigError> {
        let (certificates, key) = (pem::read(&self.certificates)?, pem::read(&self.key)?);
        let chain = pem::certificates(&certificates, &self.certificates.display().to_string())?;
        let key = pem::private_key(&key, &self.key.display().to_string())?;
        Ok(Identity { chain, key, files: Some(self) })
    }
}

impl Identity {
    /// Reads the chain of certificates, our own first, from one file of PEM text, and its key (PKCS #8, PKCS #1 or SEC1, not
    /// encrypted) from another, or the same.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or has no certificate or no key in it.
    pub fn from_pem_files(
        certificates: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, ConfigError> {
        let (certificates, key) = (certificates.as_ref().to_owned(), key.as_ref().to_owned());
        Files { certificates, key }.read()
    }

    /// The same from text in memory.
    ///
    /// # Errors
    ///
    /// If a text has no certificate or no key in it.
    pub fn from_pem(certificates: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let chain = pem::certificates(certificates.as_ref(), "the text of the certificates")?;
        let key = pem::private_key(key.as_ref(), "the text of the key")?;
        Ok(Self { chain, key, files: None })
    }

    /// The same in binary form.
    #[must_use]
    pub const fn from_der(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Self {
        Self { chain, key, files: None }
    }

    /// The certificates, our own first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    pub(crate) fn files(&self) -> Option<Files> {
        self.files.clone()
    }

    /// With the key in the form in which a provider signs by it. Fails if the key is not the certificate's.
    pub(crate) fn certified(&self, provider: &CryptoProvider) -> Result<CertifiedKey, ConfigError> {
        let made = CertifiedKey::from_der(self.chain.clone(), self.key.clone_key(), provider);
        made.map_err(|source| ConfigError::Identity { from: self.origin(), source })
    }

    fn origin(&self) -> String {
        match &self.files {
            Some(files) => format!("of {} and {}", files.certificates.display(), files.key.display()),
            None => "given".to_owned(),
        }
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key(), files: self.files.clone() }
    }
}

/// Tells where it is from, and nothing of the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificates", &self.chain.len())
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}
