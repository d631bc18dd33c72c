//! What starts the loops of a group, and sees them end: one thread, which sleeps unless something is to be done.
//!
//! Everything comes to it as a message, so that nothing of a group is ever decided in two places: loops tell that they are ready,
//! have failed or ended; handles ask to stop, drain, or go one after the other.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

use super::error::{LoopEnd, StartError, StartErrorKind};
use super::member::{Gone, Member};
use super::options::{OnBroken, OnSignal};
use super::place::Place;
use super::report::{LoopReport, Report, RollError, Rolled};
use super::rolling::{Roll, Rolling};
use super::serving::Heritage;
use super::shared::Shared;
use super::sockets::Needed;
use super::thread::Seed;
use crate::os_signal::SignalKind;

/// Which loop of a group it is, of all that ever were.
pub(super) type Epoch = u64;

pub(super) enum Message {
    /// The loop is there, and waits for the permit to begin.
    Made {
        epoch: Epoch,
        place: Arc<Place>,
    },
    /// It has begun.
    Ready {
        epoch: Epoch,
    },
    Failed {
        epoch: Epoch,
        error: StartError,
    },
    Ended {
        epoch: Epoch,
        report: Box<LoopReport>,
    },
    Signal {
        epoch: Epoch,
        signal: SignalKind,
    },
    Stop,
    Drain(Duration),
    Roll(Roll),
}

