//! Where there is no timerfd(2), hosts get no descriptor.

use std::io;
use std::os::fd::RawFd;

use super::SystemCalls;
use crate::instant::Instant;

#[derive(Debug)]
pub(super) struct Alarm;

impl Alarm {
    pub(super) fn new(_: &mut SystemCalls) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn descriptor(&self) -> RawFd {
        -1
    }

    pub(super) fn set(&mut self, _: Option<Instant>, _: Instant, _: &mut SystemCalls) {}
}
