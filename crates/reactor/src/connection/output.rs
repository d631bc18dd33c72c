//! Bytes out, and their flow control.

use std::io::IoSlice;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::chain;
use super::files::{Failure, InLine, SHARE};
use super::{Connection, Flags, Notice};
use crate::backend::{Outgoing, Sent, Started};
use crate::error::{WatermarkError, WriteLimitExceeded};
use crate::filter::AT_ONCE;
use crate::key::Key;
use crate::lost::Reason;
use crate::reactor::Shell;
use crate::ready::{Entry, Other};
use crate::transport::WriteStatus;

/// How long to wait before a send is tried again that the system had no memory for.
const RETRY: Duration = Duration::from_millis(10);

/// What follows when a flush left nothing to send.
enum Next {
    Nothing,
    Shut,
    Close,
    ArmTimer,
    ShutIsOut,
}

/// What there is to flush of a connection.
pub(crate) enum Flush {
    Nothing,
    /// Bytes, and nothing follows from their being sent.
    Straight(Box<Outgoing>),
    Closely,
}

impl Shell {
    /// Adds a copy of `data` to what waits, apart from what the system takes at once.
    pub(crate) fn write_copy(self: &Rc<Self>, key: Key, data: &[u8]) -> WriteStatus {
        if self.flight.takes(key, data) { WriteStatus::Ok } else { self.write_to(key, data) }
    }

    #[inline(never)]
    fn write_to(self: &Rc<Self>, key: Key, data: &[u8]) -> WriteStatus {
        match self.write_straight(key, data, false) {
            Some(status) => status,
            None => self.write_closely(key, data),
        }
    }

    /// The same, if no more than the high watermark waits.
    #[inline]
    pub(crate) fn write_within(self: &Rc<Self>, key: Key, data: &[u8]) -> Option<WriteStatus> {
        if self.flight.takes(key, data) {
            return Some(WriteStatus::Ok);
        }
        self.write_within_out_of_flight(key, data)
    }

    #[inline(never)]
    fn write_within_out_of_flight(self: &Rc<Self>, key: Key, data: &[u8]) -> Option<WriteStatus> {
        self.write_straight(key, data, true).or_else(|| {
            let has_room = self.inspect(key, |connection| connection.room().is_some()).unwrap_or(true);
            has_room.then(|| self.write_closely(key, data))
        })
    }

    #[inline(never)]
    fn write_closely(self: &Rc<Self>, key: Key, data: &[u8]) -> WriteStatus {
        let taken = if data.len() >= AT_ONCE { self.take_now(key, data) } else { 0 };
        self.write(key, |outgoing| outgoing.push_copy(&data[taken..]))
    }

    /// Sends what goes without waiting, if nothing waits before it, or has a filter take it.
    fn take_now(self: &Rc<Self>, key: Key, data: &[u8]) -> usize {
        match self.is_sent_first(key) {
            None => 0,
            Some(true) => self.seal_now(key, data),
            Some(false) => self.send_now(key, data),
        }
    }

    /// Sends what goes without waiting, if nothing waits before it and there are no filters.
    pub(crate) fn send_some(&self, key: Key, data: &[u8]) -> usize {
        match self.is_sent_first(key) {
            Some(false) if !data.is_empty() => self.send_now(key, data),
            _ => 0,
        }
    }

    /// Whether what is written is to go through filters. `None` if it cannot be sent at once.
    fn is_sent_first(&self, key: Key) -> Option<bool> {
        if self.is_ended() {
            return None;
        }
        let busy = Flags::SENDING | Flags::RETRYING | Flags::UNMADE;
        let first = self.alter(key, |connection| {
            let empty = connection.buffered() == 0 && !connection.has_waiting_descriptors();
            let is_first = connection.accepts_writes() && !connection.flags.any(busy) && empty;
            is_first.then(|| connection.is_filtered())
        });
        first.flatten()
    }

    fn send_now(&self, key: Key, data: &[u8]) -> usize {
        let sent = self.backend().send_now(key, &[IoSlice::new(data)]).min(data.len());
        if sent > 0 {
            self.stats().sent();
            self.alter(key, |connection| connection.traffic.sent += sent as u64);
        }
        sent
    }

