//! Pipes of a loop, and their far ends.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;

use marline_reactor::backend::Opening;
use marline_reactor::testing::{Peer, StreamKind};
use rustix::pipe::{PipeFlags, pipe_with};

use super::World;

/// The far end of a pipe. All methods return at once. Dropping it closes it.
pub enum FarPipe {
    File(File),
    Peer(Peer),
}

impl World {
    /// A pipe that the loop reads, and the end that writes.
    pub fn read_pipe(&self) -> (Opening, FarPipe) {
        self.pipe(StreamKind::ReadPipe)
    }

    /// A pipe that the loop writes, and the end that reads.
    pub fn write_pipe(&self) -> (Opening, FarPipe) {
        self.pipe(StreamKind::WritePipe)
    }

    fn pipe(&self, kind: StreamKind) -> (Opening, FarPipe) {
        if let Some(memory) = self.as_memory() {
            let (stream, peer) = memory.network().stream(kind);
            return (stream.into(), FarPipe::Peer(peer));
        }
        let (ours, far) = self.system_pipe(kind == StreamKind::ReadPipe);
        (ours.into(), far)
    }

    /// A pipe of the system's that the loop reads or writes, and its other end.
    pub(super) fn system_pipe(&self, reads: bool) -> (OwnedFd, FarPipe) {
        // The loop's end blocks, as one that came from elsewhere may.
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
        let (ours, theirs) = if reads { (read, write) } else { (write, read) };
        rustix::io::ioctl_fionbio(&theirs, true).expect("a non-blocking pipe");
        (ours, FarPipe::File(theirs.into()))
    }
}

impl FarPipe {
    /// Writes what fits: how much that was.
    pub fn write(&self, data: &[u8]) -> usize {
        match self {
            Self::Peer(peer) => peer.write(data),
            Self::File(file) => (&mut &*file).write(data).unwrap_or(0),
        }
    }

    /// Takes what arrived, and tells whether that is all.
    pub fn read(&self) -> (Vec<u8>, bool) {
        let file = match self {
            Self::Peer(peer) => {
                let bytes = peer.read();
                return (bytes, peer.is_finished());
            }
            Self::File(file) => file,
        };
        let mut bytes = Vec::new();
        match (&mut &*file).read_to_end(&mut bytes) {
            Ok(_) => (bytes, true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => (bytes, false),
            Err(error) => panic!("{error}"),
        }
    }
}
