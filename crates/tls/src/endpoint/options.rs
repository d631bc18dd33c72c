//! The options of TLS in endpoints.

use std::time::Duration;

use marline_reactor::EndpointParts;

use crate::client::parse_name;
use crate::error::ConfigError;
use crate::version::{TlsVersion, Versions};
use crate::{ClientTls, Identity, Roots, ServerTls};

/// All names.
pub(super) const NAMES: [&str; 11] = [
    "cert",
    "key",
    "ca",
    "server_name",
    "verify",
    "client_ca",
    "alpn",
    "tls_min",
    "tls_max",
    "handshake_timeout",
    "shutdown_timeout",
];
const CLIENTS_ONLY: [&str; 3] = ["ca", "server_name", "verify"];
const SERVERS_ONLY: [&str; 1] = ["client_ca"];

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    cert: Option<String>,
    key: Option<String>,
    ca: Option<String>,
    client_ca: Option<String>,
    alpn: Vec<String>,
    pub(super) server_name: Option<String>,
    pub(super) verify: bool,
    versions: Versions,
    handshake_timeout: Option<Duration>,
    shutdown_timeout: Option<Duration>,
}

impl Options {
    /// Those of an endpoint, as far as they can be judged without a look at files.
    pub(super) fn of(parts: &EndpointParts) -> Result<Self, ConfigError> {
        let text = |name| parts.option(name).map(str::to_owned);
        let options = Self {
            cert: text("cert"),
            key: text("key"),
            ca: text("ca"),
            client_ca: text("client_ca"),
            alpn: parts
                .option("alpn")
                .into_iter()
                .flat_map(|all| all.split(','))
                .map(str::to_owned)
                .collect(),
            server_name: text("server_name"),
            verify: option(parts, "verify", "1 or 0", flag)?.unwrap_or(true),
            versions: versions(parts)?,
            handshake_timeout: option(parts, "handshake_timeout", SECONDS, seconds)?,
            shutdown_timeout: option(parts, "shutdown_timeout", SECONDS, seconds)?,
        };
        if let Some(name) = &options.server_name {
            parse_name(name)?;
        }
        if options.alpn.iter().any(|name| name.is_empty() || name.len() > 255) {
            return Err(refused(parts, "alpn", "names of protocols, with commas between them"));
        }
        if options.key.is_some() && options.cert.is_none() {
            return Err(refused(parts, "key", "beside the option \"cert\""));
        }
        if !options.verify && options.ca.is_some() {
            return Err(refused(parts, "verify", "1, as there is the option \"ca\""));
        }
        Ok(options)
    }

    /// Those of `?cert=PATH`.
    #[cfg(test)]
    pub(super) fn with_certificate(path: &std::path::Path) -> Self {
        Self {
            cert: Some(path.display().to_string()),
            key: None,
            ca: None,
            client_ca: None,
            alpn: Vec::new(),
            server_name: None,
            verify: true,
            versions: Versions::default(),
            handshake_timeout: None,
            shutdown_timeout: None,
        }
    }

    pub(super) fn client(&self) -> Result<ClientTls, ConfigError> {
        let mut builder = ClientTls::builder()
            .alpn(&self.alpn)
            .min_version(self.versions.min)
            .max_version(self.versions.max);
        if let Some(path) = &self.ca {
            builder = builder.roots(Roots::new().with_pem_file(path)?);
        }
        if !self.verify {
            builder = builder.danger_accept_any_certificate();
        }
        if let Some(identity) = self.identity()? {
            builder = builder.identity(identity);
        }
        if let Some(timeout) = self.handshake_timeout {
            builder = builder.handshake_timeout(timeout);
        }
        if let Some(timeout) = self.shutdown_timeout {
            builder = builder.shutdown_timeout(timeout);
        }
        builder.build()
    }

    /// `None` without a certificate.
    pub(super) fn server(&self) -> Result<Option<ServerTls>, ConfigError> {
        let Some(identity) = self.identity()? else { return Ok(None) };
        let mut builder = ServerTls::builder(identity)
            .alpn(&self.alpn)
            .min_version(self.versions.min)
            .max_version(self.versions.max);
        if let Some(path) = &self.client_ca {
            builder = builder.require_client_certificates(Roots::new().with_pem_file(path)?);
        }
        if let Some(timeout) = self.handshake_timeout {
            builder = builder.handshake_timeout(timeout);
        }
        if let Some(timeout) = self.shutdown_timeout {
            builder = builder.shutdown_timeout(timeout);
        }
        builder.build().map(Some)
    }

    fn identity(&self) -> Result<Option<Identity>, ConfigError> {
        let Some(certificate) = &self.cert else { return Ok(None) };
        Identity::from_pem_files(certificate, self.key.as_ref().unwrap_or(certificate)).map(Some)
    }
}

/// Refuses options that do nothing for a client: who wrote them expects more than there is.
pub(super) fn check_for_client(parts: &EndpointParts) -> Result<(), ConfigError> {
    let misplaced = SERVERS_ONLY.into_iter().find(|name| parts.option(name).is_some());
    misplaced.map_or(Ok(()), |name| Err(refused(parts, name, "left to servers, which listen")))
}

/// The same for a server.
pub(super) fn check_for_server(parts: &EndpointParts) -> Result<(), ConfigError> {
    let misplaced = CLIENTS_ONLY.into_iter().find(|name| parts.option(name).is_some());
    misplaced.map_or(Ok(()), |name| Err(refused(parts, name, "left to clients, which connect")))
}

const SECONDS: &str = "seconds, like 2.5";

fn refused(parts: &EndpointParts, name: &'static str, expected: &'static str) -> ConfigError {
    ConfigError::Option { name, value: parts.option(name).unwrap_or_default().to_owned(), expected }
}

fn option<T>(
    parts: &EndpointParts,
    name: &'static str,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, ConfigError> {
    match parts.option(name) {
        Some(value) => parse(value).map(Some).ok_or_else(|| refused(parts, name, expected)),
        None => Ok(None),
    }
}

fn versions(parts: &EndpointParts) -> Result<Versions, ConfigError> {
    const EXPECTED: &str = "1.2 or 1.3";
    let all = Versions::default();
    let min = option(parts, "tls_min", EXPECTED, version)?.unwrap_or(all.min);
    let max = option(parts, "tls_max", EXPECTED, version)?.unwrap_or(all.max);
    if min > max {
        return Err(refused(parts, "tls_max", "no less than the option \"tls_min\""));
    }
    Ok(Versions { min, max })
}

fn version(text: &str) -> Option<TlsVersion> {
    match text {
        "1.2" => Some(TlsVersion::Tls12),
        "1.3" => Some(TlsVersion::Tls13),
        _ => None,
    }
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// Digits with a point somewhere between them: the standard library would take an exponent, too.
fn seconds(text: &str) -> Option<Duration> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = if is_plain { text.parse().ok()? } else { return None };
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero())
}