    /// Adds to what waits. `push` must run no code of the user's.
    pub(crate) fn write(self: &Rc<Self>, key: Key, push: impl FnOnce(&mut Outgoing)) -> WriteStatus {
        let mut exceeded = None;
        let written = self.alter(key, |connection| {
            // While a loop is emptied, connections that come later in its order still stand.
            if !connection.accepts_writes() || self.is_ended() {
                return (WriteStatus::Closed, false);
            }
            if connection.weight_in_memory() > connection.write_limit {
                exceeded = Some(WriteLimitExceeded { limit: connection.write_limit });
                return (WriteStatus::Closed, false);
            }
            let outgoing = connection.outgoing.get_or_insert_with(|| self.spares.borrow_mut().take());
            let before = outgoing.len();
            push(outgoing);
            let list = outgoing.len() > before && connection.wants_flush();
            if let Some(unused) = connection.outgoing.take_if(|outgoing| outgoing.is_void()) {
                self.recycle(unused);
            }
            let over = connection.weight() > connection.high;
            (if over { WriteStatus::OverHigh } else { WriteStatus::Ok }, list)
        });
        let (status, list) = written.unwrap_or((WriteStatus::Closed, false));
        if list {
            self.flush_later(key);
        }
        if let Some(exceeded) = exceeded {
            self.abort(key, Reason::Failed(Arc::new(exceeded)));
        }
        status
    }

    /// Sends what waits on behalf of the program. The code of filters does not run within its call.
    pub(crate) fn flush_now(self: &Rc<Self>, key: Key) {
        if !self.ask(key, |connection| connection.is_filtered()) {
            self.flush(key);
        }
    }

    /// Sends what waits, as far as the system takes it.
    pub(crate) fn flush(self: &Rc<Self>, key: Key) {
        if !self.flush_straight(key) {
            self.flush_closely(key);
        }
    }

    pub(crate) fn flush_closely(self: &Rc<Self>, key: Key) {
        if self.ask(key, |connection| connection.is_filtered()) {
            return self.flush_filtered(key);
        }
        let mut share = SHARE;
        while let Some(outgoing) = self.lend(key, share) {
            self.stats().sent();
            let started = self.backend().send(key, outgoing);
            match started {
                Started::Done(sent) => share = share.saturating_sub(self.sent(key, sent)),
                Started::Pending => break,
            }
        }
        self.after_flush(key);
    }

    /// Takes what waits, to lend it to the backend. Of files, if `share` is not used up.
    fn lend(self: &Rc<Self>, key: Key, share: usize) -> Option<Box<Outgoing>> {
        let wait = self.wait_number();
        let next = self.alter(key, |connection| {
            connection.flags.clear(Flags::DIRTY);
            if connection.flags.any(Flags::SENDING | Flags::RETRYING | Flags::LOST) {
                return InLine::Nothing;
            }
            match &connection.outgoing {
                Some(outgoing) if outgoing.has_files() => InLine::of(outgoing),
                _ => connection.lend(wait, &mut self.spares.borrow_mut()),
            }
        })?;
        match next {
            InLine::Nothing => None,
            InLine::Lent(outgoing) => Some(outgoing),
            InLine::Bytes | InLine::File { .. } => self.lend_among_files(key, share, wait),
        }
    }

    /// A send that was pending is done.
    pub(crate) fn send_completed(self: &Rc<Self>, key: Key, sent: Sent) {
        let Err(sent) = self.end_straight(key, sent) else { return };
        match self.has_lent_plain(key) {
            None => {
                self.sent(key, sent);
            }
            Some(false) => self.wire_sent(key, sent),
            Some(true) => {
                let count = self.sent(key, sent);
                self.with_chain(key, |chain, _| chain.went_the_old_way(count));
            }
        }
        self.flush(key);
    }

    /// Whether what was lent is bytes that were written before there were filters. `None` if there are none.
    fn has_lent_plain(&self, key: Key) -> Option<bool> {
        let lent_plain = |chain: &mut chain::Chain| std::mem::take(&mut chain.has_lent_plain);
        let lent = self.alter(key, |connection| {
            connection.is_filtered().then(|| connection.chain_mut().is_some_and(lent_plain))
        });
        lent.flatten()
    }

    /// All of what departed was sent. It was written before there were filters, if there are any.
    pub(crate) fn departed_sent(self: &Rc<Self>, key: Key, count: usize) {
        if !self.lent_came_back(key, count, &mut None) {
            self.extend_close_timer(key);
        }
        if self.has_lent_plain(key).is_some() {
            self.with_chain(key, |chain, _| chain.went_the_old_way(count));
        }
        self.flush(key);
    }

