//! The micro-benchmarks on compio's io_uring driver.
use std::process::ExitCode;

use marline_bench::micro::case::Case;
use marline_bench::micro::program;

#[path = "../micro/suite/channels.rs"]
mod channels;
#[path = "../micro/suite/combinators.rs"]
mod combinators;
#[path = "../micro/suite/remote.rs"]
mod remote;
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
    use compio::driver::{DriverType, ProactorBuilder};
    use compio::runtime::{JoinHandle, RuntimeBuilder};
    use marline_bench::peer;

    pub(crate) use crate::channels::{answer, channel, oneshot, recv, send, wait_for};
    pub(crate) use crate::combinators::{gather, select_many, select_two};
    pub(crate) use crate::remote::{remote_channel, remote_recv, remote_send};
    pub(crate) use compio::runtime::spawn;
    pub(crate) use compio::runtime::time::{sleep, sleep_until};
    pub(crate) use marline_bench::micro::parts::{Baton, yield_once as yield_now};
    pub(crate) use std::rc::Rc as Shared;

    pub(crate) fn run<T: 'static>(main: impl Future<Output = T> + 'static) -> T {
        let mut proactor = ProactorBuilder::new();
        proactor.capacity(peer::ENTRIES).driver_type(DriverType::IoUring);
        let runtime = RuntimeBuilder::new().with_proactor(proactor).build().expect("a runtime can be made");
        runtime.block_on(async { join(spawn(main)).await })
    }

    pub(crate) async fn join<T>(task: JoinHandle<T>) -> T {
        task.await.unwrap_or_else(|_| panic!("no task panics"))
    }

    pub(crate) fn detach<T>(task: JoinHandle<T>) {
        task.detach();
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
