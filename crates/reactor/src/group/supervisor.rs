//! What starts the loops of a group, and sees them end: one thread, which sleeps unless something is to be done.
//!
//! Everything comes to it as a message, so that nothing of a group is ever decided in two places: loops tell that they are ready,
//! have failed or ended; handles ask to stop, drain, or go one after the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::error::{LoopEnd, StartError, StartErrorKind};
use super::options::{OnBroken, OnSignal};
use super::report::{LoopReport, Report, RollError, Rolled};
use super::shared::Shared;
use super::thread::Seed;
use super::worker::Worker;
use crate::contain::contain;
use crate::os_signal::SignalKind;
use crate::remote::Remote;

/// Which loop of a group it is, of all that ever were.
pub(super) type Epoch = u64;

pub(super) enum Message {
    Ready { epoch: Epoch, remote: Remote },
    Failed { epoch: Epoch, error: StartError },
    Ended { epoch: Epoch, report: Box<LoopReport> },
    Signal { epoch: Epoch, signal: SignalKind },
    Stop,
    Drain(Duration),
    Roll(Roll),
}

/// One loop after the other.
pub(super) struct Roll {
    pub(super) limit: Duration,
    pub(super) restart: bool,
    pub(super) done: Box<dyn FnOnce(Rolled) + Send>,
}

struct Rolling {
    roll: Roll,
    /// Those whose turn has not come.
    waiting: VecDeque<Epoch>,
    /// The one that starts, and the one that leaves.
    current: (Option<Epoch>, Epoch),
    rolled: Rolled,
}

struct Member {
    seat: usize,
    epoch: Epoch,
    thread: JoinHandle<()>,
    /// `None` until it is ready.
    remote: Option<Remote>,
    /// The seats whose sockets it listens with.
    serves: Vec<usize>,
    /// It was told to end.
    leaves: bool,
    /// How many of each signal it told, as if it had been there from the beginning.
    signals: Vec<u64>,
}

impl Member {
    fn post(&self, call: impl FnOnce(&Worker) + Send + 'static) {
        let run = move || {
            if let Some(worker) = Worker::current() {
                call(&worker);
            }
        };
        if let Some(remote) = &self.remote {
            // One that is gone has sent its report.
            drop(remote.post(run));
        }
    }
}

pub(super) struct Supervisor {
    shared: Arc<Shared>,
    inbox: Receiver<Message>,
    on_broken: OnBroken,
    members: Vec<Member>,
    next_epoch: Epoch,
    /// How many of each signal came.
    signals: Vec<u64>,
    rolling: Option<Rolling>,
    /// The whole group ends.
    ending: bool,
    report: Report,
}

// The start.

impl Supervisor {
    /// Starts every loop. If one cannot, what has started ends before this returns.
    pub(super) fn start(
        shared: &Arc<Shared>,
        inbox: Receiver<Message>,
        on_broken: OnBroken,
    ) -> Result<Self, StartError> {
        let mut this = Self {
            shared: Arc::clone(shared),
            inbox,
            on_broken,
            members: Vec::new(),
            next_epoch: 0,
            signals: vec![0; shared.plan.signals.len()],
            rolling: None,
            ending: false,
            report: Report::default(),
        };
        match this.start_all() {
            Ok(()) => Ok(this),
            Err(error) => {
                this.stop();
                this.supervise();
                Err(error)
            }
        }
    }

    fn start_all(&mut self) -> Result<(), StartError> {
        for seat in 0..self.shared.loops() {
            self.start_one(seat, vec![seat])?;
        }
        let stopped = || StartError::of_group(StartErrorKind::Stopped);
        while self.members.iter().any(|member| member.remote.is_none()) {
            match self.inbox.recv().map_err(|_| stopped())? {
                Message::Ready { epoch, remote } => self.sit_down(epoch, remote),
                Message::Failed { epoch, error } => {
                    self.take(epoch);
                    return Err(error);
                }
                Message::Ended { epoch, .. } => {
                    self.take(epoch);
                    return Err(stopped());
                }
                Message::Stop | Message::Drain(_) => return Err(stopped()),
                Message::Roll(roll) => refuse(roll, RollError::Interrupted),
                Message::Signal { signal, .. } if self.ends_by(signal) => return Err(stopped()),
                Message::Signal { .. } => {}
            }
        }
        for member in &self.members {
            let accepts = member.seat == self.shared.acceptor();
            member.post(move |worker| worker.go(accepts));
        }
        Ok(())
    }

    fn start_one(&mut self, seat: usize, serves: Vec<usize>) -> Result<Epoch, StartError> {
        let epoch = self.next_epoch;
        self.next_epoch += 1;
        let seed = Seed { seat, epoch, serves: serves.clone(), shared: Arc::clone(&self.shared) };
        let thread =
            seed.start().map_err(|error| StartError::of_loop(seat, StartErrorKind::Thread(error)))?;
        let signals = self.signals.clone();
        self.members.push(Member { seat, epoch, thread, remote: None, serves, leaves: false, signals });
        Ok(epoch)
    }

