//! The micro-benchmarks on the `LocalPool` of the crate `futures`.
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
#[path = "../micro/suite/values.rs"]
mod values;

/// How things are done here.
mod runtime {
    pub(crate) use crate::channels::{answer, channel, oneshot, recv, send, wait_for};
    pub(crate) use crate::combinators::{gather, select_many, select_two};
    pub(crate) use crate::remote::{remote_channel, remote_recv, remote_send};
    pub(crate) use marline_bench::micro::parts::Baton;
    pub(crate) use marline_bench::micro::parts::yield_once as yield_now;
    pub(crate) use std::rc::Rc as Shared;

    use std::cell::OnceCell;

    use futures::executor::{LocalPool, LocalSpawner};
    use futures::future::RemoteHandle;
    use futures::task::LocalSpawnExt;

    thread_local! {
        static SPAWNER: OnceCell<LocalSpawner> = const { OnceCell::new() };
    }

    pub(crate) fn run<T: 'static>(main: impl Future<Output = T> + 'static) -> T {
        let mut pool = LocalPool::new();
        SPAWNER.with(|spawner| spawner.set(pool.spawner()).expect("there is one pool"));
        pool.run_until(async { join(spawn(main)).await })
    }

    pub(crate) fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> RemoteHandle<T> {
        let spawn = |spawner: &LocalSpawner| spawner.spawn_local_with_handle(future).ok();
        SPAWNER.with(|spawner| spawner.get().and_then(spawn)).expect("the pool lives")
    }

    pub(crate) async fn join<T: 'static>(task: RemoteHandle<T>) -> T {
        task.await
    }

    pub(crate) fn detach<T: 'static>(task: RemoteHandle<T>) {
        task.forget();
    }
}

fn main() -> ExitCode {
    program::main("it has no timers", |ask| runtime::run(program::measure(ask, go)))
}

async fn go(case: Case, count: u64) -> bool {
    tasks::run(case, count).await || values::run(case, count).await || threads::run(case, count).await
}
