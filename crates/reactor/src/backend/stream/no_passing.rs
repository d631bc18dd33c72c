//! Where there is no call for it that is known here, files are read.

use std::io;
use std::os::fd::AsFd;

use crate::backend::{FileRange, SystemCalls};

pub(super) fn to_socket(_: &impl AsFd, _: &FileRange, _: &mut SystemCalls) -> io::Result<(usize, bool)> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn to_pipe(_: &impl AsFd, _: &FileRange, _: &mut SystemCalls) -> io::Result<(usize, bool)> {
    Err(io::ErrorKind::Unsupported.into())
}