    fn sit_down(&mut self, epoch: Epoch, remote: Remote) {
        if let Some(member) = self.members.iter_mut().find(|member| member.epoch == epoch) {
            self.shared.sit_down(member.seat, remote.clone());
            member.remote = Some(remote);
        }
    }

    fn ends_by(&self, signal: SignalKind) -> bool {
        let restarts = |action: &OnSignal| matches!(action, OnSignal::Restart(_));
        self.shared.plan.signals.iter().any(|(kind, action)| *kind == signal && !restarts(action))
    }

    /// A thread that has sent its last message.
    fn take(&mut self, epoch: Epoch) -> Option<Member> {
        let at = self.members.iter().position(|member| member.epoch == epoch)?;
        Some(self.members.remove(at))
    }
}

// The life.

impl Supervisor {
    /// Sees to the group until its last loop has ended.
    pub(super) fn supervise(mut self) -> Report {
        while !self.members.is_empty() {
            // The group itself holds a sender, so there is always one more message.
            let Ok(message) = self.inbox.recv() else { break };
            self.handle(message);
        }
        self.shared.sockets.close();
        self.interrupt(RollError::Over);
        for late in self.inbox.try_iter() {
            if let Message::Roll(roll) = late {
                refuse(roll, RollError::Over);
            }
        }
        self.report
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Ready { epoch, remote } => self.is_ready(epoch, remote),
            Message::Failed { epoch, error } => self.has_failed(epoch, error),
            Message::Ended { epoch, report } => self.has_ended(epoch, *report),
            Message::Signal { epoch, signal } => self.signalled(epoch, signal),
            Message::Stop => self.stop(),
            Message::Drain(limit) => self.drain(limit),
            Message::Roll(roll) => self.begin_rolling(roll),
        }
    }

    fn stop(&mut self) {
        self.begin_ending();
        for member in &self.members {
            member.post(|worker| worker.end(LoopEnd::Stopped));
        }
    }

    fn drain(&mut self, limit: Duration) {
        self.begin_ending();
        for member in &self.members {
            member.post(move |worker| worker.drain(limit, false));
        }
    }

    fn begin_ending(&mut self) {
        self.ending = true;
        self.interrupt(RollError::Interrupted);
        self.close();
    }

    /// From here on the sockets are only those of the loops, which close them.
    fn close(&mut self) {
        self.shared.sockets.close();
        for member in &mut self.members {
            member.leaves = true;
            member.remote.iter().for_each(|remote| self.shared.get_up(member.seat, remote));
        }
    }

    fn has_ended(&mut self, epoch: Epoch, report: LoopReport) {
        let Some(member) = self.take(epoch) else { return };
        member.remote.iter().for_each(|remote| self.shared.get_up(member.seat, remote));
        // It has nothing left to do but to return.
        let _ = member.thread.join();
        let expected = member.leaves || self.ending;
        let broken = report.end.is_broken();
        if broken {
            tracing::error!("loop {} of a group {}", report.index, report.end);
        }
        self.report.loops.push(report.clone());
        if self.rolling.as_ref().is_some_and(|rolling| rolling.current.1 == epoch) {
            self.has_left(report);
        } else if !expected && broken && self.on_broken == OnBroken::GoOn {
            self.pass_on(member.seat, member.serves);
        } else if !expected {
            self.stop();
        }
    }

    /// Has another loop listen with these sockets, and accept for all, if that was the task of this seat.
    fn pass_on(&mut self, seat: usize, serves: Vec<usize>) {
        let heirs = self.members.iter_mut().filter(|member| !member.leaves && member.remote.is_some());
        let Some(heir) = heirs.min_by_key(|member| member.serves.len()) else { return };
        heir.serves.extend(&serves);
        let accepts = self.shared.acceptor() == seat && heir.seat != seat;
        if accepts {
            self.shared.set_acceptor(heir.seat);
        }
        heir.post(move |worker| {
            worker.inherit(&serves);
            if accepts {
                worker.accept();
            }
        });
    }

    /// Every loop hears of every signal. The first that does counts, whichever it is.
    fn signalled(&mut self, epoch: Epoch, signal: SignalKind) {
        let plan = &self.shared.plan.signals;
        let Some(at) = plan.iter().position(|(kind, _)| *kind == signal) else { return };
        let action = &plan[at].1;
        let Some(member) = self.members.iter_mut().find(|member| member.epoch == epoch) else { return };
        member.signals[at] += 1;
        if member.signals[at] <= self.signals[at] {
            return;
        }
        self.signals[at] = member.signals[at];
        match *action {
            OnSignal::Drain(limit) if !self.ending => self.drain(limit),
            OnSignal::Stop | OnSignal::Drain(_) => self.stop(),
            OnSignal::Restart(limit) => {
                let done = |rolled: Rolled| {
                    if let Some(error) = rolled.error {
                        tracing::error!("a group was not restarted: {error}");
                    }
                };
                self.begin_rolling(Roll { limit, restart: true, done: Box::new(done) });
            }
        }
    }
}

