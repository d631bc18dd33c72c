//! What the clients do.

use crate::cores::Cores;
use crate::load::{Close, Kind, Plan};
use crate::server::Server;

/// One kind of traffic, and how much of it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// What a request is.
    pub kind: Kind,
    /// How many bytes a message has.
    pub size: usize,
    /// How many requests are under way at a time.
    pub connections: usize,
    /// How many requests are measured.
    pub requests: u64,
}

impl Workload {
    /// Echo. How many requests are measured follows from what they cost, so that each measurement takes about as long.
    #[must_use]
    pub fn echo(size: usize, connections: usize, effort: f64) -> Self {
        let requests: f64 = match (size, connections) {
            (_, 1) if size <= 16 * 1024 => 20_000.0,
            (..=1024, _) => 100_000.0,
            (..=16_384, _) => 50_000.0,
            _ => 10_000.0,
        };
        Self { kind: Kind::Echo, size, connections, requests: (requests * effort) as u64 }
    }

    /// Connections of one exchange each.
    #[must_use]
    pub fn churn(close: Close, connections: usize, requests: u64) -> Self {
        Self { kind: Kind::Churn { close }, size: 64, connections, requests }
    }

    /// What tables call it.
    #[must_use]
    pub fn name(&self) -> String {
        let size = match self.size {
            bytes if bytes % 1024 == 0 => format!("{} KiB", bytes / 1024),
            bytes => format!("{bytes} B"),
        };
        let kind = match self.kind {
            Kind::Echo => "echo",
            Kind::Churn { close: Close::Fin } => "connect, echo and close (FIN)",
            Kind::Churn { close: Close::Reset } => "connect, echo and close (RST)",
        };
        format!("{kind}, {size}, {} at a time", self.connections)
    }

    /// How many requests come before the measured ones: enough for each connection to have had some.
    #[must_use]
    pub fn warm_up(&self) -> u64 {
        (self.requests / 10).max(3 * self.connections as u64)
    }

    /// How large the buffers of the servers are that let one choose.
    #[must_use]
    pub fn buffer(&self) -> usize {
        if self.size > 16 * 1024 { 64 * 1024 } else { 16 * 1024 }
    }

    /// What the load is to do to this server.
    #[must_use]
    pub fn plan(&self, server: &Server, cores: Cores) -> Plan {
        Plan {
            port: server.port(),
            pid: server.pid(),
            kind: self.kind,
            connections: self.connections,
            size: self.size,
            warm_up: self.warm_up(),
            requests: self.requests,
            spin: cores.spin,
            sample_every: None,
        }
    }
}

/// The traffic of `quick`.
#[must_use]
pub fn quick(effort: f64) -> Vec<Workload> {
    let pairs = [(64, 1), (64, 64), (64, 1000), (1024, 64), (16_384, 64), (102_400, 64)];
    pairs.map(|(size, connections)| Workload::echo(size, connections, effort)).to_vec()
}

/// The traffic of `full`: every size, for every number of connections.
#[must_use]
pub fn full(effort: f64) -> Vec<Workload> {
    let sizes = [64, 1024, 16_384, 102_400];
    sizes.iter().flat_map(|size| [1, 64, 1000].map(|count| Workload::echo(*size, count, effort))).collect()
}
