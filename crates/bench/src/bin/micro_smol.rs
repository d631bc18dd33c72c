//! The micro-benchmarks on smol's `LocalExecutor`, with async-io.
use std::process::ExitCode;

use marline_bench::micro::case::Case;
use marline_bench::micro::program;

#[path = "../micro/suite/combinators.rs"]
mod combinators;
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
    use std::rc::Rc;
    use std::time::{Duration, Instant};

    use futures::channel::oneshot as once;
    use smol::channel::{Receiver, Sender, unbounded};
    use smol::{LocalExecutor, Task, Timer};

    pub(crate) use crate::combinators::{gather, select_many, select_two};
    pub(crate) use marline_bench::micro::parts::Baton;
    pub(crate) use smol::future::yield_now;
    pub(crate) use std::rc::Rc as Shared;

    // Channels are those of smol, which may cross threads.
    pub(crate) use self::{recv as remote_recv, send as remote_send};

    thread_local! {
        static EXECUTOR: Rc<LocalExecutor<'static>> = Rc::new(LocalExecutor::new());
    }

    pub(crate) fn run<T: 'static>(main: impl Future<Output = T> + 'static) -> T {
        let executor = EXECUTOR.with(Rc::clone);
        smol::block_on(executor.run(spawn(main)))
    }

    pub(crate) fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> Task<T> {
        EXECUTOR.with(|executor| executor.spawn(future))
    }

    pub(crate) async fn join<T>(task: Task<T>) -> T {
        task.await
    }

    pub(crate) fn detach<T>(task: Task<T>) {
        task.detach();
    }

    pub(crate) fn sleep(delay: Duration) -> Timer {
        Timer::after(delay)
    }

    pub(crate) fn sleep_until(deadline: Instant) -> Timer {
        Timer::at(deadline)
    }

    pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
        unbounded()
    }

    pub(crate) fn send<T>(sender: &Sender<T>, item: T) {
        sender.try_send(item).unwrap_or_else(|_| panic!("who receives does so until this is dropped"));
    }

    pub(crate) async fn recv<T>(receiver: &mut Receiver<T>) -> Option<T> {
        receiver.recv().await.ok()
    }

    pub(crate) fn remote_channel() -> (Sender<u64>, Receiver<u64>) {
        unbounded()
    }

    // It has nothing for a single value.

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
