//! The micro-benchmarks on callbacks of Marline, on the backend that `MARLINE_BACKEND` names.
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use marline::{Handle, Reactor};
use marline_bench::micro::case::{BATCH, Case, LIVE, SPREAD};
use marline_bench::micro::program::{self, Meter, ahead};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

fn main() -> ExitCode {
    program::main("callbacks have no such thing", |ask| {
        let reactor = Reactor::new().expect("a loop can be made");
        let go = |count| {
            let begun = begin(&reactor.handle(), ask.case, count);
            // It returns when nothing is left that could call back.
            reactor.run().expect("no other loop runs here");
            begun
        };
        if !go(ask.case.plan().few) {
            return None;
        }
        let meter = Meter::start(ask.count);
        go(ask.count);
        Some(meter.stop())
    })
}

fn begin(handle: &Handle, case: Case, count: u64) -> bool {
    let own = handle.clone();
    match case {
        Case::WakePingPong => chains(&own, count, 2),
        Case::Yield1 => chains(&own, count, 1),
        Case::Yield100 => chains(&own, count, 100),
        Case::Yield10000 => chains(&own, count, 10_000),
        Case::CallSoon => call_soon(&own, count),
        Case::TimerCancel => drop(handle.call_soon(move || set_and_cancel(&own, count))),
        Case::TimerCancelAmong => drop(handle.call_soon(move || among_others(&own, count))),
        Case::Sleeps => timers(&own, count),
        Case::Expiry => expiry(&own, count),
        Case::ThreadWake => round_trips(&own, count),
        Case::ThreadFlood => flood(&own, count),
        _ => return false,
    }
    true
}

/// So many callbacks, each of which schedules itself anew, `count` times together.
fn chains(handle: &Handle, count: u64, chains: u64) {
    for _ in 0..chains {
        again(handle.clone(), count / chains);
    }
}

fn again(handle: Handle, left: u64) {
    if left > 0 {
        handle.clone().call_soon(move || again(handle, left - 1));
    }
}

fn call_soon(handle: &Handle, left: u64) {
    if left == 0 {
        return;
    }
    for number in 1..BATCH {
        handle.call_soon(move || {
            std::hint::black_box(number);
        });
    }
    let own = handle.clone();
    handle.call_soon(move || call_soon(&own, left - BATCH));
}

/// Whose numbers are the same in each run.
fn chance() -> SmallRng {
    SmallRng::seed_from_u64(7)
}

/// As timeouts are: some seconds.
fn delay(chance: &mut SmallRng) -> Duration {
    Duration::from_nanos(chance.random_range(1_000_000_000..10_000_000_000))
}

fn set_and_cancel(handle: &Handle, count: u64) {
    let mut chance = chance();
    for _ in 0..count {
        handle.call_later(delay(&mut chance), || ()).cancel();
    }
}

fn among_others(handle: &Handle, count: u64) {
    let mut chance = chance();
    let others: Vec<_> = (0..LIVE).map(|_| handle.call_later(delay(&mut chance) * 100, || ())).collect();
    set_and_cancel(handle, count);
    for other in others {
        other.cancel();
    }
}

fn timers(handle: &Handle, count: u64) {
    let mut chance = chance();
    for _ in 0..count {
        handle.call_later(chance.random_range(Duration::ZERO..SPREAD), || ());
    }
}

fn expiry(handle: &Handle, left: u64) {
    if left == 0 {
        return;
    }
    let deadline = handle.now() + ahead();
    for _ in 1..LIVE {
        handle.call_at(deadline, || ());
    }
    let own = handle.clone();
    handle.call_at(deadline, move || expiry(&own, left - LIVE));
}

/// The thread raises a signal, whose callback asks it again.
fn round_trips(handle: &Handle, count: u64) {
    let (ask, asked) = mpsc::channel();
    let mut alive = Some((handle.keep_alive(), ask.clone()));
    let mut left = count;
    let signal = handle.signal(move || {
        left -= 1;
        let asked_for = alive.as_ref().is_some_and(|(_, ask)| left > 0 && ask.send(()).is_ok());
        if !asked_for {
            alive = None;
        }
    });
    ask.send(()).expect("the other end is here");
    drop(ask);
    thread::spawn(move || {
        for () in asked {
            signal.raise();
        }
    });
}

/// Calls that do nothing, and a last one that ends the run.
fn flood(handle: &Handle, count: u64) {
    // It lives as long as the loop.
    let _ = handle.local(Handle::keep_alive);
    let remote = handle.remote();
    thread::spawn(move || {
        let refused = "the program set no limit";
        for number in 1..count {
            let call = move || {
                std::hint::black_box(number);
            };
            remote.post(call).expect(refused);
        }
        let stop = || Handle::current().expect("the loop runs it").stop();
        remote.post(stop).expect(refused);
    });
}
