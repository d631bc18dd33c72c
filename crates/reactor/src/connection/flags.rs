//! The bits of a connection's state.
//!
//! ```text
//!                 peer's FIN -> EOF            write_eof -> EOF_ASKED -> (sent) -> SHUT
//!   open  ----------------------------------------------------------------------------->  EOF and SHUT
//!    |                                                                                        |
//!    | close -> CLOSING -> (sent) -> LINGERING, if the peer is still sending                  |
//!    |                                  |                                                     |
//!    | abort, failure, reset, timeout   |                                                     |
//!    v                                  v                                                     v
//!   LOST  ------ the backend closes, then the notice of the loss, then the slot is vacated ---+
//! ```

use std::ops::BitOr;

/// A set of bits. Those that are looked at for each event are in the lower half, where a comparison needs no register for them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flags(u64);

impl Flags {
    /// The program paused reading.
    pub(crate) const PAUSED: Self = Self(1);
    /// The backend may have input: it said so, and was not pulled dry since.
    pub(crate) const INPUT: Self = Self(1 << 1);
    /// It stands on the list of connections to pull from in the next turn.
    pub(crate) const LISTED: Self = Self(1 << 2);
    /// The notice of `connection_made` is under way; nothing else is delivered before it.
    pub(crate) const UNMADE: Self = Self(1 << 3);
    /// The peer ended its direction.
    pub(crate) const EOF: Self = Self(1 << 4);
    /// A protocol that took over after the end of the peer's direction has to be told of it.
    pub(crate) const EOF_UNTOLD: Self = Self(1 << 5);
    /// `write_eof` was called.
    pub(crate) const EOF_ASKED: Self = Self(1 << 6);
    /// Our direction is ended, or its end is under way.
    pub(crate) const SHUT: Self = Self(1 << 7);
    /// `close` was called.
    pub(crate) const CLOSING: Self = Self(1 << 8);
    /// Everything is sent and our direction ended; what the peer still sends is received and dropped, because closing
    /// over unread bytes would make the system reset the peer.
    pub(crate) const LINGERING: Self = Self(1 << 9);
    /// The end is certain: the backend closes it, and the notice of the loss comes.
    pub(crate) const LOST: Self = Self(1 << 10);
    /// Something is to be flushed.
    pub(crate) const DIRTY: Self = Self(1 << 11);
    /// A send is under way.
    pub(crate) const SENDING: Self = Self(1 << 12);
    /// The system is short of memory; a timer tries the send again.
    pub(crate) const RETRYING: Self = Self(1 << 13);
    /// The protocol was told to pause writing.
    pub(crate) const TOLD_PAUSE: Self = Self(1 << 14);
    /// A flow notice is in the ready queue.
    pub(crate) const FLOW_QUEUED: Self = Self(1 << 33);
    /// Flow is checked after the next wait.
    pub(crate) const FLOW_CHECK: Self = Self(1 << 16);
    /// A notice is wanted when everything is sent.
    pub(crate) const DRAIN_ASKED: Self = Self(1 << 17);
    /// A notice that everything is sent is in the ready queue.
    pub(crate) const DRAIN_QUEUED: Self = Self(1 << 35);
    /// A callback of this connection runs.
    pub(crate) const BUSY: Self = Self(1 << 18);
    /// The watched peer closed.
    pub(crate) const PEER_CLOSED: Self = Self(1 << 32);
    /// It stands on the list of connections to flush at the end of the turn, maybe for nothing by then.
    pub(crate) const FLUSH_LISTED: Self = Self(1 << 20);

    /// The check of the flow was put off once, for a send that the backend may not have tried yet.
    pub(crate) const FLOW_PUT_OFF: Self = Self(1 << 22);

    /// A layer around the protocol keeps it from reading.
    pub(crate) const SUSPENDED: Self = Self(1 << 25);
    /// There is nothing to read, and never was: the end of the peer's direction is nothing to be told of.
    pub(crate) const WRITES_ONLY: Self = Self(1 << 23);
    /// Closing over bytes that were not read does no harm, and they may be meant for others.
    pub(crate) const KEEPS_INPUT: Self = Self(1 << 24);

    /// The send that is under way is of a file.
    pub(crate) const LENT_FILE: Self = Self(1 << 26);

    /// There are filters, or what one sent is not out.
    pub(crate) const FILTERED: Self = Self(1 << 27);
    /// A filter is not established, or the protocol was not told: nothing of the protocol's flows.
    pub(crate) const SHAKING: Self = Self(1 << 28);
    /// The notice that all filters are established is in the ready queue.
    pub(crate) const ESTABLISHED_QUEUED: Self = Self(1 << 29);
    /// Everything is sent, and the filters take their leave of the peer.
    pub(crate) const PARTING: Self = Self(1 << 30);

    /// The protocol takes input itself, where that can be.
    pub(crate) const TAKES: Self = Self(1 << 31);
    /// It said that it takes what there is now, and has not taken all of it. Nothing is pulled meanwhile.
    pub(crate) const LEFT: Self = Self(1 << 19);

    /// Something [departed](super::departing) last, and nobody has looked since.
    pub(crate) const DEPARTED: Self = Self(1 << 15);
    /// What departed and is under way was not sent by the wait that it was for.
    pub(crate) const UNSENT: Self = Self(1 << 34);

    pub(crate) const fn union(sets: &[Self]) -> Self {
        let (mut bits, mut index) = (0, 0);
        while index < sets.len() {
            bits |= sets[index].0;
            index += 1;
        }
        Self(bits)
    }

    /// `self` if `so`, else nothing.
    pub(crate) const fn when(self, so: bool) -> Self {
        if so { self } else { Self(0) }
    }

    pub(crate) fn any(self, bits: Self) -> bool {
        self.0 & bits.0 != 0
    }

    pub(crate) fn all(self, bits: Self) -> bool {
        self.0 & bits.0 == bits.0
    }

    /// Whether it has, of these bits, exactly those.
    pub(crate) fn has_of(self, bits: Self, those: Self) -> bool {
        self.0 & bits.0 == those.0
    }

    pub(crate) fn set(&mut self, bits: Self) {
        self.0 |= bits.0;
    }

    pub(crate) fn clear(&mut self, bits: Self) {
        self.0 &= !bits.0;
    }

    pub(crate) fn put(&mut self, bits: Self, on: bool) {
        if on { self.set(bits) } else { self.clear(bits) }
    }

    /// Sets the bits, and tells whether none of them was set.
    pub(crate) fn raise(&mut self, bits: Self) -> bool {
        let fresh = !self.any(bits);
        self.set(bits);
        fresh
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
