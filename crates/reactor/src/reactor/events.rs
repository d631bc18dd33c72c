//! Phase 2 of a turn: events, who was left over, what others posted, and flow.

use std::rc::Rc;
use std::time::Duration;

use super::turn::{TIME, TIMELY};
use super::{Shell, Slot};
use crate::backend::{Completion, Sent, SentWhole};
use crate::connection::{Errands, Visit};
use crate::contain::contain;
use crate::instant::Instant;
use crate::key::Key;
use crate::os_signal::SignalKind;
use crate::patience::{Patience, SHORT};
use crate::ready::{Entry, Other};
use crate::watch::Ready;

/// Where events woke something in the ready queue, no more than so many come before that: the bytes that tasks wait for are still
/// in the processor's cache then, and need not all be kept at once.
const EVENTS: u32 = 32;
/// Where they had woken nothing by then, it is looked at again after so many more each time.
const MORE_EVENTS: u32 = 16;

/// Tells after which events to look whether there were enough of them. That is a comparison with each.
#[derive(Default)]
pub(super) struct Pace {
    /// It counts them.
    patience: Patience,
    /// With how many it is looked.
    next: u32,
}

impl Pace {
    /// Counts an event.
    #[inline]
    fn is_time(&mut self) -> bool {
        self.patience.step() >= self.next
    }

    /// After how many more events to look, which are counted then.
    fn steps_to_next(&self) -> u32 {
        self.next.saturating_sub(self.patience.steps()).max(1)
    }

    fn looked(&mut self) {
        let count = self.patience.steps();
        let others = if count < EVENTS { EVENTS } else { count + MORE_EVENTS };
        self.next = others.min(self.patience.next());
    }
}

/// A send of which everything was sent, and from which something follows.
pub(super) enum Answered {
    Lent(SentWhole),
    Departed(Key, usize),
}

/// What input comes for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Listener,
    Datagram,
    Other,
}

impl Shell {
    /// What is left when others have waited for long stays with the backend until they had their turn. Whether this turn goes on
    /// with it then: not if it took long although nobody in the ready queue waited.
    pub(super) fn deliver_completions(self: &Rc<Self>) -> bool {
        self.left_events.set(false);
        self.flight.errands.set(Errands::NoneYet);
        self.take_sent();
        let (mut visit, mut pace) = (Visit::new(self), Pace::default());
        loop {
            // All visits at a time: to be ready for a panic costs as much as a look at a connection.
            match contain(|| self.deliver_some(&mut visit, &mut pace)) {
                Ok(None) => return false,
                Ok(Some(somebody_waits)) => {
                    self.left_events.set(true);
                    return somebody_waits;
                }
                Err(panic) => {
                    self.visit_failed(&mut visit, panic);
                    // Which of them it was is not known, so it is looked soon.
                    pace.patience.count(pace.steps_to_next());
                }
            }
        }
    }

    /// What is known to be sent. Most of it is a matter of a few steps; what is more than that waits for its turn among the events.
    fn take_sent(self: &Rc<Self>) {
        let mut sent = self.sent.take();
        self.backend_in_turn().take_sent(&mut sent);
        for sent in sent.drain(..) {
            match self.end_whole(sent) {
                Ok(()) => self.stats().event(),
                Err(sent) => self.answered.borrow_mut().push_back(Answered::Lent(sent)),
            }
        }
        self.sent.set(sent);
    }

    /// All of what departed was sent, and somebody knows of it.
    pub(crate) fn end_departure(&self, key: Key, len: usize) {
        self.stats().event();
        if !self.ask(key, |connection| connection.ends_straight(len)) {
            self.answered.borrow_mut().push_back(Answered::Departed(key, len));
        }
    }

