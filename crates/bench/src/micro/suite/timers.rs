//! Sleeping.

use std::pin::pin;
use std::time::{Duration, Instant};

use marline_bench::micro::case::{Case, LIVE, SPREAD};
use marline_bench::micro::parts::poll_once;
use marline_bench::micro::program::ahead;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::runtime::{join, sleep, sleep_until, spawn};

pub(crate) async fn run(case: Case, count: u64) -> bool {
    match case {
        Case::TimerCancel => set_and_cancel(count).await,
        Case::TimerCancelAmong => among_others(count).await,
        Case::Sleeps => sleeps(count).await,
        Case::Expiry => expiry(count).await,
        _ => return false,
    }
    true
}

/// Whose numbers are the same in each run.
fn chance() -> SmallRng {
    SmallRng::seed_from_u64(7)
}

/// As timeouts are: some seconds.
fn delay(chance: &mut SmallRng) -> Duration {
    Duration::from_nanos(chance.random_range(1_000_000_000..10_000_000_000))
}

async fn set_and_cancel(count: u64) {
    let mut chance = chance();
    for _ in 0..count {
        poll_once(pin!(sleep(delay(&mut chance)))).await;
    }
}

async fn among_others(count: u64) {
    let mut chance = chance();
    let mut others: Vec<_> = (0..LIVE).map(|_| Box::pin(sleep(delay(&mut chance) * 100))).collect();
    for other in &mut others {
        poll_once(other.as_mut()).await;
    }
    set_and_cancel(count).await;
}

async fn sleeps(count: u64) {
    let mut chance = chance();
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let delay = chance.random_range(Duration::ZERO..SPREAD);
            spawn(async move {
                sleep(delay).await;
            })
        })
        .collect();
    for task in tasks {
        join(task).await;
    }
}

async fn expiry(count: u64) {
    for _ in 0..count / LIVE {
        let deadline = Instant::now() + ahead();
        let tasks: Vec<_> = (0..LIVE)
            .map(|_| {
                spawn(async move {
                    sleep_until(deadline).await;
                })
            })
            .collect();
        for task in tasks {
            join(task).await;
        }
    }
}
