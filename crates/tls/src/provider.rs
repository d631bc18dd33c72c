//! Which cryptography is used.
//!
//! Nothing here makes a provider that of the process: that choice belongs to the program.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::ProducesTickets;

use crate::error::ConfigError;

/// The program's choice, or that which it made for the process, or that of the features.
pub(crate) fn choose(chosen: Option<Arc<CryptoProvider>>) -> Result<Arc<CryptoProvider>, ConfigError> {
    let installed = || CryptoProvider::get_default().cloned();
    chosen.or_else(installed).or_else(of_features).ok_or(ConfigError::NoProvider)
}

/// Whoever turned `aws-lc-rs` on asked for it, while `ring` may only be there because nobody turned it off.
#[cfg(feature = "aws-lc-rs")]
#[allow(clippy::unnecessary_wraps)]
fn of_features() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
#[allow(clippy::unnecessary_wraps)]
fn of_features() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::ring::default_provider()))
}

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
const fn of_features() -> Option<Arc<CryptoProvider>> {
    None
}

/// What encrypts the tickets of a server, with keys of its own that change every six hours. Providers have none to offer, so it
/// is that of the features; without any the server keeps its sessions in memory only.
#[cfg(feature = "aws-lc-rs")]
pub(crate) fn ticketer() -> Result<Option<Arc<dyn ProducesTickets>>, ConfigError> {
    rustls::crypto::aws_lc_rs::Ticketer::new().map(Some).map_err(ConfigError::Rustls)
}

#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
pub(crate) fn ticketer() -> Result<Option<Arc<dyn ProducesTickets>>, ConfigError> {
    rustls::crypto::ring::Ticketer::new().map(Some).map_err(ConfigError::Rustls)
}

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
pub(crate) const fn ticketer() -> Result<Option<Arc<dyn ProducesTickets>>, ConfigError> {
    Ok(None)
}
