//! Queues of bytes that nobody uses just now.

use crate::backend::Outgoing;

/// How many queues are kept for whoever writes next,
const QUEUES: usize = 1024;
/// and how many bytes of memory in all of their buffers.
const MEMORY: usize = 1024 * 1024;

/// Empty queues, which connections take while they have something to send. The one that was given back last is taken
/// first: its memory is the most likely to be in the processor's cache.
#[derive(Default)]
pub(crate) struct Spares {
    // Boxed as connections and backends pass them around.
    #[allow(clippy::vec_box)]
    queues: Vec<Box<Outgoing>>,
    memory: usize,
}

impl Spares {
    #[inline]
    pub(super) fn take(&mut self) -> Box<Outgoing> {
        let queue = self.queues.pop().unwrap_or_default();
        self.memory -= queue.spare_memory();
        queue
    }

    #[inline]
    pub(super) fn give_back(&mut self, mut queue: Box<Outgoing>) {
        if self.queues.len() == QUEUES {
            return;
        }
        let mut memory = queue.spare_memory();
        if self.memory + memory > MEMORY {
            queue.free_spares();
            memory = 0;
        }
        self.memory += memory;
        self.queues.push(queue);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let mut spares = Spares::default();
        for _ in 0..2 * QUEUES {
            let mut queue = Box::new(Outgoing::default());
            queue.push_copy(&[1; 10_000]);
            queue.clear(&mut Vec::new());
            spares.give_back(queue);
        }
        assert_eq!(spares.queues.len(), QUEUES);
        assert!(spares.memory <= MEMORY && spares.memory > MEMORY - 10_000, "{} bytes", spares.memory);
        (0..2 * QUEUES).for_each(|_| drop(spares.take()));
        assert_eq!(spares.memory, 0);
    }
}
