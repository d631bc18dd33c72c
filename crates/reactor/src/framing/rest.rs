//! The bytes behind a frame.

/// What arrived behind the frame that is being handled.
///
/// A handler that gives the connection away (an upgrade, a switch to raw bytes) [takes](Self::take) it along for
/// the next protocol. Where those bytes must not be believed, as behind a `STARTTLS`, it drops what it took.
/// If it takes nothing, the frames in it come as usual.
#[derive(Debug)]
pub struct Rest<'a> {
    /// What the parser kept, and the part of the input that follows it.
    parts: [&'a [u8]; 2],
    taken: bool,
}

impl<'a> Rest<'a> {
    #[allow(dead_code)]
    pub(crate) const fn new(kept: &'a [u8], input: &'a [u8]) -> Self {
        Self {
            parts: [kept, input],
            taken: false,
        }
    }

    /// How many bytes there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.parts[0].len() + self.parts[1].len()
    }

    /// Whether nothing arrived behind the frame, or it was taken.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the bytes out: no frame will be found in them.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        self.taken = true;
        std::mem::take(&mut self.parts).concat()
    }

    #[allow(dead_code)]
    pub(crate) const fn was_taken(&self) -> bool {
        self.taken
    }
}
