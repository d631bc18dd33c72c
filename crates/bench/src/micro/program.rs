//! What the programs have in common: `micro-NAME CASE OPERATIONS [counted]`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::case::Case;

/// What a program says, in JSON, on one line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Said {
    /// What it measured.
    Measured(Measured),
    /// Why it has no such thing.
    Missing(String),
}

/// What some operations took, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// How many there were.
    pub operations: u64,
    /// The time on the wall.
    pub wall: u64,
    /// The processor time of the process.
    pub cpu: u64,
}

/// Clocks that run.
#[derive(Debug)]
pub struct Meter {
    operations: u64,
    wall: Instant,
    cpu: Duration,
}

impl Meter {
    /// From now on, for so many operations.
    #[must_use]
    pub fn start(operations: u64) -> Self {
        Self { operations, wall: Instant::now(), cpu: processor_time() }
    }

    /// Until now.
    #[must_use]
    pub fn stop(self) -> Measured {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Measured {
            operations: self.operations,
            cpu: nanoseconds(processor_time().saturating_sub(self.cpu)),
            wall: nanoseconds(self.wall.elapsed()),
        }
    }
}

/// Nothing under valgrind, which does not show programs where the kernel maps the code behind this call, so that `rustix`
/// would read memory that is not there.
fn processor_time() -> Duration {
    if is_counted() {
        return Duration::ZERO;
    }
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// What the command line asks for.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Which operations.
    pub case: Case,
    /// How many.
    pub count: u64,
}

/// The `main` of a program: `measure` answers `None` for what the runtime does not have, and `reason` says why.
pub fn main(reason: &str, measure: impl FnOnce(Ask) -> Option<Measured>) -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let case = arguments.next().and_then(|name| Case::find(&name));
    let count = arguments.next().and_then(|count| count.parse().ok());
    let (Some(case), Some(count)) = (case, count) else {
        eprintln!("expected the name of a case and a number of operations");
        return ExitCode::FAILURE;
    };
    let said = measure(Ask { case, count }).map_or_else(|| Said::Missing(reason.to_owned()), Said::Measured);
    match serde_json::to_string(&said) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Warms up with the case's few operations, and measures those that are asked for. `go` answers whether it has the case.
pub async fn measure<F: Future<Output = bool>>(ask: Ask, go: impl Fn(Case, u64) -> F) -> Option<Measured> {
    if !go(ask.case, ask.case.plan().few).await {
        return None;
    }
    let meter = Meter::start(ask.count);
    go(ask.case, ask.count).await;
    Some(meter.stop())
}

/// How far ahead the instant lies at which many sleeps end: as long as setting them takes, and under valgrind, where all
/// takes fifty times as long, so much longer.
#[must_use]
pub fn ahead() -> Duration {
    if is_counted() { Duration::from_secs(2) } else { Duration::from_millis(40) }
}

fn is_counted() -> bool {
    std::env::args().nth(3).is_some_and(|word| word == COUNTED)
}

/// The third argument of a program whose instructions are counted.
pub const COUNTED: &str = "counted";
