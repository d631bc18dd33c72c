//! The channels and locks of other crates: within a loop, and between two loops on two threads.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures::channel as theirs;
use futures::{SinkExt, StreamExt};
use marline_reactor::testing::{Clock, MemoryReactor, Network};
use marline_reactor::{Choices, Reactor};
use marline_tasks::{gather, run_on, sleep, spawn, timeout, yield_now};
use tokio::sync as tokios;

use crate::conformance;
use crate::support::World;

const COUNT: u32 = 500;
/// Between two loops, in worlds that are made sixteen times: chance has no part in it.
const FEW: u32 = 21;
const PATIENCE: Duration = Duration::from_secs(3600);

/// Two channels of one kind, so that what went one way comes back the other.
trait Ends: Send + Sized + 'static {
    /// A small channel there and one back: the near ends, and the far ones.
    fn pair() -> (Self, Self);
    fn send(&mut self, value: u32) -> impl Future<Output = ()> + Send;
    /// `None` when the other end is gone.
    fn receive(&mut self) -> impl Future<Output = Option<u32>> + Send;
}

struct Futures(theirs::mpsc::Sender<u32>, theirs::mpsc::Receiver<u32>);
struct Async(async_channel::Sender<u32>, async_channel::Receiver<u32>);
struct Tokio(tokios::mpsc::Sender<u32>, tokios::mpsc::Receiver<u32>);

impl Ends for Futures {
    fn pair() -> (Self, Self) {
        let (there, back) = (theirs::mpsc::channel(3), theirs::mpsc::channel(3));
        (Self(there.0, back.1), Self(back.0, there.1))
    }

    async fn send(&mut self, value: u32) {
        self.0.send(value).await.expect("a receiver");
    }

    async fn receive(&mut self) -> Option<u32> {
        self.1.next().await
    }
}

impl Ends for Async {
    fn pair() -> (Self, Self) {
        let (there, back) = (async_channel::bounded(3), async_channel::bounded(3));
        (Self(there.0, back.1), Self(back.0, there.1))
    }

    async fn send(&mut self, value: u32) {
        self.0.send(value).await.expect("a receiver");
    }

    async fn receive(&mut self) -> Option<u32> {
        self.1.recv().await.ok()
    }
}

impl Ends for Tokio {
    fn pair() -> (Self, Self) {
        let (there, back) = (tokios::mpsc::channel(3), tokios::mpsc::channel(3));
        (Self(there.0, back.1), Self(back.0, there.1))
    }

    async fn send(&mut self, value: u32) {
        self.0.send(value).await.expect("a receiver");
    }

    async fn receive(&mut self) -> Option<u32> {
        self.1.recv().await
    }
}

/// Sends back what it gets, and one more, until the other end is gone.
async fn answer<E: Ends>(mut ends: E) -> u32 {
    let mut count = 0;
    while let Some(value) = ends.receive().await {
        ends.send(value + 1).await;
        count += 1;
    }
    count
}

/// Sends and receives at the same time, more than there is room for.
async fn ask<E: Ends>(mut ends: E, count: u32) {
    for value in 0..count {
        ends.send(value).await;
        if value % 3 == 2 {
            for back in value - 2..=value {
                assert_eq!(ends.receive().await, Some(back + 1));
            }
        }
    }
    for back in count - count % 3..count {
        assert_eq!(ends.receive().await, Some(back + 1));
    }
}

fn within<E: Ends>(world: &World) {
    let (near, far) = E::pair();
    let answering = world.spawn(answer(far));
    world.finish(ask(near, COUNT));
    assert_eq!(world.join(answering), COUNT);
}

/// The other loop is on the same kind of backend, on a thread of its own.
fn across<E: Ends>(world: &World) {
    let (near, far) = E::pair();
    let thread = elsewhere(world, answer(far));
    let count = count(world);
    let asking = world.spawn(ask(near, count));
    world.until_elsewhere(|| asking.is_finished() && thread.is_finished());
    world.join(asking);
    assert_eq!(thread.join().expect("a thread"), count);
}

fn count(world: &World) -> u32 {
    if world.is_seeded() { FEW } else { COUNT }
}

fn elsewhere<T: Send + 'static>(
    world: &World,
    future: impl Future<Output = T> + Send + 'static,
) -> thread::JoinHandle<T> {
    let is_memory = world.is_memory();
    thread::spawn(move || {
        if is_memory {
            let memory = MemoryReactor::on(&Network::new(Choices::tame()), &Clock::new());
            run_on(memory.reactor(), future).expect("a run")
        } else {
            run_on(&Reactor::new().expect("a loop"), future).expect("a run")
        }
    })
}

