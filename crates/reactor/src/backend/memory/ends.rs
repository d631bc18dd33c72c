//! What happens at the ends of connections: bytes, ends, resets.

use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::OwnedFd;

use super::state::{End, Id, Phase, State};
use crate::backend::{Close, Completion, Outgoing, Sent, Started};

/// How many segments one send takes: kernels have such a limit too (`IOV_MAX`, 1 024 on Linux).
const PARTS: usize = 64;

/// What a receive finds.
pub(super) enum Look {
    /// It may take so many bytes.
    Bytes(usize),
    Eof,
    Dry,
    Failed(io::Error),
}

impl State {
    /// Sends what there is room for. With no room at all the send waits, and the receiver's next pull answers it.
    pub(super) fn send(&mut self, id: Id, mut outgoing: Box<Outgoing>) -> Started<Sent> {
        let result = match self.room(id) {
            Ok(0) => {
                if let Some(end) = self.ends.get_mut(id) {
                    end.sending = Some(outgoing);
                }
                return Started::Pending;
            }
            Ok(room) => Ok(self.send_some(id, &mut outgoing, room)),
            Err(error) => Err(error),
        };
        let sent = Sent { outgoing, result };
        if sent.result.is_ok() && self.chunking.answers_later(&self.choices) {
            self.answer_send(id, sent);
            return Started::Pending;
        }
        Started::Done(sent)
    }

    fn answer_send(&mut self, id: Id, sent: Sent) {
        if let Some(owner) = self.ends.get(id).map(|end| end.owner) {
            self.tell(owner, |key| Completion::Sent(key, sent));
        }
    }

    fn send_some(&mut self, id: Id, outgoing: &mut Outgoing, room: usize) -> usize {
        let offered = outgoing.len_of_parts(PARTS);
        let count = self.chunking.sent(offered.min(room), &self.choices);
        let descriptors = outgoing.take_descriptors(count);
        self.pass(id, descriptors);
        let mut parts = [IoSlice::new(&[]); PARTS];
        let filled = outgoing.fill(&mut parts);
        self.deliver(id, &parts[..filled], count);
        count
    }

    /// How many bytes this end may send now.
    pub(super) fn room(&mut self, id: Id) -> io::Result<usize> {
        let Some(end) = self.ends.get_mut(id) else {
            return Err(ErrorKind::NotConnected.into());
        };
        match &mut end.phase {
            Phase::Broken { told: told @ false } => {
                *told = true;
                return Err(ErrorKind::ConnectionReset.into());
            }
            Phase::Broken { .. } => return Err(ErrorKind::BrokenPipe.into()),
            Phase::Connecting(_) | Phase::Refused => return Err(ErrorKind::NotConnected.into()),
            Phase::Open if end.finished => return Err(ErrorKind::BrokenPipe.into()),
            Phase::Open => {}
        }
        let other = end.other.and_then(|other| self.ends.get(other));
        let full = other.map_or(0, |other| other.incoming.len());
        Ok(self.capacity.saturating_sub(full))
    }

    /// Brings descriptors to the other end, each before one of the bytes that are about to come there.
    pub(super) fn pass(&mut self, from: Id, descriptors: Vec<(usize, OwnedFd)>) {
        let other = self.ends.get(from).and_then(|end| end.other);
        let Some(end) = other.and_then(|other| self.ends.get_mut(other)) else { return };
        descriptors.into_iter().for_each(|(ahead, descriptor)| end.incoming.pass(ahead, descriptor));
    }

