//! The servers that are compared.

use std::path::PathBuf;

use crate::role::Role;

/// A server, before it is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contestant {
    /// What tables call it.
    pub name: &'static str,
    /// What it is made of.
    pub program: Program,
}

/// What a server is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// One of Marline's, in this package.
    Ours {
        /// The program.
        binary: &'static str,
        /// What `MARLINE_BACKEND` says.
        backend: &'static str,
    },
    /// One on another runtime, in this package: the program `bench-NAME`, behind the feature `NAME`.
    Peer(&'static str),
    /// The system's bare calls, in C: `floors/NAME.c`, and the libraries that it wants.
    Floor(&'static str, &'static [&'static str]),
}

/// Every contestant without TLS, in the order of tables.
pub const ALL: [Contestant; 10] = [
    ours("callbacks-completion", "bench-callbacks", "completion"),
    ours("async-completion", "bench-async", "completion"),
    ours("callbacks-readiness", "bench-callbacks", "readiness"),
    ours("async-readiness", "bench-async", "readiness"),
    Contestant { name: "floor-uring", program: Program::Floor("uring", &["-luring"]) },
    Contestant { name: "floor-epoll", program: Program::Floor("epoll", &[]) },
    Contestant { name: "monoio", program: Program::Peer("monoio") },
    Contestant { name: "compio", program: Program::Peer("compio") },
    Contestant { name: "glommio", program: Program::Peer("glommio") },
    Contestant { name: "tokio", program: Program::Peer("tokio") },
];

/// Those with TLS, in the order of tables.
pub const SECURE: [Contestant; 5] = [
    ours("tls-callbacks-completion", "bench-tls-callbacks", "completion"),
    ours("tls-async-completion", "bench-tls-async", "completion"),
    ours("tls-callbacks-readiness", "bench-tls-callbacks", "readiness"),
    ours("tls-async-readiness", "bench-tls-async", "readiness"),
    Contestant { name: "tokio-rustls", program: Program::Peer("tokio-rustls") },
];

const fn ours(name: &'static str, binary: &'static str, backend: &'static str) -> Contestant {
    Contestant { name, program: Program::Ours { binary, backend } }
}

impl Contestant {
    /// Whether it is Marline's.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self.program, Program::Ours { .. })
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        SECURE.contains(self)
    }

    /// Whether it has a server of this role, and not only one that echoes.
    #[must_use]
    pub fn serves(&self, role: Role) -> bool {
        match self.program {
            Program::Ours { .. } => true,
            Program::Peer(name) => {
                role == Role::Echo || (self.is_secure() || name == "tokio") && role != Role::Timed
            }
            Program::Floor(..) => role == Role::Echo,
        }
    }

    /// Whether it works on rings, of which valgrind knows nothing.
    #[must_use]
    pub fn is_on_rings(&self) -> bool {
        match self.program {
            Program::Ours { backend, .. } => backend == "completion",
            Program::Peer(name) => matches!(name, "compio" | "glommio" | "monoio"),
            Program::Floor(name, _) => name == "uring",
        }
    }

    /// Whether it makes the system's bare calls.
    #[must_use]
    pub fn is_floor(&self) -> bool {
        matches!(self.program, Program::Floor(..))
    }

    /// What `MARLINE_BACKEND` says to it.
    #[must_use]
    pub fn backend(&self) -> Option<&'static str> {
        match self.program {
            Program::Ours { backend, .. } => Some(backend),
            _ => None,
        }
    }
}

/// A server that is built, and is known to start.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Which one.
    pub contestant: Contestant,
    /// Where its program is.
    pub path: PathBuf,
}

/// A server that is not compared.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// Which one.
    pub name: &'static str,
    /// Why.
    pub reason: String,
}