conformance! {
    fn futures_channels_work_within_a_loop(world: &World) {
        within::<Futures>(world);
        let answer = world.finish(async {
            let ((sender, receiver), (unused, abandoned)) = (theirs::oneshot::channel(), theirs::oneshot::channel::<u8>());
            spawn(async move {
                yield_now().await;
                drop(unused);
                sender.send(7).expect("a receiver");
            });
            (receiver.await, abandoned.await.is_err())
        });
        assert_eq!(answer, (Ok(7), true));
    }

    fn futures_channels_work_between_two_loops(world: &World) {
        across::<Futures>(world);
        let (question, asked) = theirs::oneshot::channel::<u32>();
        let (reply, replied) = theirs::oneshot::channel();
        let thread = elsewhere(world, async move { reply.send(asked.await.expect("a question") * 2).is_ok() });
        let task = world.spawn(async move {
            question.send(21).expect("a receiver");
            replied.await.expect("a reply")
        });
        world.until_elsewhere(|| task.is_finished() && thread.is_finished());
        assert_eq!((world.join(task), thread.join().expect("a thread")), (42, true));
    }

    fn async_channel_works_within_a_loop(world: &World) {
        within::<Async>(world);
    }

    fn async_channel_works_between_two_loops(world: &World) {
        across::<Async>(world);
    }

    fn tokios_channels_work_within_a_loop(world: &World) {
        within::<Tokio>(world);
        let (sender, receiver) = tokios::oneshot::channel();
        let receiving = world.spawn(receiver);
        world.settle();
        sender.send("once").expect("a receiver");
        assert_eq!(world.join(receiving), Ok("once"));
    }

    fn tokios_channels_work_between_two_loops(world: &World) {
        across::<Tokio>(world);
        let (sender, receiver) = tokios::oneshot::channel();
        let thread = elsewhere(world, async move { sender.send("from there").is_ok() });
        let task = world.spawn(receiver);
        world.until_elsewhere(|| task.is_finished() && thread.is_finished());
        assert_eq!((world.join(task), thread.join().expect("a thread")), (Ok("from there"), true));
    }

    fn tokios_mutex_and_notify_work_within_a_loop(world: &World) {
        let total = world.finish(async {
            let (total, changed) = (Arc::new(tokios::Mutex::new(0)), Arc::new(tokios::Notify::new()));
            let adders = (1..=10).map(|value| {
                let (total, changed) = (Arc::clone(&total), Arc::clone(&changed));
                async move {
                    let mut total = total.lock().await;
                    let before = *total;
                    // The lock is held over an await, which nobody else gets in between.
                    yield_now().await;
                    *total = before + value;
                    changed.notify_one();
                    Ok::<_, ()>(())
                }
            });
            gather(adders).await.expect("no failure");
            timeout(PATIENCE, changed.notified()).await.expect("a notice");
            *total.lock().await
        });
        assert_eq!(total, 55);
    }

    fn tokios_mutex_and_notify_work_between_two_loops(world: &World) {
        let (total, done) = (Arc::new(tokios::Mutex::new(0)), Arc::new(tokios::Notify::new()));
        let count = count(world);
        let add = |total: Arc<tokios::Mutex<u32>>| async move {
            for _ in 0..count {
                let mut total = total.lock().await;
                let before = *total;
                yield_now().await;
                *total = before + 1;
            }
        };
        let (there, notify) = (add(Arc::clone(&total)), Arc::clone(&done));
        let thread = elsewhere(world, async move {
            there.await;
            notify.notify_one();
        });
        let here = add(Arc::clone(&total));
        let task = world.spawn(async move {
            here.await;
            done.notified().await;
            *total.lock().await
        });
        world.until_elsewhere(|| task.is_finished() && thread.is_finished());
        thread.join().expect("a thread");
        assert_eq!(world.join(task), 2 * count);
    }

    fn tokios_broadcast_and_watch_work_within_a_loop(world: &World) {
        let heard = world.finish(async {
            let (sender, first) = tokios::broadcast::channel(8);
            let (state, watching) = tokios::watch::channel(0);
            let listen = |mut receiver: tokios::broadcast::Receiver<u32>| async move {
                let mut heard = Vec::new();
                while let Ok(value) = receiver.recv().await {
                    heard.push(value);
                }
                Ok::<_, ()>(heard)
            };
            let listening = spawn(gather([listen(first), listen(sender.subscribe())]));
            let mut seeing = watching.clone();
            let seen = spawn(async move { *seeing.wait_for(|value| *value >= 5).await.expect("a sender") });
            for value in 1..=5 {
                sender.send(value).expect("receivers");
                state.send(value).expect("watchers");
                sleep(Duration::from_millis(1)).await;
            }
            drop((sender, watching));
            (listening.await.expect("an output"), seen.await.expect("an output"))
        });
        assert_eq!(heard, (Ok(vec![vec![1, 2, 3, 4, 5]; 2]), 5));
    }

    fn tokios_broadcast_and_watch_work_between_two_loops(world: &World) {
        let (sender, mut receiver) = tokios::broadcast::channel(1024);
        let (state, mut watching) = tokios::watch::channel(0);
        let thread = elsewhere(world, async move {
            let mut sum = 0;
            while let Ok(value) = receiver.recv().await {
                sum += value;
                state.send(sum).expect("a watcher");
            }
            sum
        });
        let task = world.spawn(async move {
            for value in 1..=COUNT {
                sender.send(value).expect("a receiver");
            }
            drop(sender);
            let wanted = COUNT * (COUNT + 1) / 2;
            *watching.wait_for(|sum| *sum == wanted).await.expect("the last value")
        });
        world.until_elsewhere(|| task.is_finished() && thread.is_finished());
        assert_eq!(world.join(task), thread.join().expect("a thread"));
    }
}