    /// How many bytes are off the queue now: those that were sent, or that a file lacks.
    pub(super) fn sent(self: &Rc<Self>, key: Key, sent: Sent) -> usize {
        let Sent { mut outgoing, result } = sent;
        let before = outgoing.len();
        let mut count = 0;
        let failure = match result {
            Ok(sent) => {
                self.take_off(&mut outgoing, sent);
                count = before - outgoing.len();
                None
            }
            Err(error) => Some(Failure::of(error, &mut outgoing)),
        };
        let left = outgoing.len();
        let lost = self.lent_came_back(key, count, &mut Some(outgoing));
        match failure {
            _ if lost => {}
            None | Some(Failure::GoOn) => self.extend_close_timer(key),
            Some(Failure::Retry) => self.retry_later(key),
            Some(Failure::Lose(reason)) => self.lose(key, reason, crate::backend::Close::Reset),
        }
        before - left
    }

    /// Nothing is lent any more, and so many bytes of it were sent. Whether the connection is lost.
    fn lent_came_back(&self, key: Key, count: usize, rest: &mut Option<Box<Outgoing>>) -> bool {
        let left = rest.as_ref().map_or(0, |outgoing| outgoing.len());
        let lost = self.alter(key, |connection| {
            connection.flags.clear(Flags::SENDING | Flags::LENT_FILE);
            connection.traffic.sent += count as u64;
            let lent = std::mem::take(&mut connection.lent);
            connection.set_lent_descriptors(0);
            if connection.flags.any(Flags::LOST) {
                connection.correct_unsent(lent, left);
            } else {
                Connection::take_back(&mut connection.outgoing, rest);
            }
            connection.flags.any(Flags::LOST)
        });
        if let Some(outgoing) = rest.take() {
            self.throw_away(outgoing);
        }
        lost != Some(false)
    }

    pub(super) fn take_off(&self, outgoing: &mut Outgoing, count: usize) {
        let mut spent = self.spent.take();
        outgoing.advance(count, &mut spent);
        for bytes in spent.drain(..) {
            self.push(Entry::Other(Other::Spent(bytes)));
        }
        // The empty list keeps its memory for the next time.
        self.spent.set(spent);
    }

    pub(super) fn retry_later(self: &Rc<Self>, key: Key) {
        let shell = Rc::clone(self);
        self.alter(key, |connection| connection.flags.set(Flags::RETRYING));
        self.timer_after(RETRY, move || {
            shell.alter(key, |connection| connection.flags.clear(Flags::RETRYING));
            shell.flush(key);
        });
    }

    pub(super) fn after_flush(self: &Rc<Self>, key: Key) {
        self.expedite(key);
        let next = self.alter(key, |connection| {
            if connection.flags.any(Flags::LOST) {
                return (Next::Nothing, false, false);
            }
            let flushed = connection.is_flushed();
            let next = connection.next_step(flushed);
            let says_end = connection.is_saying_end() && !matches!(next, Next::ShutIsOut);
            let empty = connection.buffered() == 0 && !says_end;
            let asked = empty && connection.flags.any(Flags::DRAIN_ASKED);
            if asked {
                connection.flags.clear(Flags::DRAIN_ASKED);
            }
            let drained = asked && connection.flags.raise(Flags::DRAIN_QUEUED);
            (next, drained, connection.wants_flow_check())
        });
        let (next, drained, check) = next.unwrap_or((Next::Nothing, false, false));
        if drained {
            self.notify(key, Notice::Drained);
        }
        if check {
            self.check_flow_later(key);
        }
        match next {
            Next::Nothing => {}
            Next::Shut => self.shut(key),
            Next::Close => self.finish_close(key),
            Next::ArmTimer => self.arm_close_timer(key),
            Next::ShutIsOut => self.shut_is_out(key),
        }
        self.drop_chain_if_over(key);
    }

    fn expedite(&self, key: Key) {
        if self.ask(key, |connection| connection.awaits_send()) {
            self.backend().expedite(key);
        }
    }

    // Flow control.

    pub(crate) fn set_watermarks(&self, key: Key, low: usize, high: usize) -> Result<(), WatermarkError> {
        if low > high {
            return Err(WatermarkError { low, high });
        }
        let check = self.ask(key, |connection| {
            connection.set_watermarks(low, high);
            connection.wants_flow_check()
        });
        if check {
            self.check_flow_later(key);
        }
        Ok(())
    }

