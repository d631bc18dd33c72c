//! How things are done on Tokio, whatever its tasks are bound to.

use marline_bench::micro::parts::Late;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot as once;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};

pub(crate) use tokio::task::yield_now;
pub(crate) use tokio::time::sleep;

// Channels are those of Tokio, which may cross threads.
pub(crate) use self::{channel as remote_channel, recv as remote_recv, send as remote_send};

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
