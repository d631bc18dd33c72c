//! Streams of bytes that were not made by connecting: pipes, terminals, files, standard input and output.

use std::io;
use std::rc::Rc;

use crate::backend::{Opened, Opening};
use crate::connection::{Connection, Flags};
use crate::error::OpenError;
use crate::key::Key;
use crate::os_signal::survive_sigpipe;
use crate::protocol::Protocol;
use crate::reactor::{Handle, Shell, Slot};
use crate::transport::Transport;

/// The protocol until the first turn, which hears of nothing.
pub(crate) struct Nobody;

impl Protocol for Nobody {
    fn data_received(&mut self, _: &Transport, _: &[u8]) {}
}

impl Handle {
    /// Takes over a stream of bytes that exists already, and gives it to a protocol: a connected socket, one end of a pipe, a
    /// terminal, a file, or a descriptor to read and another to write.
    ///
    /// The protocol's `connection_made` is called soon, from the loop. What cannot be written answers `Closed` to writes. Of what
    /// cannot be read, a protocol hears nothing but the loss: in good order, if nobody reads what it writes any more and
    /// everything was written.
    ///
    /// Whoever else has the same open file notices nothing: its blocking mode stays as it is, except for the master side
    /// of a terminal. Bytes that were not read when the connection closes stay there for others, unless it is a socket.
    /// A pipe that nobody reads is lost when it is written to, and SIGPIPE is nothing to care about: where it would be deadly,
    /// which it is not in programs whose `main` is Rust's, a handler that does nothing is installed.
    /// Files that a multiplexer refuses are read and written without waiting, and disks are waited for.
    ///
    /// ```
    /// use marline_reactor::{Reactor, Transport};
    /// use std::io::Write;
    /// use std::os::fd::OwnedFd;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let reactor = Reactor::new()?;
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// reactor.handle().adopt_stream(ours, |transport: &Transport, data: &[u8]| {
    ///     assert_eq!(data, b"hello");
    ///     transport.close();
    /// })?;
    /// theirs.write_all(b"hello")?;
    /// reactor.run()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If it is no stream of bytes, or not open in the direction it is given for, or the system refuses. The descriptors are
    /// closed and the protocol is dropped then.
    pub fn adopt_stream<P: Protocol>(
        &self,
        opening: impl Into<Opening>,
        protocol: P,
    ) -> Result<Transport, OpenError> {
        self.shell().adopt_stream(opening.into(), Box::new(protocol))
    }

    /// Standard input and output as one connection: what is read is standard input, what is written standard output, and
    /// `write_eof` ends the latter. Everything written reaches whoever reads it before the connection is lost.
    ///
    /// Each may be a terminal, a pipe, a socket, a regular file, or `/dev/null`; both may be one socket. Their blocking mode, which
    /// they share with whoever started the program, stays as it is. When a direction ends, its descriptor becomes one of
    /// `/dev/null`, so that the other side sees the end: what is printed after the connection was lost goes nowhere. Nothing else
    /// should read standard input or write to standard output meanwhile.
    ///
    /// A reader of standard output that is gone is told by a write that fails, to who [asked](Transport::watch_peer), or when
    /// the input has ended. Of a terminal, [`Transport::window_size`] tells the size.
    ///
    /// ```no_run
    /// use marline_reactor::{Reactor, Transport};
    ///
    /// let reactor = Reactor::new()?;
    /// let shout = |transport: &Transport, data: &[u8]| {
    ///     transport.write(data.to_ascii_uppercase());
    /// };
    /// reactor.handle().stdio(shout)?;
    /// reactor.run()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If one of them is closed, or the system refuses.
    pub fn stdio<P: Protocol>(&self, protocol: P) -> Result<Transport, OpenError> {
        self.shell().adopt_stream(Opening::Stdio, Box::new(protocol))
    }
}

impl Shell {
    /// Begins a connection on what exists already. Its protocol is told from the ready queue, as a successor is.
    pub(crate) fn adopt_stream(
        self: &Rc<Self>,
        opening: Opening,
        protocol: Box<dyn Protocol>,
    ) -> Result<Transport, OpenError> {
        if self.refuses_work() {
            self.contained(move || drop(protocol));
            return Err(OpenError::Over);
        }
        let (key, opened) = match self.open_stream(opening) {
            Ok(opened) => opened,
            Err(source) => {
                self.contained(move || drop(protocol));
                return Err(OpenError::System { source });
            }
        };
        let mut connection = Connection::new(Box::new(Nobody), opened.addresses.clone(), None);
        connection.on(&opened);
        self.stand(key, connection);
        self.set_protocol(key, protocol, &[]);
        Ok(Transport::new(Rc::clone(self), key))
    }

    /// Has the backend open what exists already, in a slot of its own. What has a kernel may be a pipe that nobody reads any
    /// more.
    pub(crate) fn open_stream(&self, opening: Opening) -> io::Result<(Key, Opened)> {
        if !matches!(opening, Opening::Virtual(_)) {
            survive_sigpipe()?;
        }
        let key = self.add_slot(Slot::Reserved);
        match self.backend().open(key, opening) {
            Ok(opened) => Ok((key, opened)),
            Err(error) => {
                self.remove_slot(key);
                Err(error)
            }
        }
    }
}

impl Connection {
    /// What is particular about a stream that was opened.
    pub(crate) fn on(&mut self, opened: &Opened) {
        for (has_it_not, flags) in [
            (!opened.reads, Flags::EOF | Flags::WRITES_ONLY),
            (!opened.writes, Flags::EOF_ASKED | Flags::SHUT),
            (!opened.drops_input, Flags::KEEPS_INPUT),
        ] {
            if has_it_not {
                self.flags.set(flags);
            }
        }
    }
}
