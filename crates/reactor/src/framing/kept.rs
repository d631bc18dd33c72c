//! What a parser keeps of the bytes that it was given.

/// Room for the start of a short frame that an idle parser may hold on to.
const SPARE: usize = 512;

/// Bytes that wait for those that follow. Taking from the front moves nothing.
#[derive(Debug)]
pub(super) struct Kept {
    buffer: Vec<u8>,
    /// What comes before was handed out.
    start: usize,
}

impl Kept {
    pub(super) const fn new() -> Self {
        Self { buffer: Vec::new(), start: 0 }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    pub(super) fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// As [`push`](Self::push), where in the end there will be so many bytes: memory grows as they come, and not beyond
    /// what they need.
    pub(super) fn push_towards(&mut self, total: usize, bytes: &[u8]) {
        let spare = self.buffer.capacity() - self.buffer.len();
        if bytes.len() > spare {
            let missing = total.saturating_sub(self.len());
            self.buffer.reserve_exact(missing.min(self.len().max(SPARE)).max(bytes.len()));
        }
        self.push(bytes);
    }

    /// Drops so many bytes off the front.
    pub(super) fn pass(&mut self, count: usize) {
        self.start += count;
    }

    /// Hands out so many bytes off the front.
    pub(super) fn take_front(&mut self, count: usize) -> &[u8] {
        let start = self.start;
        self.start += count;
        &self.buffer[start..self.start]
    }

    /// Makes room, without moving any byte more than twice on average, and lets go of memory that is not needed.
    pub(super) fn forget_handed_out(&mut self) {
        if self.is_empty() {
            self.clear();
            if self.buffer.capacity() > SPARE {
                self.buffer = Vec::new();
            }
        } else if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
    }

    pub(super) fn clear(&mut self) {
        self.buffer.clear();
        self.start = 0;
    }

    /// All of it. Nothing is left, and no memory.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.buffer);
        bytes.drain(..std::mem::take(&mut self.start));
        bytes
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}
