//! From the backend up to the protocol.

use std::io;

use super::{Chain, Source};
use crate::backend::Received;
use crate::filter::{Bits, FilterError, Output};

/// What came of filling the room for the protocol.
#[derive(Debug)]
pub(crate) enum Filled {
    /// Bytes, unless there was no room.
    Bytes,
    /// Nothing yet, but there may be more.
    Again,
    /// The peer's direction ended.
    End,
    /// Nothing now.
    Dry,
    /// The connection broke.
    Broken(io::Error),
}

impl Chain {
    /// Fills the room for the protocol with what its filters make of at most one piece of what the source has.
    pub(crate) fn fill(
        &mut self,
        output: &mut Output<'_>,
        source: &mut dyn Source,
    ) -> Result<Filled, FilterError> {
        let Some(top) = self.layers.len().checked_sub(1) else { return Ok(Filled::Again) };
        let filled = self.fill_from(top, output, source)?;
        self.told_end |= matches!(filled, Filled::End);
        Ok(filled)
    }

    /// The same without room, for filters that are not established, until they are.
    pub(crate) fn negotiate(&mut self, source: &mut dyn Source) -> Result<Filled, FilterError> {
        if let Some(index) = self.layers.iter().position(|layer| !layer.has(Bits::ESTABLISHED)) {
            return self.fill_from(index, &mut Output::new(&mut []), source);
        }
        Ok(Filled::Bytes)
    }

    /// The same for a filter that takes its leave, whose output nobody wants.
    pub(crate) fn drain(&mut self, room: &mut [u8], source: &mut dyn Source) -> Result<Filled, FilterError> {
        let Some(index) = self.layers.iter().rposition(|layer| !layer.has_any(super::GONE)) else {
            return Ok(Filled::Dry);
        };
        let filled = self.fill_from(index, &mut Output::new(room), source)?;
        let layer = &mut self.layers[index];
        let is_silent = matches!(filled, Filled::Dry) && layer.has(Bits::ENDED_BELOW);
        if is_silent || matches!(filled, Filled::End) {
            // It waits for something that cannot come.
            layer.state.bits |= Bits::CLOSED;
            return Ok(Filled::Again);
        }
        Ok(filled)
    }

    fn fill_from(
        &mut self,
        index: usize,
        output: &mut Output<'_>,
        source: &mut dyn Source,
    ) -> Result<Filled, FilterError> {
        if let Some(failure) = self.layers[index].failure.take() {
            return Err(failure);
        }
        if self.layers[index].has(Bits::FAILED) {
            return Ok(Filled::End);
        }
        if self.layers[index].has_more() {
            self.show_what_was_left(index, output)?;
            let layer = &self.layers[index];
            // Without room nobody can tell whether there is more. Then it is asked for further bytes.
            if !output.is_empty() || layer.has_more() && output.capacity() > 0 {
                return Ok(Filled::Bytes);
            }
        }
        if self.layers[index].has(Bits::ENDED) {
            return Ok(Filled::End);
        }
        match index.checked_sub(1) {
            None => self.fill_from_source(output, source),
            Some(below) => self.fill_from_below(below, output, source),
        }
    }

    fn fill_from_source(
        &mut self,
        output: &mut Output<'_>,
        source: &mut dyn Source,
    ) -> Result<Filled, FilterError> {
        if self.source_ended {
            return self.end_below(0);
        }
        match source.receive() {
            Received::Chunk(mut chunk) => {
                // A filter knows of bytes only. Descriptors among them are closed.
                drop(chunk.take_descriptors());
                let shown = self.show(0, chunk.bytes(), output);
                source.release(chunk);
                shown?;
                Ok(self.outcome(0, output))
            }
            Received::Filled(_) => Ok(Filled::Again),
            Received::Eof => {
                self.source_ended = true;
                self.end_below(0)
            }
            Received::Dry => Ok(Filled::Dry),
            Received::Failed(error) => Ok(Filled::Broken(error)),
        }
    }