    /// Brings bytes to the other end. Where that is closed already, they are taken all the same, and the answer to
    /// them is a reset (RFC 9293, 3.10.7.1).
    pub(super) fn deliver(&mut self, from: Id, parts: &[IoSlice<'_>], count: usize) {
        let other = self.ends.get(from).and_then(|end| end.other);
        let Some((other, end)) = other.and_then(|other| Some((other, self.ends.get_mut(other)?))) else {
            self.break_off(from);
            return;
        };
        end.incoming.write(parts, count);
        end.drained = false;
        self.raise(other, false);
    }

    /// What a receive into memory for `limit` bytes finds, as far as the chunking lets it see.
    pub(super) fn look(&mut self, id: Id, limit: usize) -> Look {
        let Some(end) = self.ends.get_mut(id) else {
            return Look::Failed(ErrorKind::NotConnected.into());
        };
        if end.is_broken() {
            return Look::Failed(ErrorKind::ConnectionReset.into());
        }
        match self.chunking.received(&end.incoming, limit, &self.choices) {
            0 if end.incoming.is_ended() => Look::Eof,
            0 => {
                end.notice.armed = true;
                end.drained = true;
                Look::Dry
            }
            count => Look::Bytes(count),
        }
    }

    /// Takes bytes that [`look`](Self::look) found.
    pub(super) fn take(&mut self, id: Id, into: &mut [u8]) {
        let Some(end) = self.ends.get_mut(id) else { return };
        let descriptors = end.incoming.take(into);
        if end.carries_descriptors || !end.owner.is_backend() {
            end.descriptors.extend(descriptors);
        }
        end.drained = end.incoming.is_empty() && !end.incoming.is_ended();
        if let Some(writer) = end.other {
            self.resume(writer);
        }
    }

    /// Goes on with a send that waited for room.
    pub(super) fn resume(&mut self, id: Id) {
        let waits = self.ends.get(id).is_some_and(|end| end.sending.is_some());
        let room = if waits { self.room(id).unwrap_or(0) } else { 0 };
        if room == 0 {
            return;
        }
        let sending = self.ends.get_mut(id).and_then(|end| end.sending.take());
        if let Some(mut outgoing) = sending {
            let result = Ok(self.send_some(id, &mut outgoing, room));
            self.answer_send(id, Sent { outgoing, result });
        }
    }

    /// Ends this end's direction.
    pub(super) fn finish(&mut self, id: Id) -> io::Result<()> {
        let end = self.ends.get_mut(id).filter(|end| end.phase == Phase::Open);
        let Some(end) = end else {
            return Err(ErrorKind::NotConnected.into());
        };
        if !end.finished {
            end.finished = true;
            let other = end.other;
            self.arrive_end(other);
        }
        Ok(())
    }

    /// The end of the peer's direction arrives.
    fn arrive_end(&mut self, at: Option<Id>) {
        let Some((id, end)) = at.and_then(|id| Some((id, self.ends.get_mut(id)?))) else {
            return;
        };
        end.incoming.end();
        end.drained = false;
        self.raise(id, false);
        self.tell_watcher(id);
    }

    /// Takes an end away, as the close of a socket does: with bytes that nobody received, the peer sees a reset
    /// (RFC 2525, 2.17); otherwise it sees an end after all that was sent.
    pub(super) fn remove_end(&mut self, id: Id, how: Close) -> Option<End> {
        let end = self.ends.remove(id)?;
        if end.owner.is_backend() {
            self.sockets -= 1;
        }
        if let Phase::Connecting(Some(listener)) = end.phase {
            if let Some(listener) = self.listeners.get_mut(listener) {
                listener.queue.retain(|queued| *queued != id);
            }
        }
        let Some(other) = end.other else { return Some(end) };
        if self.ends.get(other).is_some_and(|other| other.ends_alone && other.incoming.is_ended()) {
            // Nobody reads the pipe any more.
            self.break_off(other);
        } else if self.ends.get(other).is_some_and(|other| other.ends_alone) {
            // Nobody writes into the pipe any more; what was written can still be read.
            if let Some(other) = self.ends.get_mut(other) {
                other.other = None;
            }
            self.arrive_end(Some(other));
        } else if how == Close::Orderly && end.incoming.is_empty() {
            if let Some(other) = self.ends.get_mut(other) {
                other.other = None;
            }
            if !end.finished {
                self.arrive_end(Some(other));
            }
        } else {
            self.break_off(other);
        }
        Some(end)
    }

    /// A reset arrives at an end: what was under way in either direction is lost.
    pub(super) fn break_off(&mut self, id: Id) {
        let Some(end) = self.ends.get_mut(id) else { return };
        let sending = end.sending.take();
        let told = sending.is_some();
        end.phase = Phase::Broken { told };
        end.other = None;
        end.incoming.clear();
        end.drained = false;
        if let Some(outgoing) = sending {
            let result = Err(ErrorKind::ConnectionReset.into());
            self.answer_send(id, Sent { outgoing, result });
        }
        self.raise(id, true);
        self.tell_watcher(id);
    }

    /// Announces that there is something to receive.
    pub(super) fn raise(&mut self, id: Id, anyway: bool) {
        let Some(end) = self.ends.get_mut(id) else { return };
        let owner = end.owner;
        if owner.is_backend() && end.notice.raise(anyway) {
            self.tell(owner, Completion::Input);
        }
    }

    /// Announces the peer's end once, if that was asked for and has come.
    pub(super) fn tell_watcher(&mut self, id: Id) {
        let Some(end) = self.ends.get_mut(id) else { return };
        let reset = end.is_broken();
        if end.watched && (reset || end.incoming.is_ended()) {
            end.watched = false;
            let owner = end.owner;
            self.tell(owner, |key| Completion::PeerClosed { key, reset });
        }
    }
}
