//! Waiting for the exit of a child.

use std::fmt;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use marline_reactor::Exit;

use super::{Child, State, WHAT, Waiter};
use crate::local::Local;
use crate::wake::{Visitor, attempt, discard};

/// The future of [`Child::wait`].
#[must_use = "futures do nothing unless awaited"]
pub struct Wait<'a> {
    child: &'a Child,
    /// `None` while it is not among those who wait.
    ticket: Option<u64>,
    place: &'static Location<'static>,
}

impl<'a> Wait<'a> {
    pub(super) fn new(child: &'a Child, place: &'static Location<'static>) -> Self {
        Self { child, ticket: None, place }
    }
}

impl State {
    /// How it ended, or a place among those who wait. `None` if the waker has to be cloned first.
    fn poll(&mut self, ticket: &mut Option<u64>, visitor: &mut Visitor<'_>) -> Option<Poll<Exit>> {
        if let Some(exit) = self.exit {
            return Some(Poll::Ready(exit));
        }
        let known = self.waiters.iter_mut().find(|waiter| Some(waiter.ticket) == *ticket);
        if let Some(waiter) = known {
            return visitor.keep_in(&mut waiter.waker).map(|()| Poll::Pending);
        }
        let waker = Some(visitor.waker()?);
        self.tickets += 1;
        *ticket = Some(self.tickets);
        self.waiters.push(Waiter { ticket: self.tickets, waker });
        Some(Poll::Pending)
    }
}

impl Future for Wait<'_> {
    type Output = io::Result<Exit>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<Exit>> {
        let local = self.child.local(self.place)?;
        let polled = attempt(context, WHAT, |visitor| {
            let step = local.children.with(self.child.key, |state| state.poll(&mut self.ticket, visitor));
            // Without a child there is nothing to wait for.
            step.map_or(Some(None), |step| step.map(Some))
        });
        match polled {
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            Some(polled) => polled.map(Ok),
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let Some(local) = self.ticket.and_then(|_| Local::find(&self.child.remote)) else { return };
        let left = local.children.with(self.child.key, |state| {
            let place = state.waiters.iter().position(|waiter| Some(waiter.ticket) == self.ticket)?;
            state.waiters.swap_remove(place).waker
        });
        discard(left.flatten(), WHAT);
    }
}

impl fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("child", self.child).finish_non_exhaustive()
    }
}
