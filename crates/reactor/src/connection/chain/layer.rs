//! One filter, and what it was left with.

use crate::backend::Outgoing;
use crate::filter::{Bits, Down, Filter, FilterError, Flow, State};
use crate::timer::queue::TimerId;

pub(crate) struct Layer {
    pub(super) filter: Box<dyn Filter>,
    pub(super) state: State,
    /// Bytes that came from below and that it left.
    input: Vec<u8>,
    /// What it failed with when it had output, which comes first.
    pub(super) failure: Option<FilterError>,
    /// What it sent and the layers below have not taken.
    pub(super) held: Vec<u8>,
    /// How many bytes that were written before it came have not gone the old way.
    pub(super) before: usize,
    /// Its number in the chain, which is not used again.
    pub(super) number: u32,
    pub(super) timer: Option<TimerId>,
}

impl Layer {
    pub(super) fn new(number: u32, filter: Box<dyn Filter>, before: usize) -> Self {
        let (input, held) = (Vec::new(), Vec::new());
        Self { filter, state: State::default(), input, failure: None, held, before, number, timer: None }
    }

    /// What the loop shall do for it.
    pub(crate) fn wishes(&mut self) -> (&mut State, &mut Option<TimerId>, u32) {
        (&mut self.state, &mut self.timer, self.number)
    }

    pub(super) fn has(&self, bits: Bits) -> bool {
        self.state.bits.has(bits)
    }

    pub(super) fn input(&self) -> &[u8] {
        &self.input
    }

    /// Whether it may have output without further bytes. Input that it left although there was room does not count.
    pub(super) fn has_more(&self) -> bool {
        self.has(Bits::MORE)
    }

    /// Puts bytes behind those that it left.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.state.bits |= Bits::MORE;
    }

    pub(super) fn put_in_front(&mut self, mut bytes: Vec<u8>) {
        if !bytes.is_empty() {
            bytes.extend_from_slice(self.input());
            self.input = bytes;
            self.state.bits |= Bits::MORE;
        }
    }

    pub(super) fn take_input(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.input)
    }

    /// So many bytes of what it sent were taken. Memory that is no longer needed is given back.
    pub(super) fn take_off_held(&mut self, count: usize) {
        self.held.drain(..count.min(self.held.len()));
        if self.held.is_empty() {
            self.held = Vec::new();
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.has(Bits::FINISHED) && self.held.is_empty() && self.before == 0
    }

    /// Whether it takes bytes from above.
    pub(super) fn takes_bytes(&self) -> bool {
        self.before == 0 && self.has(Bits::ESTABLISHED)
    }

    /// Calls its filter. What that sends goes to `wire` if there is nothing between them.
    pub(super) fn call<R>(
        &mut self,
        wire: Option<&mut Outgoing>,
        call: impl FnOnce(&mut dyn Filter, &mut Flow<'_>) -> R,
    ) -> R {
        let down = match wire {
            Some(wire) if self.before == 0 && self.held.is_empty() => Down::Wire(wire),
            _ => Down::Layer(&mut self.held),
        };
        call(&mut *self.filter, &mut Flow::new(down, &mut self.state))
    }
}
