//! The thread of one loop, from its start to its report.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::Receiver;

use super::error::{LoopEnd, StartError, StartErrorKind};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use super::no_pin as pin;
#[cfg(any(target_os = "linux", target_os = "android"))]
use super::pin;
use super::place::Place;
use super::report::LoopReport;
use super::shared::Shared;
use super::supervisor::{Epoch, Message};
use super::worker::Worker;
use crate::contain::{Panic, contain};
use crate::error::RunError;
use crate::reactor::{Handle, Reactor, Stats};

/// What a thread begins with.
pub(super) struct Seed {
    pub(super) seat: usize,
    pub(super) epoch: Epoch,
    /// The seats whose sockets it listens with.
    pub(super) serves: Vec<usize>,
    /// Whether it is to accept for all, where not each loop can do so itself.
    pub(super) accepts: bool,
    /// Tells when the loops that begin with it are made: its hooks may give them work. Disconnected if that shall not be.
    pub(super) permit: Receiver<()>,
    pub(super) shared: Arc<Shared>,
}

impl Seed {
    /// Starts the thread, which tells the supervisor what becomes of it.
    pub(super) fn start(self) -> io::Result<JoinHandle<()>> {
        let name = format!("{}-{}", self.shared.plan.name, self.seat);
        Builder::new().name(name).spawn(move || self.run())
    }

    fn run(&self) {
        let started = Cell::new(false);
        let (seat, epoch) = (self.seat, self.epoch);
        let message = match contain(|| self.live(&started)) {
            Ok(Ok(report)) => Message::Ended { epoch, report: Box::new(report) },
            Ok(Err(kind)) => Message::Failed { epoch, error: StartError::of_loop(seat, kind) },
            Err(panic) if started.get() => {
                let report = without_counts(seat, LoopEnd::Panicked(panic));
                Message::Ended { epoch, report: Box::new(report) }
            }
            Err(panic) => {
                let kind = StartErrorKind::Panicked(panic);
                Message::Failed { epoch, error: StartError::of_loop(seat, kind) }
            }
        };
        // Without a supervisor nobody wants to know.
        let _ = self.shared.messages.send(message);
    }

    fn live(&self, started: &Cell<bool>) -> Result<LoopReport, StartErrorKind> {
        let plan = &self.shared.plan;
        if let Some(processor) = plan.processors.get(self.seat % plan.processors.len().max(1)) {
            pin::to(*processor).map_err(StartErrorKind::Pin)?;
        }
        let builder = (plan.builder)(self.seat).map_err(StartErrorKind::Create)?;
        let reactor = builder.build().map_err(StartErrorKind::Create)?;
        let handle = reactor.handle();
        let alive = handle.keep_alive();
        let worker = self.sit_down(&handle).ok_or(StartErrorKind::Stopped)?;
        handle.enter(|| self.set_up(&worker))?;
        started.set(true);
        let _ = self.shared.messages.send(Message::Ready { epoch: self.epoch });
        let outcome = contain(|| reactor.run());
        drop(alive);
        Ok(finish(&reactor, &worker, outcome))
    }

    /// Tells that the loop is made, and waits until others are.
    fn sit_down(&self, handle: &Handle) -> Option<Worker> {
        let place = Arc::new(Place::new(handle.remote()));
        let worker = Worker::new(handle, &self.shared, self.seat, &place)?;
        let _ = self.shared.messages.send(Message::Made { epoch: self.epoch, place });
        self.permit.recv().ok().map(|()| worker)
    }

    /// Everything that can fail, before the group says that it has started.
    fn set_up(&self, worker: &Worker) -> Result<(), StartErrorKind> {
        for hook in &self.shared.plan.start {
            hook(worker).map_err(StartErrorKind::Hook)?;
        }
        worker.listen(&self.serves, self.accepts).map_err(StartErrorKind::Listen)?;
        for (signal, _) in &self.shared.plan.signals {
            let (messages, epoch, signal) = (self.shared.messages.clone(), self.epoch, *signal);
            let tell = move || drop(messages.send(Message::Signal { epoch, signal }));
            worker.handle().on_signal(signal, tell).map_err(StartErrorKind::Signal)?;
        }
        Ok(())
    }
}

/// Brings the loop to its end, if it has not come there itself.
fn finish(reactor: &Reactor, worker: &Worker, outcome: Result<Result<(), RunError>, Panic>) -> LoopReport {
    let outcome = match outcome {
        Ok(Ok(())) => {
            let panic = reactor.take_stopping_panic();
            worker.end(panic.map_or(LoopEnd::ByProgram, LoopEnd::Panicked));
            contain(|| shut_down(reactor))
        }
        broken => broken,
    };
    let broken = match outcome {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(LoopEnd::Broken(Arc::new(error))),
        Err(panic) => Some(LoopEnd::Panicked(panic)),
    };
    worker.report(broken)
}

fn shut_down(reactor: &Reactor) -> Result<(), RunError> {
    // A callback that stops the loop only makes `run` return before the shutdown is over.
    while !reactor.handle().is_over() {
        reactor.run()?;
    }
    Ok(())
}

/// The report of a loop that panicked so late that it cannot be asked.
fn without_counts(index: usize, end: LoopEnd) -> LoopReport {
    LoopReport { index, end, accepted: 0, aborted: 0, unfinished: 0, stats: Stats::default() }
}
