//! What a handle says about reading.

use std::os::fd::OwnedFd;

use super::Transport;
use crate::connection::Suspension;

/// What [`Transport::try_receive`] received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Taken {
    /// How many bytes, at least one.
    pub count: usize,
    /// Whether there may be more to take. If not, the connection reads again: its protocol hears of what comes.
    pub more: bool,
}

impl Taken {
    pub(crate) fn new(count: usize, more: bool) -> Self {
        Self { count, more }
    }
}

impl Transport {
    /// Delivers no bytes and no end until [`resume_reading`](Self::resume_reading), beginning at once.
    pub fn pause_reading(&self) {
        self.shell.pause_reading(self.key);
    }

    /// Goes on with reading. What arrived meanwhile comes first.
    #[inline]
    pub fn resume_reading(&self) {
        self.shell.resume_reading(self.key);
    }

    /// Keeps the connection from reading as long as the answer lives, whatever [`pause_reading`](Self::pause_reading) and
    /// [`resume_reading`](Self::resume_reading) say meanwhile: a pause of a layer around the protocol, beside the
    /// protocol's own. The connection reads when nobody pauses it.
    ///
    /// ```
    /// use marline_reactor::testing::Recorder;
    ///
    /// let recorder = Recorder::new();
    /// let transport = recorder.transport();
    /// let suspension = transport.suspend_reading();
    /// transport.resume_reading();
    /// assert!(!transport.is_reading());
    /// drop(suspension);
    /// assert!(transport.is_reading());
    /// ```
    pub fn suspend_reading(&self) -> Suspension {
        Suspension::new(&self.shell, self.key)
    }

    /// Whether [`pause_reading`](Self::pause_reading) was called last, and not [`resume_reading`](Self::resume_reading).
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.shell.inspect(self.key, |connection| connection.is_paused()).unwrap_or(false)
    }

    /// Whether a [suspension](Self::suspend_reading) keeps it from reading.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.shell.inspect(self.key, |connection| connection.is_suspended()).unwrap_or(false)
    }

    /// Whether its protocol gets the bytes that come: reading is neither paused nor suspended, the connection not closing,
    /// and no other protocol about to take over.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        self.shell.inspect(self.key, |connection| connection.is_reading()).unwrap_or(false)
    }

    /// Puts bytes back in front of everything not yet delivered: the protocol gets them again, after `resume_reading` if
    /// reading is paused. Giving back the end of what is just being delivered costs no copy beyond the first.
    pub fn unread(&self, data: &[u8]) {
        self.shell.unread(self.key, data);
    }

    /// Puts a descriptor in front of everything not yet delivered, bytes and other descriptors: the protocol gets it again, or its
    /// successor does, after `resume_reading` if reading is paused. One protocol gives back several in the reverse order.
    pub fn unread_descriptor(&self, descriptor: OwnedFd) {
        self.shell.unread_descriptor(self.key, descriptor);
    }

    /// From now on the protocol is asked first whether it takes the bytes that come itself: with
    /// [`readable`](crate::Protocol::readable), where nothing stands in the way. The next protocol asks for itself.
    pub fn notify_readable(&self) {
        self.shell.notify_readable(self.key);
    }

    /// Receives into `buffer` what a protocol said that it takes itself: see [`Protocol::readable`](crate::Protocol::readable).
    ///
    /// `None` if there is nothing to be had in this way, now or at all, which is so in the connection's own callbacks, and with
    /// an empty buffer. The end and a failure come through the protocol then, and so do bytes after
    /// [`resume_reading`](Self::resume_reading). It is one system call at most, never blocks, and calls nobody.
    #[inline]
    pub fn try_receive(&self, buffer: &mut [u8]) -> Option<Taken> {
        self.shell.take_input(self.key, buffer)
    }
}
