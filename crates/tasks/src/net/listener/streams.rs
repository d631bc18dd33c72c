//! Listeners for streams.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use marline_reactor::{Address, Addresses, Handle, IntoEndpoint, ListenError, Remote, Server};

use super::line::{Accepting, Line, Listeners, Next};
use crate::local::Local;
use crate::net::protocol::StreamProtocol;
use crate::net::stream::Stream;
use crate::table::TableKey;

impl Accepting for Server {
    type Socket = Stream;

    fn listeners(local: &Local) -> &Listeners<Self> {
        &local.listeners
    }

    fn pause(&self) {
        Self::pause(self);
    }

    fn resume(&self) {
        Self::resume(self);
    }

    fn stop(&self) {
        Self::stop(self);
    }

    fn local_address(&self) -> Option<Address> {
        Self::local_address(self)
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
    line: Line<Server>,
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
        let line = Line::new(&local, handle.remote());
        let factory = factory(Rc::downgrade(&local), handle.remote(), line.key);
        line.begin(&local, handle.listen(endpoint, factory)?);
        Ok(Self { line })
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
        Accept { next: self.line.next(Location::caller()) }
    }

    /// Where it listens, with the real port.
    ///
    /// # Errors
    ///
    /// On the wrong thread, and after the end of the loop.
    #[track_caller]
    pub fn local_address(&self) -> io::Result<Address> {
        self.line.local_address(Location::caller())
    }

    /// The connections, as a stream in the sense of `futures`: it never ends but with an error.
    #[track_caller]
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { accept: self.accept() }
    }
}

/// Makes the protocol of each connection, which puts the stream over it into the listener's queue.
fn factory(
    local: Weak<Local>,
    remote: Remote,
    key: TableKey,
) -> impl FnMut(&Addresses) -> Option<StreamProtocol> + 'static {
    move |_| {
        let local = local.upgrade()?;
        let (protocol, stream) = StreamProtocol::with_stream(&local, remote.clone(), None);
        Some(protocol.when_made(move |local| local.listeners.arrived(key, stream)))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({:?})", self.line)
    }
}

/// The future of [`Listener::accept`].
#[must_use = "futures do nothing unless awaited"]
pub struct Accept<'a> {
    next: Next<'a, Server>,
}

impl Future for Accept<'_> {
    type Output = io::Result<Stream>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.next).poll(context)
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
