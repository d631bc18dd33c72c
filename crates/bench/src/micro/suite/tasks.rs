//! Spawning, waking, yielding.

use std::hint::black_box;

use marline_bench::micro::case::{BATCH, Case};

use crate::runtime::{self, Baton, Shared, join, spawn};

pub(crate) async fn run(case: Case, count: u64) -> bool {
    match case {
        Case::SpawnAwait => spawn_and_await(count).await,
        Case::SpawnJoin => spawn_and_join(count).await,
        Case::WakePingPong => wake_ping_pong(count).await,
        Case::Yield1 => yields(count, 1).await,
        Case::Yield100 => yields(count, 100).await,
        Case::Yield10000 => yields(count, 10_000).await,
        Case::CallSoon => spawn_and_forget(count).await,
        _ => return false,
    }
    true
}

async fn spawn_and_await(count: u64) {
    for number in 0..count {
        black_box(join(spawn(async move { number })).await);
    }
}

async fn spawn_and_join(count: u64) {
    let mut tasks = Vec::new();
    for _ in 0..count / BATCH {
        tasks.extend((0..BATCH).map(|number| spawn(async move { number })));
        for task in tasks.drain(..) {
            black_box(join(task).await);
        }
    }
}

async fn wake_ping_pong(count: u64) {
    let baton = Shared::new(Baton::default());
    let other = Shared::clone(&baton);
    let task = spawn(async move {
        for _ in 0..count / 2 {
            other.wait(1).await;
            other.pass(0);
        }
    });
    for _ in 0..count / 2 {
        baton.pass(1);
        baton.wait(0).await;
    }
    join(task).await;
}

async fn yields(count: u64, tasks: u64) {
    let each = count / tasks;
    let task = || async move {
        for _ in 0..each {
            runtime::yield_now().await;
        }
    };
    let tasks: Vec<_> = (0..tasks).map(|_| spawn(task())).collect();
    for task in tasks {
        join(task).await;
    }
}

/// The nearest that a runtime of futures has to a call that is scheduled. All of them begin tasks in the order in which they
/// were spawned, so that when the last is done, all are.
async fn spawn_and_forget(count: u64) {
    for _ in 0..count / BATCH {
        for number in 1..BATCH {
            runtime::detach(spawn(async move {
                black_box(number);
            }));
        }
        join(spawn(async {})).await;
    }
}
