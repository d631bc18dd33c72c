//! The one buffer that all streams of a backend receive into.

use super::{Channel, Connection};
use crate::backend::{Chunk, Received, SystemCalls};

/// How much a receive asks for when the core has no memory of its own for it.
const SCRATCH: usize = 256 * 1024;

/// The memory for receives. It is away while it is out as a chunk; a receive meanwhile makes another, and one of them is kept.
#[derive(Debug, Default)]
pub(in crate::backend) struct Scratch(Option<Vec<u8>>);

impl Scratch {
    /// Receives into the core's memory, or as a chunk.
    #[inline]
    pub(in crate::backend) fn receive<C: Channel>(
        &mut self,
        connection: &mut Connection<C>,
        into: Option<&mut [u8]>,
        calls: &mut SystemCalls,
    ) -> Received {
        if !connection.is_readable() {
            return Received::Dry;
        }
        // What may come with descriptors comes as a chunk.
        let into = into.filter(|_| !connection.carries_descriptors());
        match self.fill(into, |memory| connection.receive(memory, calls)) {
            Ok(Received::Chunk(chunk)) => {
                Received::Chunk(chunk.with_descriptors(connection.take_descriptors()))
            }
            Ok(received) | Err(received) => received,
        }
    }

    /// Has `receive` fill the core's memory, or that of a chunk.
    #[inline]
    pub(in crate::backend) fn fill<E>(
        &mut self,
        into: Option<&mut [u8]>,
        receive: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Received, E> {
        if let Some(memory) = into {
            return receive(memory).map(Received::Filled);
        }
        let mut memory = self.take();
        match receive(&mut memory) {
            Ok(count) => Ok(Received::Chunk(Chunk::new(memory, 0, count, 0))),
            Err(other) => {
                self.0 = Some(memory);
                Err(other)
            }
        }
    }

    /// Takes back the memory of a chunk.
    pub(in crate::backend) fn release(&mut self, chunk: Chunk) {
        if let Some(memory) = chunk.into_memory().filter(|memory| memory.len() == SCRATCH) {
            self.0 = Some(memory);
        }
    }

    /// Receives and throws away.
    pub(in crate::backend) fn discard<C: Channel>(
        &mut self,
        connection: &Connection<C>,
        calls: &mut SystemCalls,
    ) {
        let mut memory = self.take();
        connection.discard(&mut memory, calls);
        self.0 = Some(memory);
    }

    /// Whether it is not lent out.
    #[cfg(test)]
    pub(in crate::backend) fn is_here(&self) -> bool {
        self.0.is_some()
    }

    fn take(&mut self) -> Vec<u8> {
        self.0.take().unwrap_or_else(|| vec![0; SCRATCH])
    }
}