    /// If some are left, whether that is for somebody in the ready queue.
    fn deliver_some(self: &Rc<Self>, visit: &mut Visit, pace: &mut Pace) -> Option<bool> {
        while let Some(answered) = self.next_answered() {
            self.stats().event();
            match answered {
                Answered::Lent(SentWhole { key, outgoing }) => {
                    let result = Ok(outgoing.len());
                    self.send_completed(key, Sent { outgoing, result });
                }
                Answered::Departed(key, len) => self.departed_sent(key, len),
            }
            if pace.is_time() {
                if let Some(somebody_waits) = self.is_enough(pace) {
                    return Some(somebody_waits);
                }
            }
        }
        match &self.arrivals {
            _ if self.lends => self.deliver_each(visit, pace, |visit| self.visit_next_lent(visit)),
            Some(arrivals) => {
                self.deliver_each(visit, pace, |visit| self.visit_next_arrived(visit, arrivals))
            }
            None => self.deliver_each(visit, pace, |visit| self.visit_next_announced(visit)),
        }
    }

    /// The same for input, which is delivered by `visit_next` if it comes next, and whatever else there is. There is one of these for each
    /// kind of backend, so that what runs for each event has nothing to decide on.
    #[inline(never)]
    fn deliver_each(
        self: &Rc<Self>,
        visit: &mut Visit,
        pace: &mut Pace,
        visit_next: impl Fn(&mut Visit) -> bool,
    ) -> Option<bool> {
        loop {
            let steps = pace.steps_to_next();
            for _ in 0..steps {
                if !visit_next(visit) {
                    let completion = self.backend_in_turn().next();
                    let completion = completion?;
                    self.stats().event();
                    self.deliver_completion(completion, visit);
                }
            }
            pace.patience.count(steps);
            if let Some(somebody_waits) = self.is_enough(pace) {
                return Some(somebody_waits);
            }
        }
    }

    fn next_answered(&self) -> Option<Answered> {
        self.answered.borrow_mut().pop_front()
    }

    /// Events were delivered. If no more are to be now, whether that is for somebody in the ready queue.
    #[inline(never)]
    fn is_enough(&self, pace: &mut Pace) -> Option<bool> {
        let somebody_waits = self.has_ready();
        if pace.patience.steps() >= EVENTS && (somebody_waits || self.sends_wait()) {
            return Some(true);
        }
        let mut departed = false;
        let longest = |now| {
            departed = self.depart_in_time(now);
            if somebody_waits { SHORT } else { self.longest(now) }
        };
        if pace.patience.has_ended(longest, || self.now()) {
            return Some(somebody_waits);
        }
        if departed {
            // What departs next is not to wait for longer because events take long.
            pace.patience.look_soon();
        }
        pace.looked();
        None
    }

    /// Whether something that tasks wrote to others is to be sent. What runs from the ready queue has it sent as soon.
    fn sends_wait(&self) -> bool {
        self.flight.errands.get() != Errands::NoneYet && !self.dirty.borrow().is_empty()
    }

    /// The clock was read: what departs has not waited for long then. For how long one phase may go on.
    pub(super) fn looked(&self, now: Instant) -> Duration {
        self.depart_in_time(now);
        self.longest(now)
    }

    fn longest(&self, now: Instant) -> Duration {
        if self.timers.are_due(now) { TIMELY } else { TIME }
    }

    fn deliver_completion(self: &Rc<Self>, completion: Completion, visit: &mut Visit) {
        match completion {
            Completion::Input(key) => self.visit_or_deliver(key, visit),
            Completion::Output(key) => self.datagrams_have_room(key),
            Completion::Sent(key, sent) => self.send_completed(key, sent),
            Completion::Connected(key, result) => self.connected(key, result),
            Completion::Shut(key, result) => self.shut_completed(key, result),
            Completion::AcceptsNoMore(key) => self.accepts_no_more(key),
            Completion::Closed(key) => self.closed(key),
            Completion::PeerClosed { key, reset } => self.peer_closed(key, reset),
            Completion::Ready { key, ready } => self.deliver_ready(key, ready),
        }
    }

    pub(crate) fn deliver_input(self: &Rc<Self>, key: Key) {
        match self.source_kind(key) {
            Some(Kind::Listener) => self.acceptable(key),
            Some(Kind::Datagram) => self.datagrams_arrived(key),
            Some(Kind::Other) => self.input(key),
            None => {}
        }
    }

