//! The micro-benchmarks on tasks of Marline, on the backend that `MARLINE_BACKEND` names.
use std::process::ExitCode;

use marline_bench::micro::case::Case;
use marline_bench::micro::program;

#[path = "../micro/suite/channels.rs"]
mod channels;
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
    pub(crate) use crate::channels::{answer, channel, oneshot, recv, send, wait_for};
    pub(crate) use crate::remote::{remote_channel, remote_recv, remote_send};
    pub(crate) use marline::{sleep, spawn, yield_now};
    pub(crate) use marline_bench::micro::parts::Baton;
    pub(crate) use std::rc::Rc as Shared;

    use marline::combinators::OneOf2;
    use marline::{Instant, JoinHandle, Sleep};
    use marline_bench::micro::parts::Late;

    pub(crate) fn run<T: 'static>(main: impl Future<Output = T> + 'static) -> T {
        let result: marline::Result<T> = marline::run(async { Ok(spawn(main).await?) });
        result.expect("there is a loop, and nothing fails on it")
    }

    pub(crate) async fn join<T>(task: JoinHandle<T>) -> T {
        task.await.expect("no task panics")
    }

    pub(crate) fn detach<T>(task: JoinHandle<T>) {
        drop(task);
    }

    pub(crate) fn sleep_until(deadline: std::time::Instant) -> Sleep {
        marline::sleep_until(
            Instant::monotonic() + deadline.saturating_duration_since(std::time::Instant::now()),
        )
    }

    pub(crate) async fn gather(count: u64) -> Vec<u64> {
        marline::gather((0..count).map(Late::one)).await.unwrap_or_default()
    }

    pub(crate) async fn select_two() -> u64 {
        match marline::select((Late::one(1), Late::never())).await {
            OneOf2::First(Ok(first)) | OneOf2::Second(Ok(first)) => first,
        }
    }

    pub(crate) async fn select_many(count: u64) -> u64 {
        let (_, Ok(first)) = marline::race(Late::crowd(count)).await;
        first
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
