//! From other threads.

use std::hint::black_box;
use std::sync::mpsc;
use std::thread;

use marline_bench::micro::case::Case;

use crate::runtime::{remote_channel, remote_recv, remote_send};

pub(crate) async fn run(case: Case, count: u64) -> bool {
    match case {
        Case::ThreadWake => round_trips(count).await,
        Case::ThreadFlood => flood(count).await,
        _ => return false,
    }
    true
}

async fn round_trips(count: u64) {
    let (ask, asked) = mpsc::channel();
    let (sender, mut answers) = remote_channel();
    let thread = thread::spawn(move || {
        for number in asked {
            remote_send(&sender, number);
        }
    });
    for number in 0..count {
        ask.send(number).expect("the thread listens until it is hung up on");
        black_box(remote_recv(&mut answers).await);
    }
    drop(ask);
    thread.join().expect("it only forwards");
}

async fn flood(count: u64) {
    let (sender, mut items) = remote_channel();
    let thread = thread::spawn(move || {
        for number in 0..count {
            remote_send(&sender, number);
        }
    });
    while let Some(number) = remote_recv(&mut items).await {
        black_box(number);
    }
    thread.join().expect("it only sends");
}
