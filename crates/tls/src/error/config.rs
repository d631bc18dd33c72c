//! What keeps a configuration from being made.

use std::io;
use std::path::PathBuf;

use rustls::pki_types::pem;
use rustls::server::VerifierBuilderError;
use thiserror::Error;

use super::words::Plainly;

/// Something that TLS needs is missing, or is not what it should be. The message names the file or the option.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A text is not as RFC 7468 wants it.
    #[error("{from} is no PEM text: {source:?}")]
    Pem {
        /// The file, or what the text was for.
        from: String,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// A text has no certificate in it.
    #[error("there is no certificate in {from}")]
    NoCertificate {
        /// The file, or what the text was for.
        from: String,
    },
    /// A text has no private key in it.
    #[error("there is no private key in {from}")]
    NoPrivateKey {
        /// The file, or what the text was for.
        from: String,
    },
    /// A private key is protected by a password.
    #[error("the private key in {from} is encrypted; it has to be decrypted first")]
    EncryptedKey {
        /// The file, or what the text was for.
        from: String,
    },
    /// A certificate that is to be trusted is malformed.
    #[error("a certificate in {from} cannot be used: {}", Plainly(.source))]
    Certificate {
        /// The file, or what the text was for.
        from: String,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// A key cannot be used, or is not that of the certificate.
    #[error("the certificate and key {from} cannot be used: {}", Plainly(.source))]
    Identity {
        /// The files, if they are from such.
        from: String,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// No cryptography: the features `ring` and `aws-lc-rs` are off, and the program gave no provider.
    #[error("no crypto provider: give one, or turn on the feature `ring` or `aws-lc-rs` of marline-tls")]
    NoProvider,
    /// A client has nobody to trust: the feature `platform-verifier` is off, and the program named no roots.
    #[error("no roots: name some, or turn on the feature `platform-verifier` of marline-tls")]
    NoRoots,
    /// The system's roots cannot be used.
    #[error("the system's trusted roots cannot be used: {0}")]
    Platform(#[source] rustls::Error),
    /// The roots that were named are of no use.
    #[error("the roots cannot be used: {0}")]
    Roots(#[source] VerifierBuilderError),
    /// A name that the server's certificate should have is neither a host name nor an IP address.
    #[error("{name:?} is neither a host name nor an IP address, so no certificate can be for it")]
    ServerName {
        /// What was given.
        name: String,
    },
    /// There is no host to take the server's name from.
    #[error(
        "{endpoint} has no host: name the server by `server_name=`, or turn verification off by `verify=0`"
    )]
    NoServerName {
        /// Where to.
        endpoint: String,
    },
    /// A listener has no certificate.
    #[error("{endpoint} cannot listen without a certificate: name its file by `cert=`")]
    NoIdentity {
        /// Where.
        endpoint: String,
    },
    /// An option of an endpoint is not what it should be.
    #[error("option \"{name}={value}\" should be {expected}")]
    Option {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A certificate cannot be read again that is not from files.
    #[error("the certificate was not read from files, so there is nothing to read again")]
    NotFromFiles,
    /// The certificate cannot be changed, as the configuration of rustls that the program made has its own way to choose one.
    #[error("the configuration that the program made chooses certificates itself")]
    OwnChoice,
    /// rustls has no use for what was chosen.
    #[error("{}", Plainly(.0))]
    Rustls(#[source] rustls::Error),
}
