//! Values that tasks hand to each other, and futures that are awaited together.

use std::hint::black_box;

use marline_bench::micro::case::{BATCH, Case};

use crate::runtime::{self, Baton, Shared, channel, join, oneshot, recv, send, spawn};

pub(crate) async fn run(case: Case, count: u64) -> bool {
    match case {
        Case::Gather10 => gather(count, 10).await,
        Case::Gather1000 => gather(count, 1000).await,
        Case::Gather10000 => gather(count, 10_000).await,
        Case::Select2 => select(count).await,
        Case::Select64 => select_many(count).await,
        Case::Oneshot => oneshots(count).await,
        Case::ChannelPingPong => channel_ping_pong(count).await,
        Case::ChannelHandOver => channel_hand_over(count).await,
        _ => return false,
    }
    true
}

async fn gather(count: u64, size: u64) {
    for _ in 0..count / size {
        black_box(runtime::gather(size).await);
    }
}

async fn select(count: u64) {
    for _ in 0..count {
        black_box(runtime::select_two().await);
    }
}

async fn select_many(count: u64) {
    for _ in 0..count {
        black_box(runtime::select_many(64).await);
    }
}

/// The other task sends each time that it gets the baton, while this one waits for the value.
async fn oneshots(count: u64) {
    let baton = Shared::new(Baton::default());
    for _ in 0..count / BATCH {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..BATCH).map(|_| oneshot()).unzip();
        let other = Shared::clone(&baton);
        let task = spawn(async move {
            for (sender, number) in senders.into_iter().zip(0..) {
                other.wait(1).await;
                other.pass(0);
                runtime::answer(sender, number);
            }
        });
        for receiver in receivers {
            baton.pass(1);
            black_box(runtime::wait_for(receiver).await);
        }
        join(task).await;
    }
}

async fn channel_ping_pong(count: u64) {
    let ((there, mut here), (back, mut answers)) = (channel(), channel());
    let task = spawn(async move {
        while let Some(number) = recv(&mut here).await {
            send(&back, number);
        }
    });
    for number in 0..count / 2 {
        send(&there, number);
        black_box(recv(&mut answers).await);
    }
    drop(there);
    join(task).await;
}

async fn channel_hand_over(count: u64) {
    let ((there, mut here), (back, mut answers)) = (channel(), channel());
    let task = spawn(async move {
        let mut received = 0;
        while let Some(number) = recv(&mut here).await {
            black_box(number);
            received += 1;
            if received % BATCH == 0 {
                send(&back, received);
            }
        }
    });
    for _ in 0..count / BATCH {
        for number in 0..BATCH {
            send(&there, number);
        }
        black_box(recv(&mut answers).await);
    }
    drop(there);
    join(task).await;
}
