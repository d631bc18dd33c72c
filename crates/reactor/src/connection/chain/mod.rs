//! The filters of a connection, one upon the other, as far as they need no loop.
//!
//! ```text
//!   protocol   writes -> Connection::outgoing        Output -> protocol
//!                              | outbound                 ^ inbound
//!   layers[n - 1]              v                          |
//!   layers[0]                  v                          ^
//!                            wire -> backend          backend
//! ```
//!
//! * `layer`: one filter, and what it was left with.
//! * `inbound`: from the backend up to the protocol.
//! * `outbound`: from the protocol down to the wire.

mod inbound;
mod layer;
mod outbound;

use std::io::IoSlice;

use crate::backend::{Chunk, Outgoing, Received};
use crate::filter::{Bits, Filter, FilterError};
pub(crate) use inbound::Filled;
pub(crate) use layer::Layer;

/// Where the bytes come from.
pub(crate) trait Source {
    fn receive(&mut self) -> Received;
    fn release(&mut self, chunk: Chunk);
    /// Sends what the system takes at once of what goes out next: how many bytes, maybe none.
    fn send_now(&self, parts: &[IoSlice<'_>]) -> usize;
}

/// How far the end of our direction is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shut {
    #[default]
    No,
    /// The filters were told. When the wire is empty, the connection's own direction ends, or stays as it is.
    Told {
        below: bool,
    },
    Done {
        below: bool,
    },
}

/// The filters of a connection, the lowest first.
#[derive(Default)]
pub(crate) struct Chain {
    layers: Vec<Layer>,
    /// What goes out, as it is.
    wire: Option<Box<Outgoing>>,
    /// A send was under way when the first filter came, of bytes that no filter has seen.
    pub(crate) has_lent_plain: bool,
    pub(crate) shut: Shut,
    /// The peer's direction of the connection itself ended: the source has nothing more.
    pub(crate) source_ended: bool,
    /// A filter said goodbye, and its peer's answer was not waited for.
    pub(crate) answer_is_due: bool,
    /// Whoever is above was told that the peer's direction ended.
    told_end: bool,
    /// The number of the next layer.
    next: u32,
}

/// How far the leave-taking of the filters is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Some filter waits for the peer, maybe one that was only now told to close.
    Waits {
        is_new: bool,
    },
    Done,
}

impl Chain {
    /// Puts a filter on top, which begins when so many bytes that are written already have gone the old way.
    pub(crate) fn push(&mut self, filter: Box<dyn Filter>, before: usize) {
        // There are one or two at most, and they stay as long as the connection does.
        self.layers.reserve_exact(1);
        self.layers.push(Layer::new(self.next, filter, before));
        self.next = self.next.wrapping_add(1);
        self.told_end = false;
    }

