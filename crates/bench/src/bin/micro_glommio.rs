//! The micro-benchmarks on a local executor of glommio's.
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
    use std::time::{Duration, Instant};

    use futures::channel::oneshot as once;
    use glommio::channels::local_channel::{LocalReceiver, LocalSender, new_unbounded};
    use glommio::timer::Timer;
    use glommio::{LocalExecutorBuilder, Placement, Task};

    pub(crate) use crate::combinators::{gather, select_many, select_two};
    pub(crate) use crate::remote::{remote_channel, remote_recv, remote_send};
    pub(crate) use glommio::spawn_local as spawn;
    pub(crate) use marline_bench::micro::parts::Baton;
    pub(crate) use std::rc::Rc as Shared;

    pub(crate) fn run<T: 'static>(main: impl Future<Output = T> + 'static) -> T {
        let builder = LocalExecutorBuilder::new(Placement::Unbound).ring_depth(1024);
        builder.make().expect("an executor can be made").run(async { spawn(main).await })
    }

    pub(crate) async fn join<T>(task: Task<T>) -> T {
        task.await
    }

    pub(crate) fn detach<T>(task: Task<T>) {
        drop(task.detach());
    }

    pub(crate) async fn yield_now() {
        glommio::executor().yield_now().await;
    }

    pub(crate) fn sleep(delay: Duration) -> Timer {
        Timer::new(delay)
    }

    /// It has only sleeps that say how long.
    pub(crate) fn sleep_until(deadline: Instant) -> Timer {
        Timer::new(deadline.saturating_duration_since(Instant::now()))
    }

    pub(crate) fn channel<T>() -> (LocalSender<T>, LocalReceiver<T>) {
        new_unbounded()
    }

    pub(crate) fn send<T>(sender: &LocalSender<T>, item: T) {
        sender.try_send(item).unwrap_or_else(|_| panic!("who receives does so until this is dropped"));
    }

    pub(crate) async fn recv<T>(receiver: &mut LocalReceiver<T>) -> Option<T> {
        receiver.recv().await
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
