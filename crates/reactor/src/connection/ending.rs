//! How a connection ends: in good order, at once, or by itself.

use std::rc::Rc;
use std::time::Duration;

use super::filters::Filtered;
use super::{Connection, Flags, Notice};
use crate::backend::{Close, Received, Started};
use crate::key::Key;
use crate::lost::{Lost, Reason};
use crate::reactor::{Shell, Slot};
use crate::transport::Transport;

/// How long a closed connection whose peer goes on sending is listened to, so that the peer is not reset.
const LINGER: Duration = Duration::from_secs(1);
/// How often a lingering connection is pulled from in one turn.
const LINGER_PULLS: usize = 16;

/// What was found when a connection was pulled dry before its close.
enum Left {
    Nothing,
    Bytes,
    /// The peer ended its direction or broke off: nothing can come.
    End,
}

impl Shell {
    pub(crate) fn write_eof(self: &Rc<Self>, key: Key) {
        let list = self.ask(key, |connection| {
            if !connection.accepts_writes() {
                return false;
            }
            connection.flags.set(Flags::EOF_ASKED);
            connection.drop_waiting_descriptors();
            connection.wants_flush()
        });
        if list {
            self.flush_later(key);
        }
    }

    pub(crate) fn close(self: &Rc<Self>, key: Key) {
        let list = self.ask(key, |connection| {
            if connection.is_closing() {
                return false;
            }
            connection.flags.set(Flags::CLOSING);
            connection.drop_waiting_descriptors();
            connection.wants_flush()
        });
        if list {
            self.flush_later(key);
        }
    }

    /// Ends a connection for a reason that the program gave or caused. A failure is not masked by an abort that came
    /// before it; one that comes after another failure, which is the reason, is reported.
    #[track_caller]
    pub(crate) fn abort(self: &Rc<Self>, key: Key, reason: Reason) {
        let mut reason = Some(reason);
        let end = self.ask(key, |connection| {
            if !connection.flags.any(Flags::LOST) {
                return true;
            }
            if let Some(known) = &mut connection.rare().lost {
                if reason.as_ref().is_some_and(Reason::is_failure) && !known.reason().is_failure() {
                    reason.take().into_iter().for_each(|reason| known.set_reason(reason));
                }
            }
            false
        });
        match reason {
            Some(reason) if end => self.lose(key, reason, Close::Reset),
            Some(Reason::Panicked(panic)) => self.report_panic(panic, std::panic::Location::caller()),
            rejected => drop(self.contained(move || drop(rejected))),
        }
    }

    /// The end is certain. The backend closes; the protocol is told from the ready queue.
    pub(crate) fn lose(self: &Rc<Self>, key: Key, reason: Reason, how: Close) {
        let mut reason = Some(reason);
        let ended = self.alter(key, |connection| {
            if !connection.flags.raise(Flags::LOST) {
                return None;
            }
            connection.keep_socket(None);
            let unsent = connection.buffered();
            let rare = connection.rare();
            rare.drop_received_descriptors();
            rare.lost = reason.take().map(|reason| Lost::new(reason, unsent));
            let timer = rare.timer.take();
            let chain = connection.filtered_mut().and_then(|filtered| filtered.chain.take());
            Some((timer, connection.outgoing.take(), chain))
        });
        // A reason that came too late may hold something of the user's.
        self.contained(move || drop(reason));
        let Some(Some((timer, outgoing, chain))) = ended else {
            return;
        };
        if let Some(timer) = timer {
            self.cancel_timer(timer);
        }
        if let Some(outgoing) = outgoing {
            self.throw_away(outgoing);
        }
        if let Some(chain) = chain {
            self.end_chain(*chain);
        }
        let started = self.backend().close(key, how);
        if matches!(started, Started::Done(())) {
            self.notify(key, Notice::Lost);
        }
    }

    pub(super) fn deliver_lost(self: &Rc<Self>, key: Key) {
        let ended = self.alter(key, |connection| (connection.protocol.take(), connection.rare().lost.take()));
        let Some((protocol, lost)) = ended else { return };
        let lost = lost.unwrap_or_else(|| Lost::new(Reason::Clean, 0));
        let transport = Transport::new(Rc::clone(self), key);
        let protocol = protocol.map(|mut protocol| {
            self.contained(|| protocol.connection_lost(&transport, &lost));
            protocol
        });
        // Before anybody else hears of the loss, so that what counts connections has counted it.
        let layered = self.alter(key, |connection| connection.rare.as_mut()?.layered.take()).flatten();
        let layered = layered.map(|layered| *layered).unwrap_or_default();
        self.drop_each(layered.attached);
        self.drop_each(layered.filtered.map(Filtered::into_parts).unwrap_or_default());
        let slot = self.remove_slot(key);
        if let Some(Slot::Connection(connection)) = slot {
            if let Some(server) = connection.server() {
                self.server_lost_one(server, &connection.addresses, &lost);
            }
            self.contained(move || drop(connection));
        }
        self.contained(move || drop(protocol));
        self.contained(move || drop(lost));
    }

    /// Our direction ends: everything before was sent.
    pub(super) fn shut(self: &Rc<Self>, key: Key) {
        if self.ask(key, |connection| connection.is_filtered()) {
            self.shut_filtered(key);
        } else {
            self.shut_below(key);
        }
    }

    pub(super) fn shut_below(self: &Rc<Self>, key: Key) {
        let started = self.backend().shutdown(key);
        if let Started::Done(result) = started {
            self.shut_completed(key, result);
        }
    }

