//! What the runner and the process of the load tell each other, in JSON.

use serde::{Deserialize, Serialize};

/// What the load is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Where the server listens, on 127.0.0.1.
    pub port: u16,
    /// The server's process, whose processor time is read.
    pub pid: u32,
    /// What a request is.
    pub kind: Kind,
    /// How many requests are under way at a time, each on a connection of its own unless they are of a stream.
    pub connections: usize,
    /// How many requests are under way on each connection, where that may be several; of lines, how many are published at
    /// once.
    pub depth: usize,
    /// How many bytes a message has.
    pub size: usize,
    /// How many requests come before the measured ones.
    pub warm_up: u64,
    /// How many requests are measured.
    pub requests: u64,
    /// Whether the load looks for events again and again, in place of sleeping until there is one.
    pub spin: bool,
    /// With TLS, whether sessions are resumed; `None` without.
    pub tls_resumes: Option<bool>,
    /// Whether each measured request is timed by itself.
    pub timed: bool,
    /// How many threads make the requests, each on its part of the connections.
    pub threads: usize,
    /// After how many measured requests the server's memory and descriptors are looked at, again and again.
    pub sample_every: Option<u64>,
}

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// One message and its answer, on a connection that stays.
    Echo,
    /// A connection: connect, one message and its answer, close.
    Churn {
        /// How it ends.
        close: Close,
    },
    /// A MiB to a server that counts them, on the one connection that there is.
    Upload,
    /// A MiB from a server, on the one connection that there is.
    Download,
    /// A line and its answer, on a connection that stays.
    Lines,
    /// A line delivered to one of those who get all that one client publishes.
    FanOut,
    /// A message and its answer, on a connection that stays, among clients of other kinds.
    Soak {
        /// For so long.
        seconds: u64,
    },
}

/// How a client ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Close {
    /// It ends its direction and waits for the server to end the other.
    Fin,
    /// It resets the connection, and waits for nothing.
    Reset,
}

/// What the load says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Line {
    /// How the server is, in between.
    Sample(Sample),
    /// The end.
    Report(Report),
}

/// How the server is, in between.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// How many measured requests were done.
    pub requests: u64,
    /// How many KiB of memory the server has resident.
    pub resident: u64,
    /// How many descriptors the server has.
    pub descriptors: usize,
    /// How many seconds the measured requests took so far.
    pub seconds: f64,
}

/// What the measured requests cost.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Report {
    /// How many they were.
    pub requests: u64,
    /// The processor time of the server, in nanoseconds.
    pub server: u64,
    /// How much of it was in the server's own code, in nanoseconds, by the system's ticks of some milliseconds.
    pub server_user: u64,
    /// How long the load had something to do, in nanoseconds.
    pub load: u64,
    /// How long they took, in nanoseconds.
    pub wall: u64,
    /// How often the system switched from the server to another process.
    pub switches: u64,
    /// How long each took, if that was asked for.
    #[serde(default)]
    pub latency: Option<Latency>,
}

/// How long requests took, in nanoseconds: so many parts of all took so long or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of them.
    pub p50: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1000.
    pub p999: u64,
    /// All of them.
    pub max: u64,
}
