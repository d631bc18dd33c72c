//! The channel of the crate `futures`, from another thread, for runtimes that have none of their own for that.

use futures::StreamExt;
use futures::channel::mpsc::{self, UnboundedReceiver, UnboundedSender};

pub(crate) fn remote_channel() -> (UnboundedSender<u64>, UnboundedReceiver<u64>) {
    mpsc::unbounded()
}

pub(crate) fn remote_send(sender: &UnboundedSender<u64>, item: u64) {
    sender.unbounded_send(item).expect("the loop receives until this is dropped");
}

pub(crate) async fn remote_recv(receiver: &mut UnboundedReceiver<u64>) -> Option<u64> {
    receiver.next().await
}
