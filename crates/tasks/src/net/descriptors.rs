//! Descriptors that pass over a stream, and who is at the other end of it.

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::Location;

use marline_reactor::{Credentials, Transport};

use super::halves::{ReadHalf, WriteHalf};
use super::io::Door;
use super::operations::Writing;
use super::stream::Stream;

/// A stream with so many descriptors that were not taken receives no more.
const MOST_UNTAKEN: usize = 253;

/// Descriptors that came, and that the program has not taken.
#[derive(Default)]
pub(super) struct Untaken(Vec<OwnedFd>);

impl Untaken {
    pub(super) fn push(&mut self, descriptor: OwnedFd) {
        self.0.push(descriptor);
    }

    /// Whether there are so many that no more are received.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MOST_UNTAKEN
    }

    pub(super) fn take(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.0)
    }
}

impl Stream {
    /// Sends a descriptor over a stream that [carries](marline_reactor::Endpoint::descriptors) them: between what was written
    /// before and what is written next, with whose first byte it travels, as [`Transport::send_descriptor`] tells. Waits while
    /// more than the high watermark waits to be sent.
    ///
    /// # Errors
    ///
    /// With a [`SendDescriptorError`](marline_reactor::SendDescriptorError) inside if the stream carries none, or if 253 wait for
    /// the next byte. How the connection ended; `BrokenPipe` after our direction was ended; `ResourceBusy` if a write is under way.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before it has resolved, the descriptor is closed and not sent.
    ///
    /// ```
    /// use std::fs::File;
    /// use std::io::Read;
    ///
    /// use marline_reactor::Endpoint;
    /// use marline_tasks::{Listener, Stream};
    ///
    /// # marline_tasks::run(async {
    /// # let path = std::env::temp_dir().join(format!("marline-send-descriptor-{}.sock", std::process::id()));
    /// let endpoint = Endpoint::unix(&path).descriptors(true);
    /// let listener = Listener::bind(&endpoint)?;
    /// let client = Stream::connect(&endpoint).await?;
    /// let server = listener.accept().await?;
    /// client.send_descriptor(File::open("Cargo.toml")?).await?;
    /// client.write_all(b"read this").await?;
    ///
    /// let mut message = [0; 16];
    /// server.read(&mut message).await?;
    /// let mut text = String::new();
    /// for descriptor in server.take_descriptors()? {
    ///     File::from(descriptor).read_to_string(&mut text)?;
    /// }
    /// assert!(text.contains("[package]"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    pub fn send_descriptor(
        &self,
        descriptor: impl Into<OwnedFd>,
    ) -> impl Future<Output = io::Result<()>> + Send + Sync {
        send(&self.port.door, descriptor.into())
    }

    /// Takes the descriptors that have come, in order: each is there when the byte that it was sent with has been read, and maybe
    /// earlier. Another call answers with those that came since. They are closed in programs that are started.
    ///
    /// Whoever does not take them has them closed with the stream. Descriptors cost the process more than bytes do, so a
    /// stream with 253 that were not taken does not receive: a read has what is there already, and then answers with
    /// [`UntakenDescriptors`](crate::UntakenDescriptors) until somebody takes them.
    ///
    /// # Errors
    ///
    /// `NotConnected` after the end of the loop; on the wrong thread.
    #[track_caller]
    pub fn take_descriptors(&self) -> io::Result<Vec<OwnedFd>> {
        self.port.door.take_descriptors()
    }

    /// Who is at the other end of a UNIX socket.
    ///
    /// # Errors
    ///
    /// Those of [`Transport::peer_credentials`]; on the wrong thread.
    ///
    /// ```
    /// use marline_reactor::Endpoint;
    /// use marline_tasks::{Listener, Stream};
    ///
    /// # marline_tasks::run(async {
    /// # let path = std::env::temp_dir().join(format!("marline-peer-credentials-{}.sock", std::process::id()));
    /// let listener = Listener::bind(Endpoint::unix(&path).mode(0o666))?;
    /// let client = Stream::connect(Endpoint::unix(&path)).await?;
    /// let server = listener.accept().await?;
    /// assert_eq!(server.peer_credentials()?.uid, client.peer_credentials()?.uid);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    pub fn peer_credentials(&self) -> io::Result<Credentials> {
        self.port.door.transport().and_then(|transport| transport.peer_credentials())
    }
}

impl ReadHalf {
    /// As [`Stream::take_descriptors`].
    ///
    /// # Errors
    ///
    /// Those of [`Stream::take_descriptors`].
    #[track_caller]
    pub fn take_descriptors(&self) -> io::Result<Vec<OwnedFd>> {
        self.port.door.take_descriptors()
    }
}

impl WriteHalf {
    /// As [`Stream::send_descriptor`].
    ///
    /// # Errors
    ///
    /// Those of [`Stream::send_descriptor`].
    #[track_caller]
    pub fn send_descriptor(
        &self,
        descriptor: impl Into<OwnedFd>,
    ) -> impl Future<Output = io::Result<()>> + Send + Sync {
        send(&self.door, descriptor.into())
    }
}

#[track_caller]
fn send(door: &Door, descriptor: OwnedFd) -> impl Future<Output = io::Result<()>> + Send + Sync {
    let place = Location::caller();
    async move {
        let turn = Writing { door, ticket: door.ticket(place)? };
        poll_fn(|context| turn.door.poll_writable(turn.ticket, context)).await?;
        door.send_descriptor(descriptor)
    }
}

/// Gives descriptors back to the connection, in front of those that it has.
pub(super) fn give_back(transport: &Transport, descriptors: Vec<OwnedFd>) {
    descriptors.into_iter().rev().for_each(|descriptor| transport.unread_descriptor(descriptor));
}
