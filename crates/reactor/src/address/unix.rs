//! The names of UNIX sockets.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name of a UNIX socket: a path, an abstract name (Linux), or none, as the connecting end mostly has.
///
/// ```
/// use marline_reactor::UnixAddress;
///
/// let address = UnixAddress::path("/run/printer.sock");
/// assert_eq!(address.to_string(), "unix:///run/printer.sock");
/// assert_eq!(address.as_path().unwrap().to_str(), Some("/run/printer.sock"));
/// assert_eq!(UnixAddress::unnamed().to_string(), "unix:");
/// assert_eq!(UnixAddress::abstract_name(b"printer").to_string(), "unix-abstract://printer");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnixAddress(Name);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    Unnamed,
    Path(Arc<Path>),
    Abstract(Arc<[u8]>),
}

impl UnixAddress {
    /// No name.
    #[must_use]
    pub const fn unnamed() -> Self {
        Self(Name::Unnamed)
    }

    /// A socket file. Whether the path is one that the system accepts (not too long, without a zero byte) is found out when it
    /// is used.
    #[must_use]
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Self(Name::Path(path.into().into()))
    }

    /// A name that is no file: unix(7). It is gone with the last socket that has it.
    #[must_use]
    pub fn abstract_name(name: impl AsRef<[u8]>) -> Self {
        Self(Name::Abstract(name.as_ref().into()))
    }

    /// The path, if it has one.
    #[must_use]
    pub fn as_path(&self) -> Option<&Path> {
        match &self.0 {
            Name::Path(path) => Some(path),
            _ => None,
        }
    }

    /// The abstract name, if it has one.
    #[must_use]
    pub fn as_abstract(&self) -> Option<&[u8]> {
        match &self.0 {
            Name::Abstract(name) => Some(name),
            _ => None,
        }
    }

    /// Whether it has neither.
    #[must_use]
    pub fn is_unnamed(&self) -> bool {
        self.0 == Name::Unnamed
    }
}

impl fmt::Display for UnixAddress {
    /// In the form of an endpoint. Bytes of a name that are no UTF-8 are replaced.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Name::Unnamed => f.write_str("unix:"),
            Name::Path(path) => write!(f, "unix://{}", path.display()),
            Name::Abstract(name) => write!(f, "unix-abstract://{}", String::from_utf8_lossy(name)),
        }
    }
}
