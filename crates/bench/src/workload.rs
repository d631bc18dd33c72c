//! What the clients do.

use crate::cores::Cores;
use crate::load::{Close, Kind, Plan};
use crate::secure::{Role, UNIT};
use crate::server::{Server, Service};

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
    /// With TLS, whether sessions are resumed; `None` without.
    pub tls_resumes: Option<bool>,
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
        Self { kind: Kind::Echo, size, connections, requests: (requests * effort) as u64, tls_resumes: None }
    }

    /// Connections of one exchange each.
    #[must_use]
    pub fn churn(close: Close, connections: usize, requests: u64) -> Self {
        Self { kind: Kind::Churn { close }, size: 64, connections, requests, tls_resumes: None }
    }

    /// MiBs on one connection, to the server or from it.
    #[must_use]
    pub fn stream(kind: Kind, requests: u64) -> Self {
        Self { kind, size: UNIT, connections: 4, requests, tls_resumes: None }
    }

    /// The same with TLS.
    #[must_use]
    pub fn over_tls(self, resumes: bool) -> Self {
        Self { tls_resumes: Some(resumes), ..self }
    }

    /// What tables call it.
    #[must_use]
    pub fn name(&self) -> String {
        let size = match self.size {
            UNIT => "1 MiB".to_owned(),
            bytes if bytes % 1024 == 0 => format!("{} KiB", bytes / 1024),
            bytes => format!("{bytes} B"),
        };
        let kind = match self.kind {
            Kind::Echo => "echo",
            Kind::Churn { close: Close::Fin } => "connect, echo and close (FIN)",
            Kind::Churn { close: Close::Reset } => "connect, echo and close (RST)",
            Kind::Upload => "upload",
            Kind::Download => "download",
        };
        let tls = match (self.kind, self.tls_resumes) {
            (_, None) => "",
            (Kind::Churn { .. }, Some(true)) => "TLS, sessions resumed: ",
            (Kind::Churn { .. }, Some(false)) => "TLS, full handshakes: ",
            (_, Some(_)) => "TLS: ",
        };
        format!("{tls}{kind}, {size}, {} at a time", self.connections)
    }

    /// How many requests come before the measured ones: enough for each connection to have had some.
    #[must_use]
    pub fn warm_up(&self) -> u64 {
        (self.requests / 10).max(3 * self.connections as u64)
    }

    /// How large the buffers of the servers are that let one choose, and what those do that can do several things.
    #[must_use]
    pub fn service(&self) -> Service {
        let role = match self.kind {
            Kind::Echo | Kind::Churn { .. } => Role::Echo,
            Kind::Upload => Role::Sink,
            Kind::Download => Role::Source,
        };
        Service { buffer: if self.size > 16 * 1024 { 64 * 1024 } else { 16 * 1024 }, role }
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
            tls_resumes: self.tls_resumes,
            sample_every: None,
        }
    }
}

/// The traffic of `quick`: a third of the usual, so that its ten servers take less than two minutes.
#[must_use]
pub fn quick(effort: f64) -> Vec<Workload> {
    let pairs = [(64, 1), (64, 64), (64, 1000), (1024, 64), (16_384, 64), (102_400, 64)];
    pairs.map(|(size, connections)| Workload::echo(size, connections, effort / 3.0)).to_vec()
}

/// The traffic of `full`: every size, for every number of connections.
#[must_use]
pub fn full(effort: f64) -> Vec<Workload> {
    let sizes = [64, 1024, 16_384, 102_400];
    sizes.iter().flat_map(|size| [1, 64, 1000].map(|count| Workload::echo(*size, count, effort))).collect()
}

/// The traffic of `tls`: echo, streams and handshakes.
#[must_use]
pub fn tls(effort: f64) -> Vec<Workload> {
    let sizes = [64, 1024, 16_384, 102_400];
    let echo = sizes.iter().flat_map(|size| [1, 64].map(|count| Workload::echo(*size, count, effort / 2.0)));
    let streams = [Kind::Upload, Kind::Download].map(|kind| Workload::stream(kind, (1000.0 * effort) as u64));
    let churn = Workload { size: 1, ..Workload::churn(Close::Fin, 64, (4000.0 * effort) as u64) };
    let all = echo.chain(streams).chain([churn]).map(|workload| workload.over_tls(false));
    all.chain([churn.over_tls(true)]).collect()
}
