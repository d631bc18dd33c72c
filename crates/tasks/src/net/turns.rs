//! One reader, and one writer, at a time.

use std::io;
use std::task::Waker;

use crate::wake::{Visitor, discard, wake, wake_next};

/// Who waits for one direction of a stream.
///
/// The futures of this crate have a ticket each and hold their turn until they are done or dropped: whoever comes
/// meanwhile gets an error. Whoever polls by hand, through the traits, has no ticket and cannot be told apart from
/// others who do: they all wait, and all are woken, as soon as nobody with a ticket is before them.
#[derive(Default)]
pub(super) struct Turn {
    /// Whose turn it is, also when they were woken and have not come yet.
    holder: Ticket,
    /// The one whose turn it is; if it is nobody's, the last who came without a ticket.
    waker: Option<Waker>,
    /// Those without a ticket who came before. There are hardly ever any, so only then they cost memory.
    #[allow(clippy::box_collection)]
    others: Option<Box<Vec<Waker>>>,
}

/// Zero is nobody's own.
pub(super) type Ticket = u64;
pub(super) const NO_TICKET: Ticket = 0;

/// So many without a ticket are remembered; the others are woken at once, to try again.
const REMEMBERED: usize = 64;

impl Turn {
    /// Whether `ticket` may go on.
    pub(super) fn check(&self, ticket: Ticket) -> io::Result<()> {
        if self.is_vacant() || self.holder == ticket { Ok(()) } else { Err(busy()) }
    }

    /// Whether it is nobody's turn.
    pub(super) fn is_vacant(&self) -> bool {
        self.holder == NO_TICKET
    }

    /// Whether `ticket` may go on, and no waker of anybody's is kept: there is nobody to tell then of what becomes of it.
    #[inline]
    pub(super) fn is_free_for(&self, ticket: Ticket) -> bool {
        (self.is_vacant() || self.holder == ticket) && self.waker.is_none() && self.others.is_none()
    }

    /// Ends the turn, if it [is free](Self::is_free_for) for who comes.
    pub(super) fn vacate(&mut self) {
        self.holder = NO_TICKET;
    }

    /// Begins the turn again that was just ended.
    pub(super) fn hold(&mut self, ticket: Ticket) {
        self.holder = ticket;
    }

    /// Waits with this waker, if it [is free](Self::is_free_for) for who comes.
    #[inline]
    pub(super) fn wait_straight(&mut self, ticket: Ticket, waker: Waker) {
        self.holder = ticket;
        self.waker = Some(waker);
    }

    /// Whether anybody waits.
    pub(super) fn is_awaited(&self) -> bool {
        self.holder != NO_TICKET || self.waker.is_some()
    }

    /// Waits; the check was made. `None` if the waker has to be cloned first.
    pub(super) fn wait(&mut self, ticket: Ticket, visitor: &mut Visitor<'_>) -> Option<()> {
        if self.is_vacant() {
            return self.begin_to_wait(ticket, visitor);
        }
        visitor.keep_in(&mut self.waker)
    }

    /// It is nobody's turn, so the wakers are of those without a ticket.
    fn begin_to_wait(&mut self, ticket: Ticket, visitor: &mut Visitor<'_>) -> Option<()> {
        let mut known = self.waker.iter().chain(self.others.iter().flat_map(|others| others.iter()));
        if ticket == NO_TICKET && known.any(|known| visitor.is_woken_by(known)) {
            return Some(());
        }
        let waker = visitor.waker()?;
        self.holder = ticket;
        if let Some(before) = self.waker.replace(waker) {
            let others = self.others.get_or_insert_default();
            others.push(before);
            if others.len() > REMEMBERED {
                visitor.crowd_out(others.remove(0));
            }
        }
        Some(())
    }

    /// Whoever has the ticket is done: those who waited behind it come next.
    #[must_use]
    pub(super) fn leave(&mut self, ticket: Ticket) -> Left {
        if ticket == NO_TICKET || self.holder != ticket {
            return Left::default();
        }
        self.holder = NO_TICKET;
        let old = self.waker.take();
        Left { old, next: self.wakers() }
    }

    /// The loop has ended: everybody is woken, and finds an error.
    pub(super) fn end(mut self) {
        self.wakers().wake();
        self.vacate();
        self.wakers().wake();
    }

    /// Those to wake: they are to come back. The one with a ticket goes first, and keeps its turn until it is done; without
    /// one, all the others.
    #[inline]
    pub(super) fn wakers(&mut self) -> Wakers {
        let more = if self.is_vacant() { self.others.take() } else { None };
        Wakers { more, last: self.waker.take() }
    }
}

/// Those who waited for something that has happened.
#[derive(Default)]
pub(super) struct Wakers {
    /// Those who came before the last.
    #[allow(clippy::box_collection)]
    more: Option<Box<Vec<Waker>>>,
    last: Option<Waker>,
}

impl Wakers {
    /// Wakes them, when nothing is borrowed any more.
    #[inline]
    pub(super) fn wake(self) {
        self.wake_last(wake);
    }

    /// The same, to take the input that their connection has.
    #[inline]
    pub(super) fn wake_next(self) {
        self.wake_last(wake_next);
    }

    #[inline(always)]
    fn wake_last(self, wake: fn(Waker, &str)) {
        if let Some(more) = self.more {
            wake_all(*more);
        }
        if let Some(last) = self.last {
            wake(last, "a stream");
        }
    }
}

#[cold]
fn wake_all(wakers: Vec<Waker>) {
    wakers.into_iter().for_each(|waker| wake(waker, "a stream"));
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
        discard(self.old, "a stream");
    }
}

fn busy() -> io::Error {
    io::Error::new(
        io::ErrorKind::ResourceBusy,
        "another operation of this direction of the stream is under way",
    )
}
