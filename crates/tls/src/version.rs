//! Versions of TLS.

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

/// A version of TLS. There are no older ones here: RFC 8996 forbids them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// From one version to another, both included. By default all that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Versions {
    pub(crate) min: TlsVersion,
    pub(crate) max: TlsVersion,
}

impl Default for Versions {
    fn default() -> Self {
        Self { min: TlsVersion::Tls12, max: TlsVersion::Tls13 }
    }
}

impl Versions {
    /// As rustls names them. None, if the first comes after the last.
    pub(crate) fn of_rustls(self) -> Vec<&'static SupportedProtocolVersion> {
        let all = [(TlsVersion::Tls13, &TLS13), (TlsVersion::Tls12, &TLS12)];
        all.into_iter()
            .filter(|(version, _)| (self.min..=self.max).contains(version))
            .map(|(_, supported)| supported)
            .collect()
    }
}