    fn fill_from_below(
        &mut self,
        below: usize,
        output: &mut Output<'_>,
        source: &mut dyn Source,
    ) -> Result<Filled, FilterError> {
        let mut room = [0; BETWEEN];
        let mut between = Output::new(&mut room);
        match self.fill_from(below, &mut between, source)? {
            Filled::Bytes | Filled::Again if !between.is_empty() => {
                let bytes = between.bytes_mut();
                self.show(below + 1, bytes, output)?;
                Ok(self.outcome(below + 1, output))
            }
            Filled::Bytes => Ok(Filled::Again),
            Filled::End => self.end_below(below + 1),
            other => Ok(other),
        }
    }

    fn outcome(&self, index: usize, output: &Output<'_>) -> Filled {
        if !output.is_empty() {
            Filled::Bytes
        } else if self.layers[index].has(Bits::ENDED) {
            Filled::End
        } else {
            Filled::Again
        }
    }

    fn end_below(&mut self, index: usize) -> Result<Filled, FilterError> {
        if self.layers[index].state.bits.raise(Bits::ENDED_BELOW) {
            if self.layers[index].is_finished() {
                self.layers[index].state.bits |= Bits::ENDED;
            } else {
                self.call(index, |filter, flow| filter.inbound_end(flow))?;
            }
        }
        // A filter that does not end with what is below it has nothing more to wait for.
        Ok(if self.layers[index].has(Bits::ENDED) { Filled::End } else { Filled::Dry })
    }

    /// Shows bytes to a filter. What it leaves is kept.
    fn show(&mut self, index: usize, bytes: &[u8], output: &mut Output<'_>) -> Result<(), FilterError> {
        if !self.layers[index].input().is_empty() {
            self.layers[index].keep(bytes);
            return self.show_what_was_left(index, output);
        }
        let done = self.show_all(index, bytes, output)?;
        let more = self.layers[index].has_more();
        self.layers[index].keep(&bytes[done..]);
        self.layers[index].state.bits.put(Bits::MORE, more);
        Ok(())
    }

    fn show_what_was_left(&mut self, index: usize, output: &mut Output<'_>) -> Result<(), FilterError> {
        let (input, start) = self.layers[index].take_input();
        let done = self.show_all(index, &input[start..], output)?;
        self.layers[index].put_input(input, start + done);
        Ok(())
    }

    /// Shows bytes to a filter again and again, as long as it gets somewhere. Answers how many it is done with.
    fn show_all(
        &mut self,
        index: usize,
        bytes: &[u8],
        output: &mut Output<'_>,
    ) -> Result<usize, FilterError> {
        let mut done = 0;
        loop {
            let (len, was_finished) = (output.len(), self.layers[index].is_finished());
            let count = match self.show_once(index, &bytes[done..], output) {
                Ok(count) => count,
                Err(failure) if !output.is_empty() => {
                    // First comes what it made of the bytes before.
                    let layer = &mut self.layers[index];
                    layer.failure = Some(failure);
                    layer.state.bits |= Bits::MORE;
                    return Ok(bytes.len());
                }
                Err(failure) => return Err(failure),
            };
            done += count;
            let layer = &mut self.layers[index];
            layer.state.bits.put(Bits::MORE, output.is_full());
            if layer.has(Bits::ENDED) {
                // Behind the end there is nothing for anybody.
                return Ok(bytes.len());
            }
            // With less left to do, with more to show for it, or because it steps aside.
            let moved = count > 0 || output.len() > len || layer.is_finished() != was_finished;
            let stops = output.is_full() && output.capacity() > 0;
            if !moved || stops || done == bytes.len() {
                return Ok(done);
            }
        }
    }

    /// A filter that is finished lets bytes pass as they are.
    fn show_once(
        &mut self,
        index: usize,
        input: &[u8],
        output: &mut Output<'_>,
    ) -> Result<usize, FilterError> {
        if self.layers[index].is_finished() {
            return Ok(output.push(input));
        }
        let mut count = 0;
        self.call(index, |filter, flow| {
            count = filter.inbound(flow, input, output)?.min(input.len());
            Ok(())
        })?;
        Ok(count)
    }
}

/// The room between two layers.
const BETWEEN: usize = 16 * 1024;
