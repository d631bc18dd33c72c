//! The programs of the micro-benchmarks.

use std::path::PathBuf;

use crate::contestant::LeftOut;
use crate::prepare::build_binaries;

/// A program, before it is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contestant {
    /// What tables call it.
    pub name: &'static str,
    /// The program.
    pub binary: &'static str,
    /// The feature that it is behind.
    pub feature: &'static str,
    /// What `MARLINE_BACKEND` says, if it is one of Marline's.
    pub backend: Option<&'static str>,
    /// Whether it waits in a ring, which valgrind does not know how to run.
    pub is_ring: bool,
}

/// Every contestant, in the order of tables.
pub const ALL: [Contestant; 11] = [
    ours("callbacks-readiness", "micro-callbacks", "readiness"),
    ours("callbacks-completion", "micro-callbacks", "completion"),
    ours("tasks-readiness", "micro-tasks", "readiness"),
    ours("tasks-completion", "micro-tasks", "completion"),
    peer("tokio-local", "micro-tokio-local", "micro-tokio"),
    peer("tokio", "micro-tokio", "micro-tokio"),
    peer("smol", "micro-smol", "micro-smol"),
    peer("futures", "micro-futures", "micro-futures"),
    ring("monoio", "micro-monoio", "micro-monoio"),
    ring("compio", "micro-compio", "micro-compio"),
    ring("glommio", "micro-glommio", "micro-glommio"),
];

const fn ours(name: &'static str, binary: &'static str, backend: &'static str) -> Contestant {
    let is_ring = backend.as_bytes()[0] == b'c';
    Contestant { name, binary, feature: "micro", backend: Some(backend), is_ring }
}

const fn peer(name: &'static str, binary: &'static str, feature: &'static str) -> Contestant {
    Contestant { name, binary, feature, backend: None, is_ring: false }
}

const fn ring(name: &'static str, binary: &'static str, feature: &'static str) -> Contestant {
    Contestant { name, binary, feature, backend: None, is_ring: true }
}

impl Contestant {
    /// Whether it is Marline's.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.backend.is_some()
    }
}

/// A program that is built.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Which one.
    pub contestant: Contestant,
    /// Where it is.
    pub path: PathBuf,
}

/// Builds these: all at once, which compiles what they share once, or one by one if that fails.
#[must_use]
pub fn prepare(contestants: &[Contestant]) -> (Vec<Ready>, Vec<LeftOut>) {
    eprintln!("preparing {} contestants", contestants.len());
    let all_at_once = build(contestants);
    let (mut ready, mut left_out) = (Vec::new(), Vec::new());
    for contestant in contestants {
        match all_at_once.clone().or_else(|_| build(&[*contestant])) {
            Ok(folder) => ready.push(Ready { contestant: *contestant, path: folder.join(contestant.binary) }),
            Err(reason) => {
                eprintln!("left out: {}: {reason}", contestant.name);
                left_out.push(LeftOut { name: contestant.name, reason });
            }
        }
    }
    (ready, left_out)
}

fn build(contestants: &[Contestant]) -> Result<PathBuf, String> {
    let names: Vec<&str> = contestants.iter().map(|contestant| contestant.binary).collect();
    let features: Vec<&str> = contestants.iter().map(|contestant| contestant.feature).collect();
    build_binaries(&names, &features)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_rings_are_known() {
        let names: std::collections::BTreeSet<&str> = ALL.iter().map(|contestant| contestant.name).collect();
        assert_eq!(names.len(), ALL.len());
        let rings: Vec<&str> = ALL.iter().filter(|found| found.is_ring).map(|found| found.name).collect();
        assert_eq!(rings, ["callbacks-completion", "tasks-completion", "monoio", "compio", "glommio"]);
    }
}