pub(super) struct Supervisor {
    pub(super) shared: Arc<Shared>,
    inbox: Receiver<Message>,
    on_broken: OnBroken,
    pub(super) members: Vec<Member>,
    pub(super) next_epoch: Epoch,
    /// How many of each signal came.
    signals: Vec<u64>,
    pub(super) rolling: Option<Rolling>,
    /// The whole group ends.
    pub(super) ending: bool,
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
        while self.members.iter().any(|member| !member.ready) {
            match self.inbox.recv().map_err(|_| stopped())? {
                Message::Made { epoch, place } => self.is_made(epoch, place),
                Message::Ready { epoch } => {
                    self.member(epoch).into_iter().for_each(|member| member.ready = true)
                }
                Message::Failed { epoch, error } => {
                    self.bury(epoch);
                    return Err(error);
                }
                Message::Ended { epoch, report } => {
                    self.bury(epoch);
                    return Err(StartError::of_end(report.index, report.end));
                }
                Message::Stop | Message::Drain(_) => return Err(stopped()),
                Message::Roll(roll) => roll.refuse(RollError::Interrupted),
                Message::Signal { signal, .. } if self.ends_by(signal) => return Err(stopped()),
                Message::Signal { .. } => {}
            }
        }
        self.shared.places().for_each(|place| place.open());
        for member in &self.members {
            let accepts = member.seat == self.shared.acceptor();
            member.post(move |worker| worker.go(accepts));
        }
        Ok(())
    }

    /// One of the first loops is made. When all are, they may begin, as hooks of each may give work to the others.
    fn is_made(&mut self, epoch: Epoch, place: Arc<Place>) {
        let Some(member) = self.members.iter_mut().find(|member| member.epoch == epoch) else { return };
        self.shared.sit_down(member.seat, &place);
        member.place = Some(place);
        if self.members.iter().all(|member| member.place.is_some()) {
            self.permit();
        }
    }

    /// Lets those begin that wait for it.
    pub(super) fn permit(&self) {
        let permits = self.members.iter().filter_map(|member| member.permit.as_ref());
        for permit in permits {
            // What has it already needs no other.
            let _ = permit.try_send(());
        }
    }

    /// Starts a loop, which waits for its permit.
    pub(super) fn start_one(&mut self, seat: usize, serves: Vec<usize>) -> Result<Epoch, StartError> {
        let epoch = self.next_epoch;
        self.next_epoch += 1;
        let (permit, permitted) = bounded(1);
        let seed = Seed {
            seat,
            epoch,
            serves: serves.clone(),
            accepts: seat == self.shared.acceptor(),
            permit: permitted,
            shared: Arc::clone(&self.shared),
        };
        let thread =
            seed.start().map_err(|error| StartError::of_loop(seat, StartErrorKind::Thread(error)))?;
        self.members.push(Member {
            seat,
            epoch,
            thread,
            permit: Some(permit),
            place: None,
            ready: false,
            told: serves.clone(),
            serves,
            leaves: false,
            signals: self.signals.clone(),
        });
        Ok(epoch)
    }

    fn ends_by(&self, signal: SignalKind) -> bool {
        let restarts = |action: &OnSignal| matches!(action, OnSignal::Restart(_));
        self.shared.plan.signals.iter().any(|(kind, action)| *kind == signal && !restarts(action))
    }

    fn member(&mut self, epoch: Epoch) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.epoch == epoch)
    }

    /// Waits for a thread that has sent its last message, which has nothing left to do but to return.
    pub(super) fn bury(&mut self, epoch: Epoch) -> Option<Gone> {
        let at = self.members.iter().position(|member| member.epoch == epoch)?;
        let Member { seat, serves, leaves, place, thread, .. } = self.members.remove(at);
        place.iter().for_each(|place| self.shared.leave(place));
        let _ = thread.join();
        Some(Gone { seat, serves, leaves })
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
        self.end_rolling(Some(RollError::Over));
        // Whoever asks for something now is told that by the message, which is dropped.
        self.report
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Made { epoch, place } => {
                self.member(epoch).into_iter().for_each(|member| member.place = Some(Arc::clone(&place)));
            }
            Message::Ready { epoch } => self.is_ready(epoch),
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
        self.end_rolling(Some(RollError::Interrupted));
        self.close();
    }

    /// From here on the sockets are only those of the loops, which close them.
    pub(super) fn close(&mut self) {
        self.shared.sockets.close();
        for member in &mut self.members {
            member.leaves = true;
            member.shut();
            member.permit = None;
        }
    }

    fn has_ended(&mut self, epoch: Epoch, report: LoopReport) {
        let Some(gone) = self.bury(epoch) else { return };
        let broken = report.end.is_broken();
        if broken {
            tracing::error!("loop {} of a group {}", report.index, report.end);
        }
        self.report.loops.push(report.clone());
        let was_its_turn = self.note_turn(epoch, report);
        let stops = if broken { self.on_broken == OnBroken::Stop } else { !gone.leaves };
        if stops && !self.ending {
            return self.stop();
        }
        self.pass_on(gone.seat, &gone.serves);
        if was_its_turn {
            self.end_turn();
        }
    }

    /// Has another loop listen with those of these sockets that none has, and accept for all, if that was the task of this seat.
    pub(super) fn pass_on(&mut self, seat: usize, serves: &[usize]) {
        let stays = |member: &&Member| !member.leaves;
        let served: Vec<_> =
            self.members.iter().filter(stays).flat_map(|member| member.serves.clone()).collect();
        let orphans: Vec<_> = serves.iter().copied().filter(|seat| !served.contains(seat)).collect();
        let is_taken = self.members.iter().filter(stays).any(|member| member.seat == seat);
        let accepts = self.shared.acceptor() == seat && !is_taken;
        if self.ending || (orphans.is_empty() && !accepts) {
            return;
        }
        let heirs = self.members.iter().enumerate().filter(|(_, member)| !member.leaves);
        // One that begins only now is told when it has.
        let heir = heirs.min_by_key(|(_, member)| (!member.ready, member.serves.len())).map(|(at, _)| at);
        // Without one, nobody is left to listen.
        let Some(heir) = heir else { return self.begin_ending() };
        self.members[heir].add(&orphans);
        if accepts {
            self.shared.set_acceptor(self.members[heir].seat);
        }
        if self.members[heir].ready {
            self.hand_down(heir, accepts);
        }
    }

    /// Tells a loop that has begun what it was not told of yet.
    pub(super) fn hand_down(&mut self, heir: usize, accepts: bool) {
        let seats = self.members[heir].untold();
        if seats.is_empty() && !accepts {
            return;
        }
        let heritage = Heritage { seats, accepts, needed: Needed::new(&self.shared) };
        self.members[heir].post(move |worker| worker.inherit(heritage));
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
                self.begin_rolling(Roll::new(limit, true, Box::new(done)));
            }
        }
    }
}