    /// Puts the filters of another chain on top, of which none has begun.
    pub(crate) fn append(&mut self, other: Self) {
        for layer in other.layers {
            self.push(layer.filter, layer.before);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Whether every filter lets bytes of the protocol's through.
    pub(crate) fn is_established(&self) -> bool {
        self.layers.iter().all(|layer| layer.has(Bits::ESTABLISHED))
    }

    /// Whether a filter may have something for the protocol without further bytes. What is below a filter that was told of the
    /// end is of no interest to anybody.
    pub(crate) fn has_more(&self) -> bool {
        if self.told_end {
            return false;
        }
        for layer in self.layers.iter().rev() {
            if layer.has_more() || layer.has(Bits::ENDED) {
                return true;
            }
            if layer.has(Bits::ENDED_BELOW) {
                return false;
            }
        }
        self.source_ended && !self.layers.is_empty()
    }

    /// Whether a filter sent bytes that the one below it has not taken.
    pub(crate) fn has_held(&self) -> bool {
        self.layers.iter().any(|layer| !layer.held.is_empty())
    }

    /// Where what goes out is put, and taken from.
    pub(crate) fn wire(&mut self) -> &mut Option<Box<Outgoing>> {
        &mut self.wire
    }

    pub(crate) fn has_wire(&self) -> bool {
        self.wire_len() > 0
    }

    pub(crate) fn wire_len(&self) -> usize {
        self.wire.as_ref().map_or(0, |wire| wire.len())
    }

    pub(crate) fn needs_start(&self) -> bool {
        self.layers.iter().any(|layer| !layer.has(Bits::STARTED))
    }

    /// Starts the filters that are new. The lowest of them begins with `unread`.
    pub(crate) fn start(&mut self, unread: &[u8]) -> Result<(), FilterError> {
        let mut unread = Some(unread).filter(|unread| !unread.is_empty());
        for index in 0..self.layers.len() {
            if self.layers[index].state.bits.raise(Bits::STARTED) {
                if let Some(unread) = unread.take() {
                    self.layers[index].keep(unread);
                }
                self.call(index, |filter, flow| filter.start(flow))?;
            }
        }
        Ok(())
    }

    /// Tells the filter of that number that its deadline has passed.
    pub(crate) fn deadline(&mut self, number: u32) -> Result<(), FilterError> {
        match self.layers.iter().position(|layer| layer.number == number) {
            Some(index) => {
                self.layers[index].timer = None;
                self.call(index, |filter, flow| filter.deadline(flow))
            }
            None => Ok(()),
        }
    }

    /// Lets the filters take their leave, from the top down. Called again until it is done.
    pub(crate) fn close(&mut self) -> Result<Leave, FilterError> {
        let mut is_new = false;
        for index in (0..self.layers.len()).rev() {
            let is_open = !self.layers[index].has_any(GONE);
            if is_open && self.layers[index].state.bits.raise(Bits::TOLD_CLOSE) {
                is_new = true;
                self.call(index, |filter, flow| filter.close(flow))?;
            }
            let layer = &self.layers[index];
            if !layer.has_any(GONE) || index > 0 && !layer.held.is_empty() {
                return Ok(Leave::Waits { is_new });
            }
        }
        Ok(Leave::Done)
    }

    /// Lets the filters that stand say goodbye, and waits for no answer: those above them have failed, or never stood.
    pub(crate) fn leave_at_once(&mut self) {
        for index in (0..self.layers.len()).rev() {
            let layer = &mut self.layers[index];
            let stands = layer.has(Bits::ESTABLISHED) && !layer.has_any(GONE);
            if stands && layer.state.bits.raise(Bits::TOLD_CLOSE) {
                self.answer_is_due = true;
                // Why it cannot is no news: the connection ends for another reason.
                drop(self.call(index, |filter, flow| filter.close(flow)));
            }
            self.layers[index].state.bits |= Bits::CLOSED;
        }
    }

    /// Nothing can come any more: no filter waits for the peer.
    pub(crate) fn give_up(&mut self) {
        self.source_ended = true;
        self.layers.iter_mut().for_each(|layer| layer.state.bits |= Bits::CLOSED);
    }

    /// Ends our direction, from the top down, as far as the filters let it. Called again when that [may go
    /// on](Self::may_shut_further).
    pub(crate) fn end_outbound(&mut self) -> Result<(), FilterError> {
        self.shut = Shut::Told { below: false };
        for index in (0..self.layers.len()).rev() {
            if !self.layers[index].is_finished() && self.layers[index].state.bits.raise(Bits::TOLD_END) {
                self.call(index, |filter, flow| filter.outbound_end(flow))?;
            }
            let layer = &self.layers[index];
            if !layer.has_any(SHUT) || index > 0 && !layer.held.is_empty() {
                return Ok(());
            }
        }
        self.shut = Shut::Told { below: true };
        Ok(())
    }

    /// Whether the end of our direction stopped at a filter that lets it pass by now.
    pub(crate) fn may_shut_further(&self) -> bool {
        if !matches!(self.shut, Shut::Told { below: false } | Shut::Done { below: false }) {
            return false;
        }
        let stops = self.layers.iter().rev().find(|layer| !layer.held.is_empty() || !layer.has_any(SHUT));
        stops.is_none_or(|layer| layer.held.is_empty() && !layer.has(Bits::TOLD_END))
    }

    /// Whether the end of our direction has yet to reach the connection itself, or is to stay above.
    pub(crate) fn is_shutting(&self) -> bool {
        !matches!(self.shut, Shut::No | Shut::Done { below: true })
    }

    /// Whether the filters were told that our direction ended, and nothing has come of it.
    pub(crate) fn has_told_end(&self) -> bool {
        matches!(self.shut, Shut::Told { .. })
    }

    /// Every layer, for what the loop does about its wishes.
    pub(crate) fn layers(&mut self) -> impl Iterator<Item = &mut Layer> {
        self.layers.iter_mut()
    }

    /// Takes filters out that have nothing more to do. What they left goes to the layer above; if there is none, it is answered.
    pub(crate) fn take_finished(&mut self) -> (Vec<Layer>, Vec<u8>) {
        let (mut gone, mut left) = (Vec::new(), Vec::new());
        let mut index = 0;
        while index < self.layers.len() {
            if !self.layers[index].is_over() {
                index += 1;
                continue;
            }
            let mut layer = self.layers.remove(index);
            // The neighbours meet: who is above gets what is left, and then the end, if that was told.
            if layer.has_any(&[Bits::ENDED, Bits::ENDED_BELOW]) {
                match index.checked_sub(1) {
                    Some(below) => self.layers[below].state.bits |= Bits::ENDED,
                    None => self.source_ended = true,
                }
            }
            let (mut rest, start) = layer.take_input();
            rest.drain(..start);
            match self.layers.get_mut(index) {
                Some(above) => above.put_in_front(rest),
                None => left = rest,
            }
            gone.push(layer);
        }
        (gone, left)
    }

    /// With no filter left, whether the end of the peer's direction was meant for whoever is above, who was not told.
    pub(crate) fn take_end(&mut self) -> bool {
        let untold = self.layers.is_empty() && self.source_ended && !self.told_end;
        self.told_end |= untold;
        untold
    }

    /// Takes it apart: what is dropped by the loop, and what has not gone out.
    pub(crate) fn into_parts(self) -> (Vec<Layer>, Option<Box<Outgoing>>) {
        (self.layers, self.wire)
    }
}

/// A filter that is one of these takes no leave, any more.
const GONE: &[Bits] = &[Bits::CLOSED, Bits::FAILED, Bits::FINISHED];
/// The end of our direction passes a filter that is one of these.
const SHUT: &[Bits] = &[Bits::SHUT, Bits::FINISHED];
