//! Where the connections of a world are.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use marline_reactor::{Address, Endpoint, IntoEndpoint, UnixAddress};

use super::transparent;

/// What the connections of a world go over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The loopback, which memory has as well.
    Loopback,
    /// UNIX sockets.
    Unix,
    /// UNIX sockets that descriptors are passed over.
    Carrying,
    /// The loopback, with filters on both ends that change nothing.
    Filtered,
    /// The loopback, and a pipe for each direction where only streams of bytes are wanted.
    Pipes,
    /// The same with a terminal, which hands every byte on as it is.
    Terminal,
    /// The same within TLS.
    Within,
}

impl Place {
    /// Somewhere to listen that nobody else uses.
    pub fn free(self) -> Endpoint {
        match self {
            Self::Loopback | Self::Pipes | Self::Terminal | Self::Within => {
                Endpoint::from(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))
            }
            Self::Unix => Endpoint::unix(free_path()),
            Self::Carrying => Endpoint::unix(free_path()).descriptors(true),
            Self::Filtered => transparent::over("127.0.0.1:0"),
        }
    }

    /// What to connect to, for whoever is to reach the listener at `address`.
    pub fn to(self, address: &Address) -> Endpoint {
        let endpoint = address.into_endpoint().expect("the address of a listener");
        match self {
            Self::Carrying => endpoint.descriptors(true),
            Self::Filtered => transparent::over(address),
            _ => endpoint,
        }
    }

    pub fn is_unix(self) -> bool {
        matches!(self, Self::Unix | Self::Carrying)
    }
}

/// A path that nothing else uses, and nothing there.
pub fn free_path() -> PathBuf {
    scratch("free")
}

/// The same, with a word about what it is for.
pub fn scratch(what: &str) -> PathBuf {
    let path = marline_tests::files::fresh(what);
    drop(std::fs::remove_file(&path));
    path
}

/// An abstract name that nothing else uses.
pub fn free_name() -> UnixAddress {
    static USED: AtomicUsize = AtomicUsize::new(0);
    let number = USED.fetch_add(1, Ordering::Relaxed);
    UnixAddress::abstract_name(format!("marline-free-{}-{number}", std::process::id()))
}