    pub(crate) fn notify_drained(&self, key: Key) {
        let now = self.ask(key, |connection| {
            let empty = connection.buffered() == 0 && !connection.is_saying_end();
            if !empty {
                connection.flags.set(Flags::DRAIN_ASKED);
            }
            empty && !connection.flags.any(Flags::LOST) && connection.flags.raise(Flags::DRAIN_QUEUED)
        });
        if now {
            self.notify(key, Notice::Drained);
        } else {
            self.expedite(key);
        }
    }

    /// After the wait that follows a flush, a pause or resume is decided: by then every backend had one chance to send.
    /// Tells whether it has to be looked at again.
    pub(crate) fn check_flow(&self, key: Key) -> bool {
        let (mut again, wait) = (false, self.wait_number());
        let queue = self.ask(key, |connection| {
            connection.flags.clear(Flags::FLOW_CHECK);
            if connection.flags.any(Flags::SENDING) && connection.lent_in == wait {
                // Some backends have not tried yet, as they do that in the next wait. That is waited for once: there may
                // be another send by then.
                again = connection.flags.raise(Flags::FLOW_PUT_OFF) && connection.wants_flow_check();
            }
            if again {
                return false;
            }
            connection.flags.clear(Flags::FLOW_PUT_OFF);
            connection.flow_due().is_some() && connection.flags.raise(Flags::FLOW_QUEUED)
        });
        if queue {
            self.notify(key, Notice::Flow);
        }
        again
    }

    /// Keeps an empty queue for whoever writes next.
    pub(super) fn recycle(&self, outgoing: Box<Outgoing>) {
        self.spares.borrow_mut().give_back(outgoing);
    }

    /// Empties a queue whose bytes nobody wants any more.
    pub(crate) fn throw_away(&self, mut outgoing: Box<Outgoing>) {
        let count = outgoing.len();
        self.take_off(&mut outgoing, count);
        outgoing.drop_descriptors();
        self.recycle(outgoing);
    }
}

impl Connection {
    /// Takes back what was lent. It comes before what was written meanwhile. What is empty stays with the caller.
    pub(super) fn take_back(place: &mut Option<Box<Outgoing>>, returned: &mut Option<Box<Outgoing>>) {
        if returned.as_ref().is_none_or(|outgoing| outgoing.is_empty()) {
            return;
        }
        let newer = std::mem::replace(place, returned.take());
        if let (Some(mut newer), Some(first)) = (newer, place) {
            first.append(&mut newer);
            *returned = Some(newer);
        }
    }

    fn next_step(&mut self, empty: bool) -> Next {
        if !empty {
            let wants_timer = self.flags.any(Flags::CLOSING) && !self.has_timer();
            return if wants_timer { Next::ArmTimer } else { Next::Nothing };
        }
        let may_shut_further = self.is_filtered() && self.chain().is_some_and(chain::Chain::may_shut_further);
        if self.flags.any(Flags::CLOSING) && !self.flags.any(Flags::LINGERING) {
            Next::Close
        } else if may_shut_further || self.begins_to_shut() {
            Next::Shut
        } else if self.is_filtered() && self.chain().is_some_and(chain::Chain::has_told_end) {
            Next::ShutIsOut
        } else {
            Next::Nothing
        }
    }

    fn begins_to_shut(&mut self) -> bool {
        self.flags.any(Flags::EOF_ASKED) && !self.flags.any(Flags::SHAKING) && self.flags.raise(Flags::SHUT)
    }

    /// Notes that there is something to flush. Whether it has to be listed for that; marks it so.
    pub(super) fn wants_flush(&mut self) -> bool {
        self.flags.set(Flags::DIRTY);
        self.flags.raise(Flags::FLUSH_LISTED)
    }

    /// It is taken off the list. What there still is to flush.
    #[inline]
    pub(crate) fn leave_flush_list(&mut self) -> Flush {
        self.flags.clear(Flags::FLUSH_LISTED);
        if !self.flags.any(Flags::DIRTY) {
            return Flush::Nothing;
        }
        self.take_straight().map_or(Flush::Closely, Flush::Straight)
    }

    /// Whether a check of the flow has to be listed. Marks it so.
    pub(super) fn wants_flow_check(&mut self) -> bool {
        self.flow_due().is_some() && self.flags.raise(Flags::FLOW_CHECK)
    }
}
