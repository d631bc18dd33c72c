//! How an operation is named in the kernel: by its key and what it is.
//!
//! ```text
//!   63            32 31   24 23                 0
//!  +----------------+-------+--------------------+
//!  |  slot's index  |  what | low generation bits|
//!  +----------------+-------+--------------------+
//! ```
//!
//! The generation need not fit: an index is used again only when its close was answered, and it is answered only when
//! nothing of the key is in the kernel. The bits that do fit are compared all the same.

use crate::key::Key;

const GENERATION: u32 = 0x00ff_ffff;

/// What an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum What {
    /// Nobody waits for its answer.
    Ignored,
    Receive,
    Send,
    /// The send of what departs. It is answered only if it fails.
    Departure,
    Connect,
    Close,
    /// The poll for the peer's end.
    Peer,
    Accept,
    /// The poll of the multiplexer for foreign sources.
    Foreign,
    /// The poll of the eventfd by which other threads wake the loop.
    Wake,
    /// The poll of the timer for hosts.
    Alarm,
}

const ALL: [What; 11] = [
    What::Ignored,
    What::Receive,
    What::Send,
    What::Departure,
    What::Connect,
    What::Close,
    What::Peer,
    What::Accept,
    What::Foreign,
    What::Wake,
    What::Alarm,
];

/// The name of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(u64);

/// The name of what is not answered.
pub(super) const IGNORED: u64 = 0;

impl Tag {
    pub(super) fn new(key: Key, what: What) -> Self {
        let generation = u64::from(key.generation() & GENERATION);
        Self((key.index() as u64) << 32 | u64::from(what as u8) << 24 | generation)
    }

    /// An operation of the backend's own.
    pub(super) fn own(what: What) -> Self {
        Self::new(Key::new(0, 0), what)
    }

    pub(super) fn what(self) -> What {
        ALL.get((self.0 >> 24 & 0xff) as usize).copied().unwrap_or(What::Ignored)
    }

    #[inline]
    pub(super) fn is(self, what: What) -> bool {
        self.0 >> 24 & 0xff == what as u64
    }

    pub(super) fn index(self) -> usize {
        (self.0 >> 32) as usize
    }

    /// Whether it may be an operation of `key`, whose index it has.
    pub(super) fn is_of(self, key: Key) -> bool {
        self.0 & u64::from(GENERATION) == u64::from(key.generation() & GENERATION)
    }
}

impl From<u64> for Tag {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl From<Tag> for u64 {
    fn from(tag: Tag) -> Self {
        tag.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_tells_what_it_was_made_of() {
        for what in ALL {
            let key = Key::new(u32::MAX, 0xab12_3456);
            let tag = Tag::from(u64::from(Tag::new(key, what)));
            assert_eq!((tag.what(), tag.index()), (what, u32::MAX as usize));
            assert!(tag.is_of(key) && !tag.is_of(Key::new(u32::MAX, 0xab12_3457)));
        }
        assert_eq!(u64::from(Tag::own(What::Ignored)), IGNORED);
    }
}
