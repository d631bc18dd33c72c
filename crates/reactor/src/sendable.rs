//! Which part of which file is to be sent.

use std::fs::File;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use crate::backend::FileRange;
use crate::error::{SendFileError, SendFileErrorKind};

/// Looks whether `range` of `file` can be sent. A range without an end goes as far as the file does by then, and ends before
/// that if the file has become shorter. So many bytes wait already: files take no memory, and yet all that waits is counted.
pub(crate) fn sendable(
    file: Arc<File>,
    range: &impl RangeBounds<u64>,
    waiting: usize,
) -> Result<FileRange, SendFileError> {
    let counted = |len: usize| waiting.checked_add(len).is_some_and(|sum| isize::try_from(sum).is_ok());
    match measure(&file, range) {
        Ok((_, len)) if !counted(len) => Err(SendFileError::new(file, SendFileErrorKind::TooMuch)),
        Ok((start, len)) => Ok(FileRange::new(file, start, len, range.end_bound() != Bound::Unbounded)),
        Err(cause) => Err(SendFileError::new(file, cause)),
    }
}

/// Where the range begins, and how long it is.
fn measure(file: &File, range: &impl RangeBounds<u64>) -> Result<(u64, usize), SendFileErrorKind> {
    let size = size(file)?;
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => size,
    };
    let len = end.checked_sub(start).filter(|_| end <= size).and_then(|len| usize::try_from(len).ok());
    match len {
        Some(len) => Ok((start, len)),
        None => Err(SendFileErrorKind::OutOfRange { start, end, size }),
    }
}

fn size(file: &File) -> Result<u64, SendFileErrorKind> {
    let system = |error: Errno| SendFileErrorKind::System(error.into());
    let about = rustix::fs::fstat(file).map_err(system)?;
    if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
        return Err(SendFileErrorKind::NotRegular);
    }
    let flags = rustix::fs::fcntl_getfl(file).map_err(system)?;
    if flags.contains(OFlags::PATH) || (flags & OFlags::RWMODE) == OFlags::WRONLY {
        return Err(SendFileErrorKind::Unreadable);
    }
    Ok(u64::try_from(about.st_size).unwrap_or(0))
}
