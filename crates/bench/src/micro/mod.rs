//! Micro-benchmarks: what single operations of a loop and of its executor cost, beside those of other runtimes.
//!
//! ```text
//! cargo run --release -p marline-bench -- micro
//! cargo run --release -p marline-bench -- micro-counts
//! ```
//!
//! Every runtime has a program of its own, `src/bin/micro_*.rs`, which says how each thing is done there: how a task is
//! spawned and joined, which channel and which sleep. What is done with these is written once, in `src/micro/suite`, and
//! compiled into each of the programs against their module `runtime`. So the operations and their numbers are the same for
//! all, nothing is called through a trait object, and runtimes that want `Send` get it.
//!
//! Everything runs in a spawned task, and not in the future that the runtime blocks on, which many of them treat apart.
//!
//! - [`case`]: what is measured.
//! - [`parts`]: small futures that all programs use.
//! - [`program`]: what the programs have in common: the command line, clocks, what they say.
//! - [`contestant`]: the programs.
//! - [`rounds`]: who runs when.
//! - [`report`]: what is printed and written.
//! - [`counts`]: instructions, in the place of time; [`profile`]: in which functions they are.
//! - [`command`]: the modes `micro` and `micro-counts` of the runner.

pub mod case;
pub mod command;
pub mod contestant;
pub mod counts;
pub mod parts;
pub mod profile;
pub mod program;
pub mod report;
pub mod rounds;
