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
}