    pub(crate) fn shut_completed(self: &Rc<Self>, key: Key, result: std::io::Result<()>) {
        let lingering = self.inspect(key, |connection| connection.flags.any(Flags::LINGERING));
        match result {
            _ if lingering != Some(false) => {}
            Ok(()) => self.end_if_both_shut(key),
            Err(error) => self.lose(key, Reason::from_io(error), Close::Reset),
        }
    }

    pub(super) fn end_if_both_shut(self: &Rc<Self>, key: Key) {
        let both = self.ask(key, |connection| {
            connection.flags.all(Flags::EOF | Flags::SHUT) && !connection.flags.any(Flags::EOF_UNTOLD)
        });
        if both && self.ask(key, |connection| connection.is_filtered()) {
            // The layers below have an end of their own.
            self.close(key);
        } else if both {
            self.lose(key, Reason::Clean, Close::Orderly);
        }
    }

    /// Everything is sent. A system that is told to close over received bytes nobody read resets the peer, and the peer may
    /// lose the end of what we sent; so these bytes are received and dropped first. If there were any, the peer is
    /// probably in the middle of sending, and is listened to until it ends or a short time is over.
    pub(super) fn finish_close(self: &Rc<Self>, key: Key) {
        if self.ask(key, |connection| connection.is_filtered()) && !self.part_with_filters(key) {
            return;
        }
        let over = Flags::EOF | Flags::KEEPS_INPUT;
        let ended = self.inspect(key, |connection| connection.flags.any(over)).unwrap_or(true);
        let mut left = if ended { Left::End } else { self.drop_input(key) };
        if matches!(left, Left::Nothing) && self.ask(key, |connection| connection.awaits_answer()) {
            left = Left::Bytes;
        }
        match left {
            Left::Nothing | Left::End => self.lose_as_closed(key),
            Left::Bytes => {
                let shut = self.ask(key, |connection| {
                    connection.flags.set(Flags::LINGERING);
                    connection.flags.raise(Flags::SHUT)
                });
                let timeout = self.inspect(key, |connection| connection.close_timeout().min(LINGER));
                self.set_connection_timer(key, timeout.unwrap_or(LINGER));
                if shut {
                    self.shut_below(key);
                }
            }
        }
    }

    pub(super) fn linger(self: &Rc<Self>, key: Key) {
        if matches!(self.drop_input(key), Left::End) {
            self.lose_as_closed(key);
        }
    }

    fn drop_input(self: &Rc<Self>, key: Key) -> Left {
        let mut left = Left::Nothing;
        for _ in 0..LINGER_PULLS {
            let received = self.backend().receive(key, None);
            match received {
                Received::Chunk(chunk) => self.release(chunk),
                Received::Dry => return left,
                Received::Filled(_) => {}
                Received::Eof | Received::Failed(_) => return Left::End,
            }
            left = Left::Bytes;
        }
        // There is still more; the next turn goes on.
        let list = self.ask(key, |connection| {
            connection.flags.set(Flags::INPUT);
            connection.wants_list()
        });
        if list {
            self.list(key);
        }
        left
    }

    // The deadline of closing.

    pub(crate) fn set_close_timeout(self: &Rc<Self>, key: Key, timeout: Duration) {
        let running = self.ask(key, |connection| {
            connection.set_close_timeout(timeout);
            connection.has_timer()
        });
        if running {
            self.arm_close_timer(key);
        }
    }

    pub(super) fn arm_close_timer(self: &Rc<Self>, key: Key) {
        if let Some(timeout) = self.inspect(key, Connection::close_timeout) {
            self.set_connection_timer(key, timeout);
        }
    }

    /// Something moved: the deadline is one of inactivity.
    pub(super) fn extend_close_timer(self: &Rc<Self>, key: Key) {
        if self.ask(key, |connection| connection.has_timer()) {
            self.arm_close_timer(key);
        }
    }

    fn set_connection_timer(self: &Rc<Self>, key: Key, timeout: Duration) {
        if let Some(Some(timer)) = self.alter(key, |connection| connection.rare().timer) {
            self.reset_timer(timer, self.now() + timeout);
            return;
        }
        let shell = Rc::clone(self);
        let timer = self.timer_after(timeout, move || shell.close_expired(key));
        self.alter(key, |connection| connection.rare().timer = Some(timer));
    }

    fn close_expired(self: &Rc<Self>, key: Key) {
        let ends_anyway = self.alter(key, |connection| {
            connection.rare().timer = None;
            connection.flags.any(Flags::LINGERING) || connection.has_failed()
        });
        match ends_anyway {
            Some(true) => self.lose_as_closed(key),
            Some(false) => self.lose(key, Reason::Timeout, Close::Reset),
            None => {}
        }
    }

    /// Tells every connection that the loop ends.
    pub(crate) fn lose_all(self: &Rc<Self>) {
        for key in self.slot_keys() {
            self.lose(key, Reason::Shutdown, Close::Orderly);
            self.shut_datagrams_down(key);
        }
    }
}

impl Connection {
    pub(super) fn is_lingering(&self) -> bool {
        self.flags.any(Flags::LINGERING) && !self.flags.any(Flags::LOST)
    }

    pub(super) fn has_timer(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.timer.is_some())
    }

    /// A send that was under way at the end won after all, at least in part.
    pub(super) fn correct_unsent(&mut self, lent: usize, left: usize) {
        if let Some(lost) = &mut self.rare().lost {
            lost.set_unsent((lost.unsent() + left).saturating_sub(lent));
        }
    }
}
