//! One loop after the other: each is replaced, or leaves.

use std::collections::VecDeque;
use std::time::Duration;

use super::error::StartError;
use super::report::{LoopReport, RollError, Rolled};
use super::supervisor::{Epoch, Supervisor};
use crate::contain::contain;

/// Who is told what came of it.
type Told = Box<dyn FnOnce(Rolled) + Send>;

/// What was asked for. However it is dropped, whoever asked is told.
pub(super) struct Roll {
    pub(super) limit: Duration,
    pub(super) restart: bool,
    /// `None` once it was told.
    done: Option<Told>,
}

impl Roll {
    pub(super) fn new(limit: Duration, restart: bool, done: Told) -> Self {
        Self { limit, restart, done: Some(done) }
    }

    pub(super) fn refuse(self, error: RollError) {
        self.tell(Rolled { error: Some(error), ..Rolled::default() });
    }

    fn tell(mut self, rolled: Rolled) {
        self.tell_once(rolled);
    }

    fn tell_once(&mut self, rolled: Rolled) {
        let Some(done) = self.done.take() else { return };
        if let Err(panic) = contain(|| done(rolled)) {
            tracing::error!("what is told the end of a restart {panic}");
        }
    }
}

impl Drop for Roll {
    fn drop(&mut self) {
        self.tell_once(Rolled { error: Some(RollError::Over), ..Rolled::default() });
    }
}

/// What is under way.
pub(super) struct Rolling {
    roll: Roll,
    /// Those whose turn has not come.
    waiting: VecDeque<Epoch>,
    /// The one that starts, and the one that leaves.
    current: (Option<Epoch>, Epoch),
    rolled: Rolled,
}

impl Supervisor {
    pub(super) fn begin_rolling(&mut self, roll: Roll) {
        if self.ending || self.rolling.is_some() {
            return roll.refuse(RollError::Interrupted);
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
        if !restart {
            return self.let_leave(epoch, limit);
        }
        let started = self.start_one(member.seat, member.serves.clone());
        match (started, &mut self.rolling) {
            (Ok(new), Some(rolling)) => {
                rolling.current = (Some(new), epoch);
                self.permit();
            }
            (Ok(_), None) => {}
            (Err(error), _) => self.end_rolling(Some(RollError::Start(error))),
        }
    }

    fn let_leave(&mut self, epoch: Epoch, limit: Duration) {
        let Some(member) = self.members.iter_mut().find(|member| member.epoch == epoch) else { return };
        member.leaves = true;
        member.shut();
        let (seat, serves) = (member.seat, std::mem::take(&mut member.serves));
        let is_last = self.members.iter().all(|member| member.leaves);
        if is_last {
            // Nobody is left to listen.
            self.ending = true;
            self.close();
        } else {
            self.pass_on(seat, &serves);
        }
        let member = self.members.iter().find(|member| member.epoch == epoch);
        member.into_iter().for_each(|member| member.post(move |worker| worker.drain(limit, !is_last)));
    }

    pub(super) fn is_ready(&mut self, epoch: Epoch) {
        let Some(at) = self.members.iter().position(|member| member.epoch == epoch) else { return };
        self.members[at].ready = true;
        if self.ending {
            return self.members[at].post(|worker| worker.end(super::LoopEnd::Stopped));
        }
        let rolling = self.rolling.as_ref().filter(|rolling| rolling.current.0 == Some(epoch));
        let rolling = rolling.map(|rolling| (rolling.roll.limit, rolling.current.1));
        let old = rolling.and_then(|(_, old)| self.members.iter_mut().find(|member| member.epoch == old));
        // It may have taken over more since its successor began.
        let serves = old.map(|old| {
            old.leaves = true;
            old.serves.clone()
        });
        self.begin_work(at, &serves.unwrap_or_default());
        let Some((limit, old)) = rolling else { return };
        match self.members.iter().find(|member| member.epoch == old) {
            Some(old) => old.post(move |worker| worker.drain(limit, true)),
            None => self.roll_on(),
        }
    }

    /// A new loop takes its place, and everything that its predecessor served.
    fn begin_work(&mut self, at: usize, serves: &[usize]) {
        let member = &mut self.members[at];
        if let Some(place) = &member.place {
            self.shared.sit_down(member.seat, place);
            place.open();
        }
        let accepts = member.seat == self.shared.acceptor();
        member.post(move |worker| worker.go(accepts));
        member.add(serves);
        self.hand_down(at, accepts);
        self.shared.accept_again();
    }

    /// Whether the loop that takes the place of the one whose turn it is has not begun yet.
    fn has_successor(&self) -> bool {
        let successor = self.rolling.as_ref().and_then(|rolling| rolling.current.0);
        self.members.iter().any(|member| Some(member.epoch) == successor && !member.ready)
    }

    /// If it was that loop's turn, it is noted, and the answer is whether the next one's may come.
    pub(super) fn note_turn(&mut self, epoch: Epoch, report: LoopReport) -> bool {
        let Some(rolling) = self.rolling.as_mut().filter(|rolling| rolling.current.1 == epoch) else {
            return false;
        };
        rolling.rolled.loops.push(report);
        true
    }

    /// The loop whose turn it was is gone. If its successor begins only now, the next one's turn comes after that.
    pub(super) fn end_turn(&mut self) {
        if !self.has_successor() {
            self.roll_on();
        }
    }

    pub(super) fn has_failed(&mut self, epoch: Epoch, error: StartError) {
        let Some(gone) = self.bury(epoch) else { return };
        if self.rolling.as_ref().is_some_and(|rolling| rolling.current.0 == Some(epoch)) {
            self.end_rolling(Some(RollError::Start(error)));
        }
        self.pass_on(gone.seat, &gone.serves);
    }

    pub(super) fn end_rolling(&mut self, error: Option<RollError>) {
        if let Some(Rolling { roll, mut rolled, .. }) = self.rolling.take() {
            rolled.error = error;
            roll.tell(rolled);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn whoever_asked_is_told_once_however_it_is_dropped() {
        let (tell, told) = channel();
        let roll = || {
            let tell = tell.clone();
            Roll::new(Duration::ZERO, true, Box::new(move |rolled| drop(tell.send(rolled.error))))
        };
        drop(roll());
        roll().refuse(RollError::Interrupted);
        // The way of a message that nobody receives any more.
        let (sender, receiver) = crossbeam_channel::unbounded();
        sender.send(roll()).unwrap();
        drop(receiver);
        let errors: Vec<_> = told.try_iter().collect();
        assert!(
            matches!(
                errors[..],
                [Some(RollError::Over), Some(RollError::Interrupted), Some(RollError::Over)]
            ),
            "{errors:?}"
        );
    }
}
