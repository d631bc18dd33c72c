//! The micro-benchmarks on Tokio's `LocalSet`.
use std::process::ExitCode;

use marline_bench::micro::case::Case;
use marline_bench::micro::program;

#[path = "../micro/suite/on_tokio.rs"]
mod on_tokio;
#[path = "../micro/suite/tasks.rs"]
mod tasks;
#[path = "../micro/suite/threads.rs"]
mod threads;
#[path = "../micro/suite/timers.rs"]
mod timers;
#[path = "../micro/suite/values.rs"]
mod values;

/// How things are done here.
mod runtime {
    use tokio::runtime::Builder;

    pub(crate) use crate::on_tokio::*;
    pub(crate) use marline_bench::micro::parts::Baton;
    pub(crate) use std::rc::Rc as Shared;
    pub(crate) use tokio::task::spawn_local as spawn;

    pub(crate) fn run<T: 'static>(main: impl Future<Output = T> + 'static) -> T {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async { join(spawn(main)).await })
    }
}

fn main() -> ExitCode {
    program::main("it has no such thing", |ask| runtime::run(program::measure(ask, go)))
}

async fn go(case: Case, count: u64) -> bool {
    tasks::run(case, count).await
        || values::run(case, count).await
        || timers::run(case, count).await
        || threads::run(case, count).await
}
