//! One filter, and what it was left with.

use crate::filter::{Bits, Down, Filter, FilterError, Flow, State};
use crate::timer::queue::TimerId;

pub(crate) struct Layer {
    pub(super) filter: Box<dyn Filter>,
    pub(super) state: State,
    /// Bytes that came from below, of which those from `start` on are what it left.
    input: Vec<u8>,
    start: usize,
    /// What it sent and the layers below have not taken.
    pub(super) held: Vec<u8>,
    /// How many bytes that were written before it came have not gone the old way.
    pub(super) before: usize,
    /// Its number in the chain, which is not used again.
    pub(super) number: u32,
    pub(super) timer: Option<TimerId>,
    /// What it failed with, behind output that is delivered first.
    pub(super) failure: Option<FilterError>,
}

impl Layer {
    pub(super) fn new(number: u32, filter: Box<dyn Filter>, before: usize) -> Self {
        Self {
            filter,
            state: State::default(),
            input: Vec::new(),
            start: 0,
            held: Vec::new(),
            before,
            number,
            timer: None,
            failure: None,
        }
    }

    /// What the loop shall do for it.
    pub(crate) fn wishes(&mut self) -> (&mut State, &mut Option<TimerId>, u32) {
        (&mut self.state, &mut self.timer, self.number)
    }

    pub(super) fn has(&self, bits: Bits) -> bool {
        self.state.bits.has(bits)
    }

    pub(super) fn has_any(&self, bits: &[Bits]) -> bool {
        self.state.bits.has_any(bits)
    }

    pub(super) fn input(&self) -> &[u8] {
        &self.input[self.start..]
    }

    /// Whether it may have output without further bytes. Input that it left although there was room does not count.
    pub(super) fn has_more(&self) -> bool {
        self.has(Bits::MORE)
    }

    /// Puts bytes behind those that it left.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        self.input.drain(..self.start);
        self.start = 0;
        self.input.extend_from_slice(bytes);
        self.state.bits |= Bits::MORE;
    }

    pub(super) fn put_in_front(&mut self, mut bytes: Vec<u8>) {
        if !bytes.is_empty() {
            bytes.extend_from_slice(self.input());
            (self.input, self.start) = (bytes, 0);
            self.state.bits |= Bits::MORE;
        }
    }

    /// Takes out what it left, with the place where that begins.
    pub(super) fn take_input(&mut self) -> (Vec<u8>, usize) {
        (std::mem::take(&mut self.input), std::mem::take(&mut self.start))
    }

    /// What it left this time. Memory that is no longer needed is given back.
    pub(super) fn put_input(&mut self, input: Vec<u8>, start: usize) {
        if start < input.len() {
            (self.input, self.start) = (input, start);
        }
    }

    /// So many bytes of what it sent were taken. Memory that is no longer needed is given back.
    pub(super) fn take_off_held(&mut self, count: usize) {
        self.held.drain(..count.min(self.held.len()));
        if self.held.is_empty() {
            self.held = Vec::new();
        }
    }

    /// Whether it can be taken out.
    pub(super) fn is_over(&self) -> bool {
        self.has(Bits::FINISHED) && self.held.is_empty() && self.before == 0
    }

    /// Whether bytes from above pass it by.
    pub(super) fn is_finished(&self) -> bool {
        self.has(Bits::FINISHED)
    }

    /// Whether it takes bytes from above.
    pub(super) fn takes_bytes(&self) -> bool {
        self.before == 0 && self.has(Bits::ESTABLISHED) && !self.has(Bits::FAILED)
    }

    /// Whether it does so also while the program writes.
    pub(super) fn takes_bytes_at_once(&self) -> bool {
        self.takes_bytes() && !self.is_finished() && self.filter.takes_at_once()
    }

    /// Calls its filter. What that sends goes down if there is nothing between them.
    pub(super) fn call(
        &mut self,
        down: Option<Down<'_>>,
        call: impl FnOnce(&mut dyn Filter, &mut Flow<'_>) -> Result<(), FilterError>,
    ) -> Result<(), FilterError> {
        let down = match down {
            Some(down) if self.before == 0 && self.held.is_empty() => down,
            _ => Down::Layer(&mut self.held),
        };
        let called = call(&mut *self.filter, &mut Flow::new(down, &mut self.state));
        if called.is_err() {
            self.state.bits |= Bits::FAILED;
        }
        called
    }
}
