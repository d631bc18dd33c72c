//! The servers that are compared.

use std::ffi::OsStr;
use std::path::PathBuf;

use crate::cores::Cores;
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
    /// One on a library in C: `floors/NAME.c`, and what pkg-config calls the library.
    Native(&'static str, &'static str),
    /// One in Python: `python/echo_NAME.py`, which imports the module `NAME`.
    Python(&'static str),
}

/// Every contestant without TLS, in the order of tables.
pub const ALL: [Contestant; 18] = [
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
    Contestant { name: "tokio-multi", program: Program::Peer("tokio-multi") },
    Contestant { name: "smol", program: Program::Peer("smol") },
    Contestant { name: "calloop", program: Program::Peer("calloop") },
    Contestant { name: "mio", program: Program::Peer("mio") },
    Contestant { name: "libuv", program: Program::Native("libuv", "libuv") },
    Contestant { name: "uvloop", program: Program::Python("uvloop") },
    Contestant { name: "asyncio", program: Program::Python("asyncio") },
    Contestant { name: "twisted", program: Program::Python("twisted") },
];

/// Groups of loops, one on each core, in the order of tables.
pub const GROUPS: [Contestant; 4] = [
    ours("group-callbacks-completion", "bench-group-callbacks", "completion"),
    ours("group-async-completion", "bench-group-async", "completion"),
    ours("group-callbacks-readiness", "bench-group-callbacks", "readiness"),
    ours("group-async-readiness", "bench-group-async", "readiness"),
];

/// The peers that `quick` has time for, beside ours and the floors: what most programs are on, and the leanest of each kind.
const QUICK: [&str; 4] = ["tokio", "monoio", "mio", "libuv"];

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

    /// Whether it has several loops.
    #[must_use]
    pub fn is_group(&self) -> bool {
        GROUPS.contains(self)
    }

    /// Where it runs, and its clients.
    #[must_use]
    pub fn place(&self, cores: Cores) -> Cores {
        if self.is_group() { cores.for_group() } else { cores }
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
            Program::Ours { .. } => role == Role::Echo || !self.is_group(),
            Program::Peer(name) => {
                role == Role::Echo || (self.is_secure() || name == "tokio") && role != Role::Timed
            }
            Program::Floor(..) | Program::Native(..) | Program::Python(_) => role == Role::Echo,
        }
    }

    /// Whether it works on rings, of which valgrind knows nothing.
    #[must_use]
    pub fn is_on_rings(&self) -> bool {
        match self.program {
            Program::Ours { backend, .. } => backend == "completion",
            Program::Peer(name) => matches!(name, "compio" | "glommio" | "monoio"),
            Program::Floor(name, _) => name == "uring",
            Program::Native(..) | Program::Python(_) => false,
        }
    }

    /// Whether it makes the system's bare calls.
    #[must_use]
    pub fn is_floor(&self) -> bool {
        matches!(self.program, Program::Floor(..))
    }

    /// Whether `quick` has time for it.
    #[must_use]
    pub fn is_quick(&self) -> bool {
        self.is_ours() || self.is_floor() || QUICK.contains(&self.name)
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
    /// Where its program is. What belongs to it is written beside.
    pub path: PathBuf,
    /// What runs the program, if it does not run by itself.
    pub interpreter: Option<PathBuf>,
}

impl Ready {
    /// The words of the command that starts it, without arguments.
    pub fn words(&self) -> impl Iterator<Item = &OsStr> {
        self.interpreter.iter().chain([&self.path]).map(|path| path.as_os_str())
    }
}

/// A server that is not compared.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// Which one.
    pub name: &'static str,
    /// Why.
    pub reason: String,
}
