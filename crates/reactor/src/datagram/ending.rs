//! How a datagram socket ends: in good order, or at once.

use std::rc::Rc;
use std::time::Duration;

use super::DatagramTransport;
use crate::backend::{Close, Started};
use crate::key::Key;
use crate::lost::{Lost, Reason};
use crate::reactor::{Shell, Slot};

impl Shell {
    pub(crate) fn close_datagrams(self: &Rc<Self>, key: Key) {
        let list = self.ask_port(key, |port| {
            let begins = !port.is_closing();
            port.state.closing = true;
            port.kept = None;
            begins && !std::mem::replace(&mut port.state.dirty, true)
        });
        if list {
            self.flush_later(key);
        }
    }

    /// After a flush: a socket that closes is done when nothing waits any more.
    pub(super) fn go_on_closing_datagrams(self: &Rc<Self>, key: Key) {
        let step = self.port(key, |port| {
            let closes = port.state.closing && !port.state.lost;
            (closes && port.queue.is_none(), closes && port.timer.is_none())
        });
        match step {
            Some((true, _)) => self.lose_datagrams(key, Reason::Clean),
            Some((false, true)) => self.arm_datagram_timer(key),
            _ => {}
        }
    }

    /// The end is certain. The backend closes; the protocol is told from the ready queue.
    pub(crate) fn lose_datagrams(self: &Rc<Self>, key: Key, reason: Reason) {
        let ended = self.port(key, |port| {
            if std::mem::replace(&mut port.state.lost, true) {
                return None;
            }
            port.kept = None;
            port.lost = Some(Lost::new(reason, port.queue.as_ref().map_or(0, |queue| queue.bytes())));
            Some((port.timer.take(), port.queue.take()))
        });
        let Some((timer, queue)) = ended.flatten() else { return };
        if let Some(timer) = timer {
            self.cancel_timer(timer);
        }
        queue.into_iter().for_each(|queue| self.datagram_spares.give_back(queue));
        let started = self.backend().close(key, Close::Orderly);
        if matches!(started, Started::Done(())) {
            self.datagrams_closed(key);
        }
    }

    /// The backend has closed it.
    pub(crate) fn datagrams_closed(self: &Rc<Self>, key: Key) {
        self.port(key, |port| port.state.closed = true);
        self.visit_later(key);
    }

    pub(super) fn tell_lost(self: &Rc<Self>, key: Key) {
        let lost = self.port(key, |port| port.lost.take()).flatten();
        let lost = lost.unwrap_or_else(|| Lost::new(Reason::Clean, 0));
        self.call_port(key, |protocol, transport: &DatagramTransport| {
            protocol.connection_lost(transport, &lost);
        });
        if let Some(Slot::Datagram(port)) = self.remove_slot(key) {
            let (protocol, factory) = port.into_parts();
            self.contained(move || drop(protocol));
            self.contained(move || drop(factory));
        }
    }

    // The deadline of closing, which is one of inactivity.

    fn arm_datagram_timer(self: &Rc<Self>, key: Key) {
        let Some(timeout) = self.port(key, |port| port.close_timeout) else { return };
        let shell = Rc::clone(self);
        let timer = self.timer_after(timeout, move || {
            shell.port(key, |port| port.timer = None);
            shell.lose_datagrams(key, Reason::Timeout);
        });
        self.port(key, |port| port.timer = Some(timer));
    }

    pub(super) fn extend_datagram_timer(self: &Rc<Self>, key: Key) {
        let running = self.port(key, |port| port.timer.map(|timer| (timer, port.close_timeout))).flatten();
        if let Some((timer, timeout)) = running {
            let timeout: Duration = timeout;
            self.reset_timer(timer, self.now() + timeout);
        }
    }

    /// Tells a socket that the loop ends.
    pub(crate) fn shut_datagrams_down(self: &Rc<Self>, key: Key) {
        self.lose_datagrams(key, Reason::Shutdown);
    }
}
