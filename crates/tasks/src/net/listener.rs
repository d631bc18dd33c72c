//! A listener, as a program holds it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use marline_reactor::{Address, Addresses, Handle, IntoEndpoint, ListenError, Remote, Server};

use super::io::on_loop;
use super::protocol::StreamProtocol;
use super::stream::Stream;
use super::turns::{NO_TICKET, Ticket};
use crate::error::WrongThread;
use crate::local::Local;
use crate::table::{Table, TableKey};
use crate::wake::{Visitor, attempt, discard, wake};

/// How many accepted connections wait for an [`accept`](Listener::accept) before the others are left to the
/// system's queue.
const QUEUE: usize = 64;

/// The listeners of a loop.
#[derive(Default)]
pub(crate) struct Listeners {
    table: RefCell<Table<ListenerState>>,
}

struct ListenerState {
    /// `None` while it is being made.
    server: Option<Server>,
    queue: VecDeque<Stream>,
    /// Who waits for a connection, the first to come first.
    waiting: VecDeque<Waiter>,
}

struct Waiter {
    ticket: Ticket,
    /// `None` if it was woken and has not come yet.
    waker: Option<Waker>,
}

impl Listeners {
    /// Works on a listener. `change` must run no code of anybody else's.
    fn with<R>(&self, key: TableKey, change: impl FnOnce(&mut ListenerState) -> R) -> Option<R> {
        self.table.borrow_mut().get_mut(key).map(change)
    }

    /// A connection was accepted.
    fn arrived(&self, key: TableKey, stream: Stream) {
        let mut stream = Some(stream);
        let told = self.with(key, |state| {
            state.queue.extend(stream.take());
            if state.queue.len() >= QUEUE {
                state.server.iter().for_each(Server::pause);
            }
            state.waiting.front_mut().and_then(|first| first.waker.take())
        });
        drop(stream);
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
            state.server.iter().for_each(Server::stop);
        }
    }
}

/// Listens for connections.
///
/// It is plain data, `Send` and `Sync`, and belongs to its loop as a [`Stream`] does. Connections that were accepted
/// before anybody asked wait here, at most 64, and are not read. Dropping it stops listening and closes those.
///
/// ```
/// use marline_tasks::{Listener, copy, spawn};
///
/// async fn serve(endpoint: &str) -> Result<(), Box<dyn std::error::Error>> {
///     let listener = Listener::bind(endpoint)?;
///     loop {
///         let stream = listener.accept().await?;
///         spawn(async move { copy(&stream, &stream).await });
///     }
/// }
/// ```
pub struct Listener {
    remote: Remote,
    key: TableKey,
}

impl Listener {
    /// Listens on an endpoint, on the loop that runs here.
    ///
    /// # Errors
    ///
    /// As [`Handle::listen`]; also without a loop.
    pub fn bind(endpoint: impl IntoEndpoint) -> Result<Self, ListenError> {
        let handle = Handle::current().map_err(|_| ListenError::Over)?;
        let local = Local::of(&handle).ok_or(ListenError::Over)?;
        let state = ListenerState { server: None, queue: VecDeque::new(), waiting: VecDeque::new() };
        let key = local.listeners.table.borrow_mut().insert(state);
        // From here on a drop tidies up.
        let listener = Self { remote: handle.remote(), key };
        let factory = factory(Rc::downgrade(&local), handle.remote(), key);
        let server = handle.listen(endpoint, factory)?;
        local.listeners.with(key, |state| state.server = Some(server));
        Ok(listener)
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// On the wrong thread, and after the end of the loop. A connection that could not be accepted (for want of
    /// descriptors, above all) is no error of this: the listener waits and goes on.
    ///
    /// # Cancellation
    ///
    /// A connection that a dropped future did not return is returned next time.
    #[track_caller]
    pub fn accept(&self) -> Accept<'_> {
        Accept { listener: self, ticket: NO_TICKET, place: Location::caller() }
    }

    /// Where it listens, with the real port.
    ///
    /// # Errors
    ///
    /// On the wrong thread, and after the end of the loop.
    #[track_caller]
    pub fn local_address(&self) -> io::Result<Address> {
        let address = self
            .local(Location::caller())?
            .listeners
            .with(self.key, |state| state.server.as_ref()?.local_address());
        address.flatten().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// The connections, as a stream in the sense of `futures`: it never ends but with an error.
    #[track_caller]
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { accept: self.accept() }
    }

    fn local(&self, place: &'static Location<'static>) -> io::Result<Rc<Local>> {
        Local::find(&self.remote)
            .ok_or_else(|| WrongThread::of("a listener", &self.remote, Some(place)).into())
    }
}

impl Accept<'_> {
    fn poll_accept(&mut self, context: &Context<'_>) -> Poll<io::Result<Stream>> {
        let local = self.listener.local(self.place)?;
        if self.ticket == NO_TICKET {
            self.ticket = local.streams.ticket();
        }
        let ticket = self.ticket;
        let polled = attempt(context, "a listener", |visitor| {
            let step = local.listeners.with(self.listener.key, |state| {
                let Some(stream) = state.queue.pop_front() else {
                    return state.wait(ticket, visitor).map(|()| Poll::Pending);
                };
                if state.queue.len() < QUEUE / 2 {
                    state.server.iter().for_each(Server::resume);
                }
                Some(Poll::Ready((stream, state.leave(ticket))))
            });
            // Without a listener there is nothing to wait for.
            step.map_or(Some(None), |step| step.map(Some))
        });
        let Some(polled) = polled else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        polled.map(|(stream, left)| {
            left.settle();
            Ok(stream)
        })
    }
}

/// Makes the protocol of each connection, and puts the stream over it into the listener's queue.
fn factory(
    local: Weak<Local>,
    remote: Remote,
    key: TableKey,
) -> impl FnMut(&Addresses) -> Option<StreamProtocol> + 'static {
    move |_| {
        let local = local.upgrade()?;
        let (protocol, stream) = StreamProtocol::with_stream(&local, remote.clone(), None);
        local.listeners.arrived(key, stream);
        Some(protocol)
    }
}

impl ListenerState {
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

impl Drop for Listener {
    fn drop(&mut self) {
        on_loop(&self.remote, self.key, |local, key| local.listeners.remove(key));
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({:?})", self.key)
    }
}

/// The future of [`Listener::accept`].
#[must_use = "futures do nothing unless awaited"]
pub struct Accept<'a> {
    listener: &'a Listener,
    ticket: Ticket,
    /// Where it was asked for.
    place: &'static Location<'static>,
}

impl Future for Accept<'_> {
    type Output = io::Result<Stream>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_accept(context)
    }
}

impl Drop for Accept<'_> {
    fn drop(&mut self) {
        let Some(local) = Local::find(&self.listener.remote) else { return };
        let left = local.listeners.with(self.listener.key, |state| state.leave(self.ticket));
        left.unwrap_or_default().settle();
    }
}

/// Made by [`Listener::incoming`].
pub struct Incoming<'a> {
    accept: Accept<'a>,
}

impl futures_core::Stream for Incoming<'_> {
    type Item = io::Result<Stream>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.accept).poll(context).map(Some)
    }
}

impl Incoming<'_> {
    /// The next connection, without the need for an extension trait.
    ///
    /// # Errors
    ///
    /// As [`Listener::accept`].
    pub async fn next(&mut self) -> io::Result<Stream> {
        poll_fn(|context| Pin::new(&mut self.accept).poll(context)).await
    }
}
