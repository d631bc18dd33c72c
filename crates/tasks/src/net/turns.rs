//! One reader, and one writer, at a time.

use std::io;
use std::task::{Context, Waker};

/// Who waits for one direction of a stream.
///
/// The futures of this crate have a ticket each and hold their turn until they are done or dropped: whoever
/// else comes meanwhile gets an error. Whoever polls by hand has no ticket, and shares one turn with all
/// others that have none: the last to poll is woken.
#[derive(Default)]
pub(super) struct Turn {
    waiting: Option<(Ticket, Waker)>,
}

/// Zero is nobody's own.
pub(super) type Ticket = u64;
pub(super) const NO_TICKET: Ticket = 0;

impl Turn {
    /// Whether `ticket` may go on.
    pub(super) fn check(&self, ticket: Ticket) -> io::Result<()> {
        match self.waiting {
            Some((holder, _)) if holder != NO_TICKET && holder != ticket => Err(busy()),
            _ => Ok(()),
        }
    }

    /// Waits. Whoever polls without a ticket and is displaced is woken, to find out. The caller drops or wakes what comes
    /// back, outside of any borrow.
    #[must_use]
    pub(super) fn wait(&mut self, ticket: Ticket, context: &Context<'_>) -> Option<Displaced> {
        if let Some((holder, waker)) = &mut self.waiting {
            if *holder == ticket && waker.will_wake(context.waker()) {
                return None;
            }
        }
        let old = self.waiting.replace((ticket, context.waker().clone()));
        old.map(|(holder, waker)| Displaced { waker, is_other: holder != ticket })
    }

    /// Whoever has the ticket is done.
    #[must_use]
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<Waker> {
        self.waiting.take_if(|(holder, _)| *holder == ticket).map(|(_, waker)| waker)
    }

    /// The one to wake. It keeps its turn until it is done.
    pub(super) fn waker(&self) -> Option<Waker> {
        self.waiting.as_ref().map(|(_, waker)| waker.clone())
    }
}

/// The waker that waited before.
pub(super) struct Displaced {
    waker: Waker,
    is_other: bool,
}

impl Displaced {
    pub(super) fn settle(self) {
        if self.is_other {
            self.waker.wake();
        }
    }
}

fn busy() -> io::Error {
    io::Error::new(
        io::ErrorKind::ResourceBusy,
        "another operation of this direction of the stream is under way",
    )
}