// One after the other.

impl Supervisor {
    fn begin_rolling(&mut self, roll: Roll) {
        if self.ending || self.rolling.is_some() {
            return refuse(roll, RollError::Interrupted);
        }
        let waiting =
            self.members.iter().filter(|member| !member.leaves).map(|member| member.epoch).collect();
        let current = (None, self.next_epoch);
        self.rolling = Some(Rolling { roll, waiting, current, rolled: Rolled::default() });
        self.roll_on();
    }

    fn roll_on(&mut self) {
        let Some(rolling) = &mut self.rolling else { return };
        let (limit, restart) = (rolling.roll.limit, rolling.roll.restart);
        let Some(epoch) = rolling.waiting.pop_front() else { return self.end_rolling(None) };
        let Some(member) = self.members.iter().find(|member| member.epoch == epoch) else {
            // It broke meanwhile.
            return self.roll_on();
        };
        rolling.current = (None, epoch);
        if restart {
            let started = self.start_one(member.seat, member.serves.clone());
            match (started, &mut self.rolling) {
                (Ok(new), Some(rolling)) => rolling.current = (Some(new), epoch),
                (Ok(_), None) => {}
                (Err(error), _) => self.end_rolling(Some(RollError::Start(error))),
            }
        } else {
            self.retreat(epoch, limit);
        }
    }

    fn retreat(&mut self, epoch: Epoch, limit: Duration) {
        let Some(member) = self.members.iter_mut().find(|member| member.epoch == epoch) else { return };
        member.leaves = true;
        member.remote.iter().for_each(|remote| self.shared.get_up(member.seat, remote));
        let (seat, serves) = (member.seat, std::mem::take(&mut member.serves));
        let is_last = self.members.iter().all(|member| member.leaves);
        if is_last {
            // Nobody is left to listen.
            self.ending = true;
            self.close();
        } else {
            self.pass_on(seat, serves);
        }
        let member = self.members.iter().find(|member| member.epoch == epoch);
        member.into_iter().for_each(|member| member.post(move |worker| worker.drain(limit, !is_last)));
    }

    fn is_ready(&mut self, epoch: Epoch, remote: Remote) {
        self.sit_down(epoch, remote);
        let Some(at) = self.members.iter().position(|member| member.epoch == epoch) else { return };
        if self.ending {
            self.members[at].post(|worker| worker.end(LoopEnd::Stopped));
            return self.close();
        }
        let accepts = self.members[at].seat == self.shared.acceptor();
        self.members[at].post(move |worker| worker.go(accepts));
        let rolling = self.rolling.as_ref().filter(|rolling| rolling.current.0 == Some(epoch));
        let Some((limit, old)) = rolling.map(|rolling| (rolling.roll.limit, rolling.current.1)) else {
            return;
        };
        match self.members.iter_mut().find(|member| member.epoch == old) {
            Some(old) => {
                old.leaves = true;
                old.post(move |worker| worker.drain(limit, true));
            }
            None => self.roll_on(),
        }
    }

    fn has_failed(&mut self, epoch: Epoch, error: StartError) {
        if let Some(member) = self.take(epoch) {
            let _ = member.thread.join();
        }
        if self.rolling.as_ref().is_some_and(|rolling| rolling.current.0 == Some(epoch)) {
            self.end_rolling(Some(RollError::Start(error)));
        }
    }

    /// The loop whose turn it was has ended.
    fn has_left(&mut self, report: LoopReport) {
        if let Some(rolling) = &mut self.rolling {
            rolling.rolled.loops.push(report);
        }
        self.roll_on();
    }

    fn end_rolling(&mut self, error: Option<RollError>) {
        if let Some(Rolling { roll, mut rolled, .. }) = self.rolling.take() {
            rolled.error = error;
            tell(roll, rolled);
        }
    }

    fn interrupt(&mut self, error: RollError) {
        self.end_rolling(Some(error));
    }
}

fn refuse(roll: Roll, error: RollError) {
    tell(roll, Rolled { error: Some(error), ..Rolled::default() });
}

fn tell(roll: Roll, rolled: Rolled) {
    if let Err(panic) = contain(|| (roll.done)(rolled)) {
        tracing::error!("what is told the end of a restart {panic}");
    }
}
