//! The micro-benchmarks on monoio's io_uring driver.
use std::process::ExitCode;

use marline_bench::micro::case::Case;
use marline_bench::micro::program;

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
    use std::time::Instant;

    use local_sync::mpsc::unbounded::{Rx, Tx, channel as unbounded};
    use local_sync::oneshot as once;
    use marline_bench::peer;
    use monoio::task::JoinHandle;
    use monoio::time::Sleep;
    use monoio::{IoUringDriver, RuntimeBuilder};

    pub(crate) use crate::combinators::{gather, select_many, select_two};
    pub(crate) use crate::remote::{remote_channel, remote_recv, remote_send};
    pub(crate) use marline_bench::micro::parts::{Baton, yield_once as yield_now};
    pub(crate) use monoio::spawn;
    pub(crate) use monoio::time::sleep;
    pub(crate) use std::rc::Rc as Shared;

    pub(crate) fn run<T: 'static>(main: impl Future<Output = T> + 'static) -> T {
        let builder = RuntimeBuilder::<IoUringDriver>::new().with_entries(peer::ENTRIES).enable_timer();
        builder.build().expect("a runtime can be made").block_on(async { spawn(main).await })
    }

    pub(crate) async fn join<T>(task: JoinHandle<T>) -> T {
        task.await
    }

    pub(crate) fn detach<T>(task: JoinHandle<T>) {
        drop(task);
    }

    pub(crate) fn sleep_until(deadline: Instant) -> Sleep {
        monoio::time::sleep_until(deadline.into())
    }

    // The channels that its documents advise.

    pub(crate) fn channel<T>() -> (Tx<T>, Rx<T>) {
        unbounded()
    }

    pub(crate) fn send<T>(sender: &Tx<T>, item: T) {
        sender.send(item).unwrap_or_else(|_| panic!("who receives does so until this is dropped"));
    }

    pub(crate) async fn recv<T>(receiver: &mut Rx<T>) -> Option<T> {
        receiver.recv().await
    }

    pub(crate) fn oneshot() -> (once::Sender<u64>, once::Receiver<u64>) {
        once::channel()
    }

    pub(crate) fn answer(sender: once::Sender<u64>, value: u64) {
        sender.send(value).expect("the other task waits for it");
    }

    pub(crate) async fn wait_for(receiver: once::Receiver<u64>) -> u64 {
        receiver.await.expect("the other task answers")
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
