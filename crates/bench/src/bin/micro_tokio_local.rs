//! The micro-benchmarks on Tokio's `LocalSet`.
use std::process::ExitCode;

use marline_bench::micro::case::Case;
use marline_bench::micro::program;

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
    use marline_bench::micro::parts::Late;
    use tokio::runtime::Builder;
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
    use tokio::sync::oneshot as once;
    use tokio::task::JoinHandle;
    use tokio::time::{Instant, Sleep};

    pub(crate) use marline_bench::micro::parts::Baton;
    pub(crate) use std::rc::Rc as Shared;
    pub(crate) use tokio::task::spawn_local as spawn;
    pub(crate) use tokio::task::yield_now;
    pub(crate) use tokio::time::sleep;

    // Channels are those of Tokio, which may cross threads.
    pub(crate) use self::{channel as remote_channel, recv as remote_recv, send as remote_send};

    pub(crate) fn run<T: 'static>(main: impl Future<Output = T> + 'static) -> T {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async { join(spawn(main)).await })
    }

    pub(crate) async fn join<T>(task: JoinHandle<T>) -> T {
        task.await.expect("no task panics")
    }

    pub(crate) fn detach<T>(task: JoinHandle<T>) {
        drop(task);
    }

    pub(crate) fn sleep_until(deadline: std::time::Instant) -> Sleep {
        tokio::time::sleep_until(Instant::from_std(deadline))
    }

    pub(crate) fn channel<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
        unbounded_channel()
    }

    pub(crate) fn send<T>(sender: &UnboundedSender<T>, item: T) {
        sender.send(item).unwrap_or_else(|_| panic!("who receives does so until this is dropped"));
    }

    pub(crate) async fn recv<T>(receiver: &mut UnboundedReceiver<T>) -> Option<T> {
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

    // For many futures there are those of the crate `futures`.

    pub(crate) async fn gather(count: u64) -> Vec<u64> {
        futures::future::try_join_all((0..count).map(Late::one)).await.unwrap_or_default()
    }

    pub(crate) async fn select_two() -> u64 {
        let Ok(first) = tokio::select! {
            first = Late::one(1) => first,
            second = Late::never() => second,
        };
        first
    }

    pub(crate) async fn select_many(count: u64) -> u64 {
        let (Ok(first), ..) = futures::future::select_all(Late::crowd(count)).await;
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
