//! The bytes of messages.

/// Messages begin at one of so many places of the pattern.
const PLACES: usize = 251;

/// A stretch of bytes with no short period, from which every message is a part. To compare an answer with the message is then
/// one comparison of memory, and an answer from elsewhere, or shifted, does not pass for it.
pub(super) struct Pattern {
    bytes: Vec<u8>,
    size: usize,
}

impl Pattern {
    /// For messages of `size` bytes.
    pub(super) fn new(size: usize) -> Self {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let bytes = (0..size + PLACES).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        });
        Self { bytes: bytes.collect(), size }
    }

    /// The bytes of the message with this number.
    pub(super) fn message(&self, number: u64) -> &[u8] {
        let place = (number % PLACES as u64) as usize;
        &self.bytes[place..place + self.size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_their_size_and_differ_from_their_neighbours() {
        let pattern = Pattern::new(64);
        for number in 0..1000 {
            let message = pattern.message(number);
            assert_eq!(message.len(), 64);
            assert_ne!(message, pattern.message(number + 1));
        }
    }

    #[test]
    fn the_pattern_has_no_short_period() {
        let bytes = Pattern::new(4096).bytes;
        for shift in 1..2048 {
            assert_ne!(bytes[..1024], bytes[shift..shift + 1024], "{shift}");
        }
    }
}
