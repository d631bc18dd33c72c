//! The connections that wait for a program, and the tasks that wait for a connection.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use marline_reactor::{Address, Remote};

use crate::error::WrongThread;
use crate::local::Local;
use crate::net::io::on_loop;
use crate::net::turns::{NO_TICKET, Ticket};
use crate::table::{Table, TableKey};
use crate::wake::{Visitor, attempt, discard, wake};

/// How many accepted connections wait for an `accept` before the others are left to the system's queue.
const QUEUE: usize = 64;

/// What accepts connections in the loop.
pub(crate) trait Accepting: Sized + 'static {
    /// What a connection is to a program.
    type Socket;

    /// The listeners of this kind.
    fn listeners(local: &Local) -> &Listeners<Self>;

    fn pause(&self);

    fn resume(&self);

    fn stop(&self);

    fn local_address(&self) -> Option<Address>;
}

/// The listeners of a loop, of one kind.
pub(crate) struct Listeners<A: Accepting> {
    table: RefCell<Table<ListenerState<A>>>,
}

impl<A: Accepting> Default for Listeners<A> {
    fn default() -> Self {
        Self { table: RefCell::default() }
    }
}

struct ListenerState<A: Accepting> {
    /// `None` while it is being made.
    server: Option<A>,
    queue: VecDeque<A::Socket>,
    /// Who waits for a connection, the first to come first.
    waiting: VecDeque<Waiter>,
}

struct Waiter {
    ticket: Ticket,
    /// `None` if it was woken and has not come yet.
    waker: Option<Waker>,
}

impl<A: Accepting> Listeners<A> {
    /// Works on a listener. `change` must run no code of anybody else's.
    fn with<R>(&self, key: TableKey, change: impl FnOnce(&mut ListenerState<A>) -> R) -> Option<R> {
        self.table.borrow_mut().get_mut(key).map(change)
    }

    /// A connection was accepted.
    pub(in crate::net) fn arrived(&self, key: TableKey, socket: A::Socket) {
        let mut socket = Some(socket);
        let told = self.with(key, |state| {
            state.queue.extend(socket.take());
            if state.queue.len() >= QUEUE {
                state.server.iter().for_each(A::pause);
            }
            state.waiting.front_mut().and_then(|first| first.waker.take())
        });
        drop(socket);
        if let Some(Some(waker)) = told {
            wake(waker, "a listener");
        }
    }

    /// The loop has ended: everybody is woken, and finds an error.
    pub(crate) fn end(&self) {
        for state in self.table.take().into_values() {
            let wakers = state.waiting.into_iter().filter_map(|waiter| waiter.waker);
            wakers.for_each(|waker| wake(waker, "a listener"));
        }
    }

    fn remove(&self, key: TableKey) {
        let state = self.table.borrow_mut().remove(key);
        if let Some(state) = state {
            state.server.iter().for_each(A::stop);
        }
    }
}

/// A listener, as a program holds it, of one kind: plain data.
pub(super) struct Line<A: Accepting> {
    remote: Remote,
    pub(super) key: TableKey,
    kind: PhantomData<fn() -> A>,
}

impl<A: Accepting> Line<A> {
    /// One that accepts nobody yet. From here on a drop tidies up.
    pub(super) fn new(local: &Local, remote: Remote) -> Self {
        let state = ListenerState { server: None, queue: VecDeque::new(), waiting: VecDeque::new() };
        let key = A::listeners(local).table.borrow_mut().insert(state);
        Self { remote, key, kind: PhantomData }
    }

    pub(super) fn begin(&self, local: &Local, server: A) {
        A::listeners(local).with(self.key, |state| state.server = Some(server));
    }

    pub(super) fn next(&self, place: &'static Location<'static>) -> Next<'_, A> {
        Next { line: self, ticket: NO_TICKET, place }
    }

    pub(super) fn local_address(&self, place: &'static Location<'static>) -> io::Result<Address> {
        let local = self.local(place)?;
        let address = A::listeners(&local).with(self.key, |state| state.server.as_ref()?.local_address());
        address.flatten().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn local(&self, place: &'static Location<'static>) -> io::Result<Rc<Local>> {
        Local::find(&self.remote)
            .ok_or_else(|| WrongThread::of("a listener", &self.remote, Some(place)).into())
    }
}

impl<A: Accepting> Drop for Line<A> {
    fn drop(&mut self) {
        on_loop(&self.remote, self.key, |local, key| A::listeners(local).remove(key));
    }
}

impl<A: Accepting> fmt::Debug for Line<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.key)
    }
}

impl<A: Accepting> ListenerState<A> {
    /// Waits in the line, or goes on waiting in the same place. `None` if the waker has to be cloned first.
    fn wait(&mut self, ticket: Ticket, visitor: &mut Visitor<'_>) -> Option<()> {
        if let Some(waiter) = self.waiting.iter_mut().find(|waiter| waiter.ticket == ticket) {
            return visitor.keep_in(&mut waiter.waker);
        }
        let waker = Some(visitor.waker()?);
        self.waiting.push_back(Waiter { ticket, waker });
        Some(())
    }

    /// Leaves the line: the waker to drop, and whom to wake instead, if there is something for them.
    fn leave(&mut self, ticket: Ticket) -> Left {
        let place = self.waiting.iter().position(|waiter| waiter.ticket == ticket);
        let old = place.and_then(|place| self.waiting.remove(place)).and_then(|waiter| waiter.waker);
        let next = self.waiting.front_mut().filter(|_| !self.queue.is_empty());
        Left { old, next: next.and_then(|waiter| waiter.waker.take()) }
    }
}

/// What leaving the line leads to, once nothing is borrowed any more.
#[derive(Default)]
struct Left {
    old: Option<Waker>,
    next: Option<Waker>,
}

impl Left {
    fn settle(self) {
        if let Some(next) = self.next {
            wake(next, "a listener");
        }
        discard(self.old, "a listener");
    }
}

/// Waits for a connection.
pub(super) struct Next<'a, A: Accepting> {
    line: &'a Line<A>,
    ticket: Ticket,
    /// Where it was asked for.
    place: &'static Location<'static>,
}

impl<A: Accepting> Future for Next<'_, A> {
    type Output = io::Result<A::Socket>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let local = self.line.local(self.place)?;
        if self.ticket == NO_TICKET {
            self.ticket = local.streams.ticket();
        }
        let ticket = self.ticket;
        let polled = attempt(context, "a listener", |visitor| {
            let step = A::listeners(&local).with(self.line.key, |state| {
                let Some(socket) = state.queue.pop_front() else {
                    return state.wait(ticket, visitor).map(|()| Poll::Pending);
                };
                if state.queue.len() < QUEUE / 2 {
                    state.server.iter().for_each(A::resume);
                }
                Some(Poll::Ready((socket, state.leave(ticket))))
            });
            // Without a listener there is nothing to wait for.
            step.map_or(Some(None), |step| step.map(Some))
        });
        let Some(polled) = polled else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        polled.map(|(socket, left)| {
            left.settle();
            Ok(socket)
        })
    }
}

impl<A: Accepting> Drop for Next<'_, A> {
    fn drop(&mut self) {
        let Some(local) = Local::find(&self.line.remote) else { return };
        let left = A::listeners(&local).with(self.line.key, |state| state.leave(self.ticket));
        left.unwrap_or_default().settle();
    }
}
