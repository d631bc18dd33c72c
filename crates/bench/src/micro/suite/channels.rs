//! The channels of the crate `futures`, for runtimes that have none of their own.

use futures::StreamExt;
use futures::channel::mpsc::{self, UnboundedReceiver, UnboundedSender};
use futures::channel::oneshot as once;

pub(crate) fn channel<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    mpsc::unbounded()
}

pub(crate) fn send<T>(sender: &UnboundedSender<T>, item: T) {
    sender.unbounded_send(item).expect("the other task receives until this is dropped");
}

pub(crate) async fn recv<T>(receiver: &mut UnboundedReceiver<T>) -> Option<T> {
    receiver.next().await
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
