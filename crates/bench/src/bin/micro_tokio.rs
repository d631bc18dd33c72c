//! The micro-benchmarks on Tokio's runtime of one thread, with tasks that are `Send`.
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
    pub(crate) use marline_bench::micro::parts::SharedBaton as Baton;
    pub(crate) use std::sync::Arc as Shared;
    pub(crate) use tokio::spawn;

    pub(crate) fn run<T: Send + 'static>(main: impl Future<Output = T> + Send + 'static) -> T {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        runtime.block_on(async { join(spawn(main)).await })
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
