//! Where, when and with what something was measured.

use std::fs;
use std::process::Command;

use rustix::thread::{CpuSet, sched_getaffinity};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What stands beside numbers, so that they mean something later.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The date and time, in UTC.
    pub date: String,
    /// What was typed.
    pub command: String,
    /// The processor, as it calls itself.
    pub cpu: String,
    /// How many cores the runner may use.
    pub cores: usize,
    /// The kernel, and for which kind of processor.
    pub kernel: String,
    /// The compiler.
    pub rustc: String,
}

impl Made {
    /// Here and now, by this program.
    #[must_use]
    pub fn now() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let (now, system) = (OffsetDateTime::now_utc(), rustix::system::uname());
        let word = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        Self {
            date: now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).unwrap_or_default(),
            command: format!("cargo run --release -p marline-bench -- {}", arguments.join(" ")),
            cpu: model(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
            cores: sched_getaffinity(None).map_or(0, |set| count(&set)),
            kernel: [system.sysname(), system.release(), system.machine()].map(word).join(" "),
            rustc: said(Command::new("rustc").arg("--version")),
        }
    }

    /// In a sentence.
    #[must_use]
    pub fn markdown(&self) -> String {
        let Self { date, command, cpu, cores, kernel, rustc } = self;
        format!("Measured {date} by `{command}`, on {cores} cores of {cpu}, {kernel}, {rustc}.\n")
    }
}

fn count(set: &CpuSet) -> usize {
    (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).count()
}

/// The first `model name` in `/proc/cpuinfo`.
fn model(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim().to_owned());
    name.unwrap_or_else(|| format!("an unnamed {}", std::env::consts::ARCH))
}

/// The first line of what a program says.
fn said(command: &mut Command) -> String {
    let output = command.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    output.ok().and_then(|text| text.lines().next().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named_once() {
        assert_eq!(model("processor: 0\nmodel name\t: Fast One\nmodel name\t: Fast Two\n"), "Fast One");
        assert!(model("").starts_with("an unnamed"));
    }

    #[test]
    fn this_machine_says_what_it_is() {
        let made = Made::now();
        assert!(made.cores > 0 && made.date.ends_with('Z') && !made.kernel.is_empty(), "{made:?}");
        assert!(made.markdown().contains(&made.kernel));
    }
}
