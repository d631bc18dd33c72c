//! What the core gives to be opened.

use std::fs::File;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{ChildStderr, ChildStdin, ChildStdout};

use crate::address::Addresses;
use crate::backend::memory::VirtualStream;

/// A stream of bytes that exists already, for [`Handle::adopt_stream`](crate::Handle::adopt_stream).
#[derive(Debug)]
#[non_exhaustive]
pub enum Opening {
    /// One descriptor: a connected stream socket, a terminal, one end of a pipe, a file. It is read and written as
    /// far as it was opened for that.
    One(OwnedFd),
    /// One descriptor to read from, another to write to.
    Pair {
        /// What is read.
        input: OwnedFd,
        /// What is written.
        output: OwnedFd,
    },
    /// A connected UNIX stream socket, over which descriptors are passed as well.
    Passing(OwnedFd),
    /// Standard input and standard output.
    Stdio,
    /// Something without a kernel, for the memory backend.
    Virtual(VirtualStream),
}

impl Opening {
    /// A connected UNIX stream socket that [descriptors](crate::Transport::send_descriptor) are passed over, both ways.
    ///
    /// ```
    /// use marline_reactor::backend::Opening;
    /// use marline_reactor::{Reactor, Transport};
    /// use std::os::unix::net::UnixStream;
    ///
    /// let reactor = Reactor::new()?;
    /// let (ours, theirs) = UnixStream::pair()?;
    /// let silent = |_: &Transport, _: &[u8]| ();
    /// let transport = reactor.handle().adopt_stream(Opening::with_descriptors(ours), silent)?;
    /// transport.send_descriptor(std::fs::File::open("/dev/null")?)?;
    /// transport.write(b"with this byte");
    /// transport.close();
    /// reactor.run()?;
    /// # drop(theirs);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_descriptors(socket: impl Into<OwnedFd>) -> Self {
        Self::Passing(socket.into())
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Both ends, in words where they have no addresses.
    pub addresses: Addresses,
    /// Whether there is something to read; if not, input only ever means that nobody reads what we write any more.
    pub reads: bool,
    /// Whether it can be written.
    pub writes: bool,
    /// Whether closing over bytes that were not read does harm, so that they are to be read and dropped first. They may be
    /// meant for others, if not.
    pub drops_input: bool,
}

impl From<OwnedFd> for Opening {
    fn from(descriptor: OwnedFd) -> Self {
        Self::One(descriptor)
    }
}

impl From<(OwnedFd, OwnedFd)> for Opening {
    /// What is read, and what is written.
    fn from((input, output): (OwnedFd, OwnedFd)) -> Self {
        Self::Pair { input, output }
    }
}

impl From<VirtualStream> for Opening {
    fn from(stream: VirtualStream) -> Self {
        Self::Virtual(stream)
    }
}

macro_rules! one {
    ($($kind:ty)*) => {$(
        impl From<$kind> for Opening {
            fn from(descriptor: $kind) -> Self {
                Self::One(descriptor.into())
            }
        }
    )*};
}

one!(TcpStream UnixStream File ChildStdin ChildStdout ChildStderr);