    pub(super) fn source_kind(&self, key: Key) -> Option<Kind> {
        self.slot(key, |slot| match slot {
            Slot::Listener(_) => Kind::Listener,
            Slot::Datagram(_) => Kind::Datagram,
            _ => Kind::Other,
        })
    }

    fn deliver_ready(self: &Rc<Self>, key: Key, ready: Ready) {
        enum Of {
            Signal(SignalKind),
            Child(Key),
            Other,
        }
        let of = self.slot(key, |slot| match slot {
            Slot::OsSignal(signal) => Of::Signal(*signal),
            Slot::Child(process) => Of::Child(*process),
            _ => Of::Other,
        });
        match of {
            Some(Of::Signal(signal)) => self.signal_came(signal),
            Some(Of::Child(process)) => self.child_told(process),
            _ => self.tell_watch(key, ready),
        }
    }

    fn closed(self: &Rc<Self>, key: Key) {
        enum Was {
            Connection,
            Listener,
            Datagram,
            Other,
        }
        let was = self.slot(key, |slot| match slot {
            Slot::Connection(_) => Was::Connection,
            Slot::Listener(_) => Was::Listener,
            Slot::Datagram(_) => Was::Datagram,
            Slot::Attempt(_) | Slot::Watch(_) | Slot::OsSignal(_) | Slot::Child(_) | Slot::Reserved => {
                Was::Other
            }
        });
        match was {
            Some(Was::Connection) => self.notify(key, crate::connection::Notice::Lost),
            Some(Was::Listener) => self.listener_closed(key),
            Some(Was::Datagram) => self.datagrams_closed(key),
            Some(Was::Other) => drop(self.remove_slot(key)),
            None => {}
        }
    }

    /// What was left over from the turn before. What was listed since waits for the next turn: it had its share of this one.
    /// Whose turn does not come while there is time stays before those.
    pub(super) fn pull_listed(self: &Rc<Self>, left_over: usize) {
        let mut patience = Patience::default();
        for _ in 0..left_over {
            if patience.ends(|now| self.looked(now), || self.now()) {
                return;
            }
            let key = self.listed.borrow_mut().pop_front();
            let Some(key) = key else { return };
            self.alter(key, |connection| connection.flags.clear(crate::connection::Flags::LISTED));
            match self.source_kind(key) {
                Some(Kind::Listener) => self.accept_more(key),
                Some(Kind::Datagram) => self.pull_datagrams_again(key),
                Some(Kind::Other) => self.pull(key),
                None => {}
            }
        }
    }

    pub(super) fn take_arrivals(&self) {
        if !self.remote.shared().has_work() {
            return;
        }
        let mut arrived = self.arrived.take();
        if self.remote.shared().take(&mut arrived) {
            let mut ready = self.ready.borrow_mut();
            for post in arrived.posts.drain(..) {
                ready.push(Entry::Call(post.into_callback()));
            }
            for signal in arrived.signals.drain(..) {
                ready.push(Entry::Other(Other::Signal(signal)));
            }
            // Behind the raises that came before the last clone was dropped.
            for signal in arrived.forgotten.drain(..) {
                ready.push(Entry::Other(Other::Forget(signal)));
            }
            arrived.shrink();
        }
        *self.arrived.borrow_mut() = arrived;
    }

    /// Flow is looked at when the answer to every send is known that the wait brought. But where events are left in turn after turn,
    /// whoever writes would never be told to pause.
    pub(super) fn check_flows_in_time(&self) {
        if !self.left_events.get() || self.flows_wait.replace(false) {
            self.check_flows();
        }
    }

    fn check_flows(&self) {
        let mut checks = self.flow_checks.take();
        // Some have to be looked at again.
        checks.retain(|key| self.check_flow(*key));
        // The memory is kept.
        let mut place = self.flow_checks.borrow_mut();
        checks.append(&mut place);
        *place = checks;
    }
}
