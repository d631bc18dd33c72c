//! What a program gives the loop for a process.

use std::os::fd::RawFd;

use super::{Exit, Process};
use crate::lost::Lost;
use crate::protocol::OnEof;

/// What happens with one child process, told by callbacks.
///
/// The order is `made`; then what its pipes bring, `exited`, and what is left in the pipes, in any order, as the child may exit
/// before everything it wrote is read, and a child of its own may hold its pipes; `ended` last, exactly once. Every callback
/// starts from the loop, as those of a [`Protocol`](crate::Protocol).
///
/// A panic in a callback about a pipe ends that pipe, and nothing else; one in another callback is reported.
///
/// ```
/// use marline_reactor::{ChildFd, Command, Exit, Process, ProcessProtocol, Reactor};
/// use std::os::fd::RawFd;
///
/// #[derive(Default)]
/// struct Print(Vec<u8>);
///
/// impl ProcessProtocol for Print {
///     fn data_received(&mut self, _: &Process, _: RawFd, data: &[u8]) {
///         self.0.extend_from_slice(data);
///     }
///
///     fn ended(&mut self, _: &Process, exit: Exit) {
///         assert_eq!((&self.0[..], exit), (&b"hello\n"[..], Exit::Code(0)));
///     }
/// }
///
/// let reactor = Reactor::new()?;
/// let command = Command::new("echo").arg("hello").stdout(ChildFd::Output);
/// reactor.handle().spawn_process(command, Print::default())?;
/// reactor.run()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ProcessProtocol: 'static {
    /// The child runs. Its pipes can be written to.
    fn made(&mut self, process: &Process) {
        let _ = process;
    }

    /// The child wrote to this descriptor of its.
    fn data_received(&mut self, process: &Process, descriptor: RawFd, data: &[u8]) {
        let _ = (process, descriptor, data);
    }

    /// Nobody writes to this descriptor any more, and everything before that was received.
    fn eof_received(&mut self, process: &Process, descriptor: RawFd) -> OnEof {
        let _ = (process, descriptor);
        OnEof::Close
    }

    /// More than the high watermark waits for the child to read this descriptor.
    fn pause_writing(&mut self, process: &Process, descriptor: RawFd) {
        let _ = (process, descriptor);
    }

    /// No more than the low watermark waits.
    fn resume_writing(&mut self, process: &Process, descriptor: RawFd) {
        let _ = (process, descriptor);
    }

    /// The pipe to this descriptor is gone: the child closed it, or we did. The others go on.
    fn pipe_lost(&mut self, process: &Process, descriptor: RawFd, lost: &Lost) {
        let _ = (process, descriptor, lost);
    }

    /// The child has exited, whatever its pipes do. There is nothing to signal any more.
    fn exited(&mut self, process: &Process, exit: Exit) {
        let _ = (process, exit);
    }

    /// The child has exited, and all its pipes are closed: the last callback.
    fn ended(&mut self, process: &Process, exit: Exit) {
        let _ = (process, exit);
    }
}

/// For who waits for nothing but the end.
impl<F: FnMut(&Process, Exit) + 'static> ProcessProtocol for F {
    fn ended(&mut self, process: &Process, exit: Exit) {
        self(process, exit);
    }
}
