//! What the clients do.

use serde::{Deserialize, Serialize};

use crate::cores::Cores;
use crate::load::{Close, Kind, Plan};
use crate::role::{Role, UNIT};
use crate::server::{Server, Service};

/// One kind of traffic, and how much of it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// What a request is.
    pub kind: Kind,
    /// How many bytes a message has.
    pub size: usize,
    /// How many connections there are, each with a request under way. A stream is one connection with so many.
    pub connections: usize,
    /// How many requests are under way on each connection, where that may be several; of lines, how many are published at
    /// once.
    pub depth: usize,
    /// How many requests are measured.
    pub requests: u64,
    /// With TLS, whether sessions are resumed; `None` without.
    pub tls_resumes: Option<bool>,
    /// Whether each request is timed by itself.
    pub timed: bool,
    /// Whether the clients have as many threads as cores.
    #[serde(default)]
    pub wide: bool,
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
        Self::new(Kind::Echo, size, connections, (requests * effort) as u64)
    }

    /// One request under way on each connection, without TLS.
    const fn new(kind: Kind, size: usize, connections: usize, requests: u64) -> Self {
        Self { kind, size, connections, depth: 1, requests, tls_resumes: None, timed: false, wide: false }
    }

    /// Echo, with several messages under way on each connection.
    #[must_use]
    pub fn pipelined(depth: usize, effort: f64) -> Self {
        Self { depth, ..Self::new(Kind::Echo, 64, 64, (400_000.0 * effort) as u64) }
    }

    /// Lines and their answers.
    #[must_use]
    pub fn lines(effort: f64) -> Self {
        Self::new(Kind::Lines, 64, 64, (100_000.0 * effort) as u64)
    }

    /// Lines published to a thousand.
    #[must_use]
    pub fn fan_out(depth: usize, effort: f64) -> Self {
        Self { depth, ..Self::new(Kind::FanOut, 64, 1000, (400_000.0 * effort) as u64) }
    }

    /// Echo on so many connections, with each round trip timed.
    #[must_use]
    pub fn latency(connections: usize, effort: f64) -> Self {
        Self { timed: true, ..Self::new(Kind::Echo, 64, connections, (200_000.0 * effort) as u64) }
    }

    /// 64 fast connections among others, for so long.
    #[must_use]
    pub fn soak(seconds: u64) -> Self {
        Self { timed: true, ..Self::new(Kind::Soak { seconds }, 64, 64, 0) }
    }

    /// Connections of one exchange each.
    #[must_use]
    pub fn churn(close: Close, connections: usize, requests: u64) -> Self {
        Self::new(Kind::Churn { close }, 64, connections, requests)
    }

    /// MiBs on one connection, to the server or from it.
    #[must_use]
    pub fn stream(kind: Kind, requests: u64) -> Self {
        Self::new(kind, UNIT, 4, requests)
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
            Kind::Lines => "lines and answers",
            Kind::Soak { .. } => "soak",
            Kind::FanOut => "lines to all subscribers",
        };
        let tls = match (self.kind, self.tls_resumes) {
            (_, None) => "",
            (Kind::Churn { .. }, Some(true)) => "TLS, sessions resumed: ",
            (Kind::Churn { .. }, Some(false)) => "TLS, full handshakes: ",
            (_, Some(_)) => "TLS: ",
        };
        let depth = match self.kind {
            Kind::FanOut => format!(", {} published at once", self.depth),
            _ if self.depth > 1 => format!(", {} under way on each", self.depth),
            _ => String::new(),
        };
        let timed = if self.timed { ", timed" } else { "" };
        format!("{tls}{kind}, {size}, {} at a time{depth}{timed}", self.connections)
    }

    /// Its [`name`](Self::name), as a file may be called.
    #[must_use]
    pub fn file_name(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
        let name: String = self.name().chars().map(plain).collect();
        name.split_whitespace().collect::<Vec<_>>().join("-")
    }

    /// How many requests come before the measured ones: enough for each connection to have had some.
    #[must_use]
    pub fn warm_up(&self) -> u64 {
        (self.requests / 10).max(3 * self.connections as u64)
    }

    /// How large the buffers of the servers are that let one choose, and what they do.
    #[must_use]
    pub fn service(&self) -> Service {
        let role = match self.kind {
            Kind::Echo | Kind::Churn { .. } => Role::Echo,
            Kind::Upload => Role::Sink,
            Kind::Download => Role::Source,
            Kind::Lines => Role::Lines,
            Kind::FanOut => Role::Relay,
            Kind::Soak { .. } => Role::Timed,
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
            depth: self.depth,
            size: self.size,
            warm_up: self.warm_up(),
            requests: self.requests,
            spin: cores.spin,
            tls_resumes: self.tls_resumes,
            timed: self.timed,
            threads: if self.wide { cores.load.count() as usize } else { 1 },
            sample_every: None,
        }
    }
}

/// How many requests are under way on each connection where there are several, and how many lines are published at once.
const DEPTH: usize = 16;

/// The traffic of `quick`.
#[must_use]
pub fn quick(effort: f64) -> Vec<Workload> {
    let pairs = [(64, 1), (64, 64), (64, 1000), (1024, 64), (16_384, 64), (102_400, 64)];
    let echo = pairs.into_iter().map(|(size, connections)| Workload::echo(size, connections, effort));
    echo.chain(others(effort)).collect()
}

/// The traffic of `full`: every size, for every number of connections, and everything beside echo.
#[must_use]
pub fn full(effort: f64) -> Vec<Workload> {
    let sizes = [64, 1024, 16_384, 102_400];
    let echo = sizes.iter().flat_map(|size| [1, 64, 1000].map(|count| Workload::echo(*size, count, effort)));
    let churn = Workload::churn(Close::Fin, 64, (20_000.0 * effort) as u64);
    echo.chain(others(effort)).chain([churn]).collect()
}

fn others(effort: f64) -> [Workload; 5] {
    let units = (2000.0 * effort) as u64;
    [
        Workload::pipelined(DEPTH, effort),
        Workload::lines(effort),
        Workload::fan_out(DEPTH, effort),
        Workload::stream(Kind::Upload, units),
        Workload::stream(Kind::Download, units),
    ]
}

/// The traffic of `group`: echo on several connections, by clients on all the cores that they have.
#[must_use]
pub fn group(effort: f64) -> Vec<Workload> {
    let pairs = [(64, 64), (64, 1000), (1024, 64), (16_384, 64)];
    pairs.map(|(size, count)| Workload { wide: true, ..Workload::echo(size, count, effort) }).to_vec()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_has_a_file_of_its_own() {
        let all: Vec<Workload> = full(1.0).into_iter().chain(tls(1.0)).collect();
        for (index, one) in all.iter().enumerate() {
            assert!(all[index + 1..].iter().all(|other| other.file_name() != one.file_name()), "{one:?}");
        }
        assert_eq!(Workload::echo(64, 1, 1.0).file_name(), "echo-64-b-1-at-a-time");
    }
}
