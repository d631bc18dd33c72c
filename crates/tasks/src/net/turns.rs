//! One reader, and one writer, at a time.

use std::io;
use std::task::{Context, Waker};

use crate::wake::wake;

/// Who waits for one direction of a stream.
///
/// The futures of this crate have a ticket each and hold their turn until they are done or dropped: whoever comes
/// meanwhile gets an error. Whoever polls by hand, through the traits, has no ticket and cannot be told apart from
/// others who do: they all wait, and all are woken, as soon as nobody with a ticket is before them.
#[derive(Default)]
pub(super) struct Turn {
    holder: Option<(Ticket, Waker)>,
    /// Those without a ticket. There is nearly always one at most, so only more of them cost memory.
    first: Option<Waker>,
    #[allow(clippy::box_collection)]
    more: Option<Box<Vec<Waker>>>,
}

/// Zero is nobody's own.
pub(super) type Ticket = u64;
pub(super) const NO_TICKET: Ticket = 0;

/// So many without a ticket are remembered; the others are woken at once, to try again.
const REMEMBERED: usize = 64;

impl Turn {
    /// Whether `ticket` may go on.
    pub(super) fn check(&self, ticket: Ticket) -> io::Result<()> {
        match self.holder {
            Some((holder, _)) if holder != ticket => Err(busy()),
            _ => Ok(()),
        }
    }

    /// Whether anybody waits.
    pub(super) fn is_awaited(&self) -> bool {
        self.holder.is_some() || self.first.is_some()
    }

    /// Waits. The caller settles what comes back, outside of any borrow.
    #[must_use]
    pub(super) fn wait(&mut self, ticket: Ticket, context: &Context<'_>) -> Option<Displaced> {
        if ticket == NO_TICKET {
            return self.wait_without_ticket(context.waker());
        }
        if self.holder.as_ref().is_some_and(|(_, waker)| waker.will_wake(context.waker())) {
            return None;
        }
        let old = self.holder.replace((ticket, context.waker().clone()));
        old.map(|(_, waker)| Displaced { waker, wake: false })
    }

    fn wait_without_ticket(&mut self, waker: &Waker) -> Option<Displaced> {
        let mut known = self.first.iter().chain(self.more.iter().flat_map(|more| more.iter()));
        if known.any(|known| known.will_wake(waker)) {
            return None;
        }
        let first = self.first.replace(waker.clone())?;
        let more = self.more.get_or_insert_default();
        more.push(first);
        (more.len() > REMEMBERED).then(|| Displaced { waker: more.remove(0), wake: true })
    }

    /// Whoever has the ticket is done: those who waited behind it come next.
    #[must_use]
    pub(super) fn leave(&mut self, ticket: Ticket) -> Left {
        let old = self.holder.take_if(|(holder, _)| *holder == ticket).map(|(_, waker)| waker);
        let next = if old.is_some() { self.wakers() } else { Wakers::default() };
        Left { old, next }
    }

    /// Those to wake. The one with a ticket goes first, and keeps its turn until it is done; without one, all the others.
    pub(super) fn wakers(&mut self) -> Wakers {
        match &self.holder {
            Some((_, waker)) => Wakers { holder: Some(waker.clone()), ..Wakers::default() },
            None => Wakers { holder: None, first: self.first.take(), more: self.more.take() },
        }
    }
}

/// Those who waited for something that has happened.
#[derive(Default)]
pub(super) struct Wakers {
    holder: Option<Waker>,
    first: Option<Waker>,
    #[allow(clippy::box_collection)]
    more: Option<Box<Vec<Waker>>>,
}

impl Wakers {
    /// Wakes them, when nothing is borrowed any more.
    pub(super) fn wake(self) {
        let more = self.more.into_iter().flat_map(|more| more.into_iter());
        self.holder.into_iter().chain(more).chain(self.first).for_each(|waker| wake(waker, "a stream"));
    }
}

/// What leaving a turn leads to.
#[derive(Default)]
pub(super) struct Left {
    old: Option<Waker>,
    next: Wakers,
}

impl Left {
    /// Wakes and drops, when nothing is borrowed any more.
    pub(super) fn settle(self) {
        self.next.wake();
        drop(self.old);
    }
}

/// A waker that waits no longer.
pub(super) struct Displaced {
    waker: Waker,
    wake: bool,
}

impl Displaced {
    pub(super) fn settle(self) {
        if self.wake {
            wake(self.waker, "a stream");
        }
    }
}

fn busy() -> io::Error {
    io::Error::new(
        io::ErrorKind::ResourceBusy,
        "another operation of this direction of the stream is under way",
    )
}
