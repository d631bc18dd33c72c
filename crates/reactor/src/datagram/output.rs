//! Datagrams out, and their flow control.

use std::rc::Rc;
use std::time::Duration;

use super::open::are_of_one_kind;
use super::{Port, SendError};
use crate::address::Address;
use crate::backend::datagram::BATCH;
use crate::backend::{DatagramQueue, Room, SentDatagrams};
use crate::error::WatermarkError;
use crate::key::Key;
use crate::reactor::Shell;
use crate::transport::WriteStatus;

/// How long to wait before a send is tried again that the system had no room for, where nothing tells of room: for the first time,
const RETRY: Duration = Duration::from_millis(1);
/// and how often that is doubled while nothing moves.
const DOUBLINGS: u8 = 4;

/// How many calls one flush makes at most. The next turn goes on.
const CALLS: usize = 16;

impl Shell {
    pub(crate) fn send_datagram(
        self: &Rc<Self>,
        key: Key,
        bytes: &[u8],
        target: Option<&Address>,
    ) -> Result<WriteStatus, SendError> {
        let is_ended = self.is_ended();
        let queued = self.port(key, |port| {
            if is_ended {
                return Err(SendError::Closed);
            }
            port.check(bytes.len(), target)?;
            let queue = port.queue.get_or_insert_with(|| self.datagram_spares.take());
            // A target that was checked is the peer of a connected socket, which needs no name.
            queue.push(bytes, target.filter(|_| port.peer.is_none()));
            let is_batch = queue.len() % BATCH == 0;
            Ok((is_batch, !std::mem::replace(&mut port.state.dirty, true)))
        });
        let (is_batch, list) = queued.unwrap_or(Err(SendError::Closed))?;
        if list {
            self.flush_later(key);
        }
        if is_batch {
            // Waiting for more would not make it cheaper.
            self.flush_datagrams(key);
        }
        let is_over = self.ask_port(key, |port| port.buffered() > port.high);
        Ok(if is_over { WriteStatus::OverHigh } else { WriteStatus::Ok })
    }

    /// Flushes a socket that was listed for it.
    pub(crate) fn flush_listed_datagrams(self: &Rc<Self>, key: Key) {
        self.port(key, |port| port.state.dirty = false);
        self.flush_datagrams(key);
    }

    /// The backend has room again.
    pub(crate) fn datagrams_have_room(self: &Rc<Self>, key: Key) {
        self.port(key, |port| port.state.blocked = false);
        self.flush_datagrams(key);
    }

    /// Sends what waits, as far as the system takes it.
    pub(super) fn flush_datagrams(self: &Rc<Self>, key: Key) {
        for _ in 0..CALLS {
            let Some(queue) = self.port(key, Port::lend).flatten() else { break };
            let sent = match self.backend().datagrams() {
                Some(backend) => backend.send_datagrams(key, &queue),
                None => SentDatagrams { done: queue.len(), error: None, room: Room::Some },
            };
            self.stats().sent();
            self.datagrams_sent(key, queue, sent);
        }
        self.after_datagram_flush(key);
    }

    fn datagrams_sent(self: &Rc<Self>, key: Key, mut queue: Box<DatagramQueue>, sent: SentDatagrams) {
        queue.pop(sent.done);
        let mut queue = Some(queue);
        let mut pause = RETRY;
        let retry = self.ask_port(key, |port| {
            port.queue = queue.take_if(|queue| !queue.is_empty());
            port.state.blocked = sent.room == Room::None;
            port.state.retrying = sent.room == Room::Unknown;
            pause = RETRY * (1 << port.retries);
            port.retries = if port.state.retrying { (port.retries + 1).min(DOUBLINGS) } else { 0 };
            port.state.retrying
        });
        // It is empty, or nobody's any more.
        queue.into_iter().for_each(|queue| self.datagram_spares.give_back(queue));
        if let Some(error) = sent.error {
            self.note_error(key, error);
        }
        if retry {
            let shell = Rc::clone(self);
            self.timer_after(pause, move || {
                shell.port(key, |port| port.state.retrying = false);
                shell.flush_datagrams(key);
            });
        }
        if sent.done > 0 {
            self.extend_datagram_timer(key);
        }
    }

    fn after_datagram_flush(self: &Rc<Self>, key: Key) {
        let (mut flow, mut list) = (false, false);
        self.port(key, |port| {
            let waits =
                port.queue.is_some() && !(port.state.blocked || port.state.retrying || port.state.lost);
            list = waits && !std::mem::replace(&mut port.state.dirty, true);
            flow = port.flow_due().is_some() && !port.state.lost;
        });
        if list {
            self.flush_later(key);
        }
        if flow {
            self.visit_later(key);
        }
        self.go_on_closing_datagrams(key);
    }

    pub(super) fn tell_flow(self: &Rc<Self>, key: Key) {
        let due = self.port(key, |port| {
            let due = port.flow_due().filter(|_| !port.state.lost)?;
            port.state.told_pause = due;
            Some(due)
        });
        if let Some(pause) = due.flatten() {
            self.call_port(key, |protocol, transport| {
                if pause { protocol.pause_writing(transport) } else { protocol.resume_writing(transport) }
            });
        }
    }

    pub(crate) fn set_datagram_watermarks(
        self: &Rc<Self>,
        key: Key,
        low: usize,
        high: usize,
    ) -> Result<(), WatermarkError> {
        if low > high {
            return Err(WatermarkError { low, high });
        }
        let flow = self.ask_port(key, |port| {
            (port.low, port.high) = (low, high);
            port.flow_due().is_some()
        });
        if flow {
            self.visit_later(key);
        }
        Ok(())
    }
}

impl Port {
    /// Whether a datagram can be accepted.
    fn check(&self, size: usize, target: Option<&Address>) -> Result<(), SendError> {
        if self.is_closing() {
            return Err(SendError::Closed);
        }
        match (target, &self.peer) {
            (Some(target), _) if !are_of_one_kind(&self.local, target) => {
                Err(SendError::WrongFamily { target: target.clone(), local: self.local.clone() })
            }
            (Some(target), Some(peer)) if target != peer => {
                Err(SendError::OtherTarget { target: target.clone(), peer: peer.clone() })
            }
            (None, None) => Err(SendError::NoTarget),
            (Some(Address::Unix(target)), None) if target.is_unnamed() => Err(SendError::NoTarget),
            _ if size > self.largest => Err(SendError::TooLarge { size, limit: self.largest }),
            _ if self.queue.is_some() && self.buffered() + DatagramQueue::cost(size) > self.limit => {
                Err(SendError::Full { limit: self.limit })
            }
            _ => Ok(()),
        }
    }

    /// What can be sent now.
    fn lend(&mut self) -> Option<Box<DatagramQueue>> {
        if self.state.blocked || self.state.retrying || self.state.lost { None } else { self.queue.take() }
    }
}
