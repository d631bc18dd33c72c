//! Further threads that make requests, where one would be slower than a server with several.
//!
//! One thread measures: between the moments when it reads the server's processor time, the others only count. They begin
//! before it does and go on until it has ended, so that the server is as busy all the time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use super::echo::Lane;
use super::meter::Meter;
use super::plan::Plan;

/// More requests than anybody makes: those of the further threads have no end.
const ENDLESS: u64 = u64::MAX / 4;

pub(super) struct Crew {
    done: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Crew {
    /// All but one of the threads that the plan wants, each connected.
    pub(super) fn start(plan: &Plan) -> io::Result<Self> {
        let mut crew = Self { done: Arc::default(), over: Arc::default(), threads: Vec::new() };
        for index in 1..plan.threads {
            let plan = Plan { warm_up: ENDLESS, ..part(plan, index) };
            let lane = Lane::open(&plan)?;
            let (done, over) = (Arc::clone(&crew.done), Arc::clone(&crew.over));
            crew.threads.push(thread::spawn(move || work(&plan, lane, &done, &over)));
        }
        Ok(crew)
    }

    /// What the thread that measures is to do.
    pub(super) fn share(&self, plan: &Plan) -> Plan {
        part(plan, 0)
    }

    /// How many requests the others have had answered.
    pub(super) fn done(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.done)
    }

    /// Ends the others, and tells whether one failed.
    pub(super) fn end(self) -> io::Result<()> {
        self.over.store(true, Ordering::Relaxed);
        self.threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread of the load panicked")))
        })
    }
}

/// Of connections, the first threads have one more where they cannot all have the same.
fn part(plan: &Plan, index: usize) -> Plan {
    let threads = plan.threads.max(1);
    let connections = plan.connections / threads + usize::from(index < plan.connections % threads);
    let of = |requests: u64| requests.div_ceil(threads as u64);
    Plan { connections, warm_up: of(plan.warm_up), requests: of(plan.requests), threads: 1, ..plan.clone() }
}

fn work(plan: &Plan, mut lane: Lane, done: &AtomicU64, over: &AtomicBool) -> io::Result<()> {
    let mut tell = |_: &_| ();
    let mut meter = Meter::new(plan, &mut tell);
    lane.begin(&mut meter)?;
    let mut counted = 0;
    while !over.load(Ordering::Relaxed) {
        lane.turn(&mut meter)?;
        done.fetch_add(meter.done() - counted, Ordering::Relaxed);
        counted = meter.done();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Kind;

    #[test]
    fn every_connection_is_some_threads() {
        let plan = Plan {
            port: 0,
            pid: 1,
            kind: Kind::Echo,
            connections: 64,
            depth: 1,
            size: 64,
            warm_up: 300,
            requests: 1000,
            spin: false,
            tls_resumes: None,
            timed: false,
            threads: 3,
            sample_every: None,
        };
        let parts: Vec<Plan> = (0..3).map(|index| part(&plan, index)).collect();
        assert_eq!(parts.iter().map(|part| part.connections).collect::<Vec<_>>(), [22, 21, 21]);
        assert_eq!(parts.iter().map(|part| part.requests).collect::<Vec<_>>(), [334; 3]);
    }
}
