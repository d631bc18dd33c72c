//! Certificates and keys as text (RFC 7468).

use std::fs;
use std::path::Path;

use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::ConfigError;

/// The content of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    fs::read(path).map_err(|source| ConfigError::File { path: path.to_owned(), source })
}

/// All certificates of a text, at least one. Other sections are left out.
pub(crate) fn certificates(text: &[u8], from: &str) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let all: Result<Vec<_>, Error> = CertificateDer::pem_slice_iter(text).collect();
    match all {
        Ok(all) if all.is_empty() => Err(ConfigError::NoCertificate { from: from.to_owned() }),
        Ok(all) => Ok(all),
        Err(source) => Err(ConfigError::Pem { from: from.to_owned(), source }),
    }
}

/// The first private key of a text.
pub(crate) fn private_key(text: &[u8], from: &str) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let from = from.to_owned();
    match PrivateKeyDer::from_pem_slice(text) {
        Ok(key) => Ok(key),
        Err(Error::NoItemsFound) if is_encrypted(text) => Err(ConfigError::EncryptedKey { from }),
        Err(Error::NoItemsFound) => Err(ConfigError::NoPrivateKey { from }),
        Err(source) => Err(ConfigError::Pem { from, source }),
    }
}

fn is_encrypted(text: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    text.windows(BEGIN.len()).any(|window| window == BEGIN)
}
