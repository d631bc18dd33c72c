//! Streams of bytes that exist already, as streams to await.

use marline_reactor::backend::Opening;
use marline_reactor::{Handle, OpenError, Protocol, Transport};

use super::stream::Stream;

impl Stream {
    /// Takes over a stream of bytes that exists already, as [`Handle::adopt_stream`] does: a connected socket, one end of a pipe,
    /// the master side of a terminal, a file, or a descriptor to read and another to write.
    ///
    /// Of what cannot be read the stream reads the end when nobody reads what it writes any more, and writes to what
    /// cannot be written fail with `BrokenPipe`.
    ///
    /// # Errors
    ///
    /// If it is no stream of bytes, or not open in the direction it is given for, or the system refuses;
    /// [`OpenError::Over`] outside of a loop. The descriptors are closed then.
    ///
    /// ```
    /// use marline_tasks::Stream;
    /// use std::io::Write;
    /// use std::os::unix::net::UnixStream;
    ///
    /// # marline_tasks::run(async {
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let stream = Stream::adopt(ours)?;
    /// theirs.write_all(b"hello")?;
    /// let mut buffer = [0; 16];
    /// let count = stream.read(&mut buffer).await?;
    /// assert_eq!(&buffer[..count], b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn adopt(opening: impl Into<Opening>) -> Result<Self, OpenError> {
        let handle = Handle::current().map_err(|_| OpenError::Over)?;
        let transport = handle.adopt_stream(opening, Nobody)?;
        // It is replaced before it hears of anything, and the stream has its transport at once.
        Self::from_transport(&transport).map_err(|_| OpenError::Over)
    }
}

/// The protocol until there is a stream.
struct Nobody;

impl Protocol for Nobody {
    fn data_received(&mut self, _: &Transport, _: &[u8]) {}
}

/// Standard input and output as one stream; [`Handle::stdio`] tells what that means. Where one task reads and another writes,
/// [`Stream::into_split`] makes a half of each.
///
/// # Errors
///
/// If one of them is closed, or the system refuses; [`OpenError::Over`] outside of a loop.
///
/// ```no_run
/// use marline_tasks::{copy, stdio};
///
/// // What `cat` does.
/// marline_tasks::run(async {
///     let (input, output) = stdio()?.into_split();
///     copy(input, output).await?;
///     Ok::<(), Box<dyn std::error::Error>>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn stdio() -> Result<Stream, OpenError> {
    Stream::adopt(Opening::Stdio)
}
