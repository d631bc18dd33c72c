//! Parts of files on their way out.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::io::Errno;

/// A part of a file, to be sent. Reading it never moves the position of the file, so one open file serves any number.
#[derive(Clone, Debug)]
pub struct FileRange {
    file: Arc<File>,
    offset: u64,
    len: usize,
    /// The peer was promised all of it; otherwise it ends where the file ends.
    is_promised: bool,
    /// The backend could not send it, so it is read.
    is_read: bool,
}

impl FileRange {
    pub(crate) fn new(file: Arc<File>, offset: u64, len: usize, is_promised: bool) -> Self {
        Self { file, offset, len, is_promised, is_read: false }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Where in the file it begins.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many bytes are to be sent.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none are. The core lends no such range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first `count` bytes of it (all of them, if there are not so many).
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        Self { len: self.len.min(count), ..self.clone() }
    }

    pub(crate) fn is_promised(&self) -> bool {
        self.is_promised
    }

    pub(crate) fn is_read(&self) -> bool {
        self.is_read
    }

    pub(crate) fn read_from_now_on(&mut self) {
        self.is_read = true;
    }

    /// `count` bytes of it were sent.
    pub(crate) fn skip(&mut self, count: usize) {
        self.offset += count as u64;
        self.len -= count;
    }

    /// Reads from its beginning into the empty `buffer`, as much as has room there: how many bytes, none at the file's end.
    pub(crate) fn read(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        loop {
            match rustix::io::pread(&self.file, rustix::buffer::spare_capacity(buffer), self.offset) {
                Err(Errno::INTR) => {}
                result => {
                    result?;
                    // The buffer may have more room than the range has bytes.
                    buffer.truncate(self.len);
                    return Ok(buffer.len());
                }
            }
        }
    }
}
