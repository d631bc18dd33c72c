//! What keeps a descriptor from being sent.

use std::fmt;
use std::os::fd::OwnedFd;

use thiserror::Error;

/// A descriptor was not accepted for sending. Hands it back.
#[derive(Error)]
#[error("{}", self.text())]
pub struct SendDescriptorError {
    descriptor: OwnedFd,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unsupported,
    Full,
    Closed,
}

impl SendDescriptorError {
    pub(crate) fn unsupported(descriptor: OwnedFd) -> Self {
        Self { descriptor, kind: Kind::Unsupported }
    }

    pub(crate) fn full(descriptor: OwnedFd) -> Self {
        Self { descriptor, kind: Kind::Full }
    }

    pub(crate) fn closed(descriptor: OwnedFd) -> Self {
        Self { descriptor, kind: Kind::Closed }
    }

    /// Whether the connection was not opened for descriptors, or is of a kind that has none.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        self.kind == Kind::Unsupported
    }

    /// Whether as many wait for the next byte as can travel with one: write something first.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.kind == Kind::Full
    }

    /// Whether the connection is closing, closed, or its direction was ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.kind == Kind::Closed
    }

    /// The descriptor.
    #[must_use]
    pub fn into_descriptor(self) -> OwnedFd {
        self.descriptor
    }

    pub(super) fn io_kind(&self) -> std::io::ErrorKind {
        match self.kind {
            Kind::Unsupported => std::io::ErrorKind::Unsupported,
            Kind::Full => std::io::ErrorKind::QuotaExceeded,
            Kind::Closed => std::io::ErrorKind::BrokenPipe,
        }
    }

    fn text(&self) -> &'static str {
        match self.kind {
            Kind::Unsupported => "the connection carries no descriptors",
            Kind::Full => "253 descriptors wait for the next byte already",
            Kind::Closed => "the connection takes no more",
        }
    }
}

/// Descriptors came for which the process had no room: its table was full (EMFILE). The system closed some of them, so those
/// that came with the same bytes are closed as well, and the connection is lost.
///
/// It is found in the error of [`Reason::Io`](crate::Reason::Io):
///
/// ```
/// use marline_reactor::{DescriptorsCut, Lost, Reason};
///
/// /// Whether to try again when the process has fewer files open.
/// fn is_for_lack_of_room(lost: &Lost) -> bool {
///     match lost.reason() {
///         Reason::Io(error) => error.get_ref().is_some_and(|inner| inner.is::<DescriptorsCut>()),
///         _ => false,
///     }
/// }
/// # drop(is_for_lack_of_room);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("descriptors came for which this process has no room")]
pub struct DescriptorsCut(());

impl DescriptorsCut {
    pub(crate) const fn new() -> Self {
        Self(())
    }
}

impl From<DescriptorsCut> for std::io::Error {
    /// Of the kind `QuotaExceeded`.
    fn from(error: DescriptorsCut) -> Self {
        Self::new(std::io::ErrorKind::QuotaExceeded, error)
    }
}

impl fmt::Debug for SendDescriptorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SendDescriptorError").field(&self.kind).finish()
    }
}
