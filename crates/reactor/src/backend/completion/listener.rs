//! One listener, and the connections that were accepted ahead.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

use rustix::fs::OFlags;
use socket2::SockRef;

use crate::address::Address;
use crate::backend::SystemCalls;
use crate::backend::socket::{Listening, SocketFile};

/// How many connections are accepted ahead before the accept is cancelled. What has come by then is still kept: a wait takes
/// all that stand in the listener's backlog, so the bound is this and the backlog together.
const AHEAD: usize = 64;

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    /// `None` once it is being closed.
    socket: Option<OwnedFd>,
    pub(super) local: Address,
    /// Whether descriptors are passed over its connections.
    pub(super) descriptors: bool,
    /// Removed when it closes.
    file: Option<SocketFile>,
    /// What was accepted and not asked for, and errors, in order.
    pub(super) ready: VecDeque<Result<OwnedFd, i32>>,
    /// An accept is under way.
    pub(super) accepting: bool,
    /// It is being cancelled, as nobody asks for what it brings.
    pub(super) stopping: bool,
    /// No accept begins any more, though it is not closed.
    pub(super) quits: bool,
    /// Those who wait are looked for once more, by calls: the accept that was cancelled may have been woken for one, and kept
    /// that from whoever else waits on the socket (io_uring waits exclusively). Only where such a call cannot block.
    pub(super) sweeps: bool,
    pub(super) under_way: u8,
    /// The core was told of connections, and has not accepted all of them since.
    pub(super) told: bool,
}

impl Listener {
    pub(super) fn new(listening: Listening) -> Self {
        let Listening { socket, local, file, descriptors, .. } = listening;
        Self {
            socket: Some(socket),
            local,
            descriptors,
            file,
            ready: VecDeque::new(),
            accepting: false,
            stopping: false,
            quits: false,
            sweeps: false,
            under_way: 0,
            told: false,
        }
    }

    /// The descriptor, unless it is being closed.
    pub(super) fn fd(&self) -> Option<RawFd> {
        self.socket.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Whether so many wait that the accept should be cancelled.
    pub(super) fn is_full(&self) -> bool {
        self.accepting && !self.stopping && self.ready.len() >= AHEAD
    }

    /// No accept is under way any more, nor begins.
    pub(super) fn begin_sweeping(&mut self, calls: &mut SystemCalls) {
        let Some(socket) = &self.socket else { return };
        calls.others += 1;
        self.sweeps = rustix::fs::fcntl_getfl(socket).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK));
    }

    /// One who waits still.
    pub(super) fn sweep(&self, calls: &mut SystemCalls) -> Option<Result<OwnedFd, i32>> {
        let socket = self.socket.as_ref().filter(|_| self.sweeps)?;
        loop {
            calls.accepts += 1;
            match SockRef::from(socket).accept() {
                Ok((connection, _)) => return Some(Ok(connection.into())),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) => return error.raw_os_error().map(Err),
            }
        }
    }

    /// The descriptor, which from now on is somebody else's to close. What was accepted ahead is closed, too.
    pub(super) fn give_up_socket(&mut self) -> Option<RawFd> {
        self.ready.clear();
        self.file = None;
        self.socket.take().map(IntoRawFd::into_raw_fd)
    }
}
