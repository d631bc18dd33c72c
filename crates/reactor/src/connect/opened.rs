//! Connecting to what is opened rather than reached: standard input and output, descriptors, named pipes.

use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::{Attempt, Connecting};
use crate::backend::Opening;
use crate::endpoint::{Endpoint, OpenFor, Target};
use crate::error::ConnectError;
use crate::inherited;
use crate::key::Key;
use crate::process::{Command, Exit, Process};
use crate::reactor::{Handle, Shell};
use crate::ready::{Callback, Entry};
use crate::terminal::{Pty, WindowSize};

/// How often a named pipe is looked at that nobody reads yet: the system tells nobody when that changes.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

impl Handle {
    /// Connects to a stream of bytes that exists already, for whoever writes a [kind of endpoints](crate::EndpointKind): as
    /// [`adopt_stream`](Self::adopt_stream), with a factory and an outcome as [`connect`](Self::connect) has them. `name` stands for
    /// it in errors.
    ///
    /// ```
    /// use marline_reactor::{Addresses, Reactor, Transport};
    /// use std::os::unix::net::UnixStream;
    ///
    /// let reactor = Reactor::new()?;
    /// let (ours, theirs) = UnixStream::pair()?;
    /// let protocol = |_: &Transport, _: &[u8]| ();
    /// reactor.handle().connect_opened("pair:", ours, move |_: &Addresses| Some(Box::new(protocol) as _), |outcome| {
    ///     outcome.expect("a connection").close();
    /// });
    /// reactor.run()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn connect_opened(
        &self,
        name: impl Into<String>,
        opening: impl Into<Opening>,
        factory: impl FnOnce(&crate::Addresses) -> Option<Box<dyn crate::Protocol>> + 'static,
        done: impl FnOnce(Result<crate::Transport, ConnectError>) + 'static,
    ) -> Connecting {
        let (shell, name, opening) = (self.shell(), name.into(), opening.into());
        let endpoint = Endpoint::named(&name);
        let connecting =
            Connecting::insert(shell, endpoint, Box::new(factory), Box::new(done), Location::caller());
        if let Some(key) = connecting.key {
            let later = Rc::clone(shell);
            let open = move || later.opened(key, Ok(opening));
            shell.push(Entry::Call(Callback::new(open, Location::caller())));
        }
        connecting
    }
}

impl Attempt {
    /// What its endpoint names.
    fn target(&self) -> (Target, Option<OpenFor>) {
        (self.endpoint.target().clone(), self.endpoint.open_value())
    }
}

impl Shell {
    /// Opens what an endpoint names, from the loop.
    pub(super) fn open_soon(self: &Rc<Self>, key: Key, place: &'static Location<'static>) {
        let shell = Rc::clone(self);
        self.push(Entry::Call(Callback::new(move || shell.open_target(key), place)));
    }

    fn open_target(self: &Rc<Self>, key: Key) {
        let Some((target, open)) = self.attempt(key, |attempt| attempt.target()) else { return };
        let opening = match target {
            Target::Stdio => Ok(Opening::Stdio),
            Target::Descriptor(number) => inherited::take(number).map(Opening::from),
            Target::Systemd(name) => inherited::from_service_manager(&name).map(Opening::from),
            Target::Pipe(path) => match named_pipe(&path, open) {
                Err(error) if Errno::from_io_error(&error) == Some(Errno::NXIO) => {
                    return self.look_again(key);
                }
                opened => opened,
            },
            Target::Exec(command) => self.shell_command(&command),
            Target::Pty(command) => self.shell_in_terminal(&command),
            _ => Err(io::ErrorKind::Unsupported.into()),
        };
        self.opened(key, opening);
    }

    /// Starts a command, and answers with its standard output and input. It ends by itself, when it finds those closed; standard error
    /// is ours.
    fn shell_command(self: &Rc<Self>, command: &str) -> io::Result<Opening> {
        let (theirs_to_read, output) = pipe_with(PipeFlags::CLOEXEC)?;
        let (input, theirs_to_write) = pipe_with(PipeFlags::CLOEXEC)?;
        let command = Command::new("/bin/sh").args(["-c", command]);
        let command = command.stdin(theirs_to_read).stdout(theirs_to_write);
        Handle::new(Rc::clone(self)).spawn_process(command, |_: &Process, _: Exit| ())?;
        Ok(Opening::Pair { input, output })
    }

    /// Starts a command in a terminal of its own, which hangs up when the connection closes.
    fn shell_in_terminal(self: &Rc<Self>, command: &str) -> io::Result<Opening> {
        let handle = Handle::new(Rc::clone(self));
        let Pty { master, slave } = handle.open_pty(WindowSize::new(24, 80))?;
        let command = Command::new("/bin/sh").args(["-c", command]).terminal(slave.into_fd()?);
        handle.spawn_process(command, |_: &Process, _: Exit| ())?;
        Ok(master)
    }

    /// Nobody reads the pipe yet.
    fn look_again(self: &Rc<Self>, key: Key) {
        let shell = Rc::clone(self);
        let pause = self.timer_after(LOOK_AGAIN, move || {
            shell.attempt(key, |attempt| attempt.pause = None);
            shell.open_target(key);
        });
        self.attempt(key, |attempt| attempt.pause = Some(pause));
    }

    /// It is there, or not.
    fn opened(self: &Rc<Self>, key: Key, opening: io::Result<Opening>) {
        if self.attempt(key, |_| ()).is_none() {
            // It was given up meanwhile.
            return;
        }
        match opening.and_then(|opening| self.open_stream(opening)) {
            Ok((slot, opened)) => {
                let addresses = opened.addresses.clone();
                self.established(key, slot, addresses, |connection| connection.on(&opened));
            }
            Err(source) => {
                self.fail_connect(key, |attempt| ConnectError::Open {
                    target: attempt.endpoint.to_string(),
                    source,
                });
            }
        }
    }
}

/// A pipe is opened for writing only while somebody reads it: ENXIO says that nobody does.
fn named_pipe(path: &std::path::Path, open: Option<OpenFor>) -> io::Result<Opening> {
    let direction = if open == Some(OpenFor::Writing) { OFlags::WRONLY } else { OFlags::RDONLY };
    let flags = direction | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}
