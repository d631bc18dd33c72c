//! What a filter asks of the loop.

use std::any::Any;
use std::fmt;
use std::io::{self, IoSlice};
use std::ops::BitOrAssign;
use std::rc::Rc;
use std::time::Duration;

use crate::address::Addresses;
use crate::backend::Outgoing;

/// What a [`Filter`](super::Filter) asks of the loop: to send bytes to the peer, and to know how far it is.
///
/// It is also a writer (`std::io::Write`) of bytes for the peer, which takes everything and never fails.
pub struct Flow<'a> {
    down: Down<'a>,
    state: &'a mut State,
}

/// Where the bytes for the peer go.
pub(crate) enum Down<'a> {
    /// Out, as they are.
    Wire(&'a mut Outgoing),
    /// The same, where the system may take them from where they lie.
    Straight(&'a mut Outgoing, SendNow<'a>),
    /// To the next layer, when that takes them.
    Layer(&'a mut Vec<u8>),
}

/// Sends what the system takes at once: how many bytes, maybe none.
pub(crate) type SendNow<'a> = &'a dyn Fn(&[IoSlice<'_>]) -> usize;

/// So many bytes may leave at once, if nothing waits before them: then a copy costs more than a call.
pub(crate) const AT_ONCE: usize = 16 * 1024;

/// How far a filter is, and what it asked for.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) bits: Bits,
    /// A change of its deadline, which the loop has not made yet.
    pub(crate) deadline: Option<Option<Duration>>,
    pub(crate) published: Vec<Rc<dyn Any>>,
    /// Boxed, as few filters have any.
    pub(crate) addresses: Option<Box<Addresses>>,
}

/// A set of facts about a filter.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bits(u16);

impl Bits {
    pub(crate) const STARTED: Self = Self(1);
    pub(crate) const ESTABLISHED: Self = Self(1 << 1);
    /// The peer's direction ended, as the filter sees it.
    pub(crate) const ENDED: Self = Self(1 << 2);
    /// The peer's direction ended below, and the filter was told.
    pub(crate) const ENDED_BELOW: Self = Self(1 << 3);
    /// The filter was told that our direction ended above,
    pub(crate) const TOLD_END: Self = Self(1 << 4);
    /// and wants it to end below.
    pub(crate) const SHUT: Self = Self(1 << 5);
    /// The filter was told to close,
    pub(crate) const TOLD_CLOSE: Self = Self(1 << 6);
    /// and is done with that.
    pub(crate) const CLOSED: Self = Self(1 << 7);
    /// It has nothing more to do.
    pub(crate) const FINISHED: Self = Self(1 << 8);
    /// It filled the room that it had, and may have more.
    pub(crate) const MORE: Self = Self(1 << 9);
    /// One of its methods failed; none is called after that.
    pub(crate) const FAILED: Self = Self(1 << 10);

    pub(crate) fn has(self, bits: Self) -> bool {
        self.0 & bits.0 == bits.0
    }

    pub(crate) fn has_any(self, bits: &[Self]) -> bool {
        bits.iter().any(|bits| self.has(*bits))
    }

    /// Sets the bits, and tells whether they were not set.
    pub(crate) fn raise(&mut self, bits: Self) -> bool {
        let fresh = !self.has(bits);
        *self |= bits;
        fresh
    }

    pub(crate) fn put(&mut self, bits: Self, on: bool) {
        if on { self.0 |= bits.0 } else { self.0 &= !bits.0 }
    }
}

impl BitOrAssign for Bits {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl<'a> Flow<'a> {
    pub(crate) const fn new(down: Down<'a>, state: &'a mut State) -> Self {
        Self { down, state }
    }

    /// Sends bytes to the peer, by way of the layers below. They are copied.
    pub fn send(&mut self, bytes: &[u8]) {
        match &mut self.down {
            Down::Wire(wire) | Down::Straight(wire, _) => wire.push_copy(bytes),
            Down::Layer(layer) => layer.extend_from_slice(bytes),
        }
    }

    /// From now on bytes of the protocol's flow. Once is enough.
    pub fn established(&mut self) {
        self.state.bits |= Bits::ESTABLISHED;
    }

    /// The peer's direction ended in good order: the protocol gets its `eof_received` when it has read what there is.
    pub fn end(&mut self) {
        self.state.bits |= Bits::ENDED;
    }

    /// Our direction ends below, too, behind what was sent. It is asked for in answer to
    /// [`outbound_end`](super::Filter::outbound_end), or later.
    pub fn shut(&mut self) {
        self.state.bits |= Bits::SHUT;
    }

    /// The leave-taking that [`close`](super::Filter::close) began is over. What was sent until now still goes out.
    pub fn closed(&mut self) {
        self.state.bits |= Bits::CLOSED;
    }

    /// The filter has done all that it was there for, and is taken out: its neighbours meet, and bytes that it leaves in
    /// `inbound` go to whoever is above. It counts as established.
    pub fn finish(&mut self) {
        self.state.bits |= Bits::ESTABLISHED;
        self.state.bits |= Bits::FINISHED;
    }

    /// Lets [`deadline`](super::Filter::deadline) be called when so much time has passed, in the place of the deadline before.
    /// `None` is for no deadline.
    pub fn set_deadline(&mut self, after: Option<Duration>) {
        self.state.deadline = Some(after);
    }

    /// Makes a value known to the program, which asks by its type: [`Transport::published`](crate::Transport::published). It
    /// lives until the loss was told.
    pub fn publish(&mut self, value: Rc<impl Any>) {
        // Filters publish one value, and it stays as long as the connection does.
        self.state.published.reserve_exact(1);
        self.state.published.push(value);
    }

    /// From now on these are the addresses that the transport tells: a proxy's header names the real ones. What is asked when a
    /// connection is accepted, factories and limits, knows those of the connection itself.
    pub fn set_addresses(&mut self, addresses: Addresses) {
        self.state.addresses = Some(Box::new(addresses));
    }
}

impl io::Write for Flow<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes);
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let total = parts.iter().map(|part| part.len()).sum();
        let mut sent = match &mut self.down {
            Down::Straight(wire, now) if total >= AT_ONCE && wire.is_empty() => now(parts).min(total),
            _ => 0,
        };
        for part in parts {
            let skipped = sent.min(part.len());
            sent -= skipped;
            self.send(&part[skipped..]);
        }
        Ok(total)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Flow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("established", &self.state.bits.has(Bits::ESTABLISHED))
            .finish_non_exhaustive()
    }
}
