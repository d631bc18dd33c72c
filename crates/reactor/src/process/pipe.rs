//! The protocol of a pipe to a child: it tells the process's own.

use std::os::fd::RawFd;
use std::rc::Weak;

use super::{Process, ProcessProtocol};
use crate::key::Key;
use crate::lost::Lost;
use crate::protocol::{OnEof, Protocol};
use crate::reactor::Shell;
use crate::transport::Transport;

pub(super) struct Pipe {
    pub(super) shell: Weak<Shell>,
    pub(super) process: Key,
    pub(super) number: RawFd,
    /// It was told that the pipe is gone.
    pub(super) is_lost: bool,
}

impl Pipe {
    fn tell<R>(&self, call: impl FnOnce(&mut dyn ProcessProtocol, &Process) -> R) -> Option<R> {
        self.shell.upgrade()?.tell_process(self.process, call)
    }
}

impl Protocol for Pipe {
    fn data_received(&mut self, _: &Transport, data: &[u8]) {
        self.tell(|protocol, process| protocol.data_received(process, self.number, data));
    }

    fn eof_received(&mut self, _: &Transport) -> OnEof {
        self.tell(|protocol, process| protocol.eof_received(process, self.number)).unwrap_or_default()
    }

    fn pause_writing(&mut self, _: &Transport) {
        self.tell(|protocol, process| protocol.pause_writing(process, self.number));
    }

    fn resume_writing(&mut self, _: &Transport) {
        self.tell(|protocol, process| protocol.resume_writing(process, self.number));
    }

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        // Its drop lets the process end, also if this panics.
        self.is_lost = true;
        self.tell(|protocol, process| protocol.pipe_lost(process, self.number, lost));
    }
}

/// The pipe is gone, or another protocol has it: the end of the process does not wait for it any more.
impl Drop for Pipe {
    fn drop(&mut self) {
        if let Some(shell) = self.shell.upgrade() {
            shell.pipe_gone(self.process, self.number, self.is_lost);
        }
    }
}
