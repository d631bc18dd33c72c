//! What can be watched.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsRawFd, RawFd};

use crate::backend::memory::VirtualSource;

/// Something that can be watched: whatever has a descriptor, a [`Mio`] source, or, in tests, a
/// [`VirtualSource`].
///
/// It is there for everything that implements [`AsRawFd`]: sockets, pipes, `eventfd`s, another library's handle, an
/// [`Rc`](std::rc::Rc) of one, and a bare [`RawFd`]. Another type may implement it by passing on.
pub trait Source: 'static {
    /// What a backend watches. It has to name the same thing each time.
    fn pollable(&mut self) -> Pollable<'_>;
}

impl<T: AsRawFd + 'static> Source for T {
    fn pollable(&mut self) -> Pollable<'_> {
        Pollable::Descriptor(self.as_raw_fd())
    }
}

/// What a backend watches.
#[non_exhaustive]
pub enum Pollable<'a> {
    /// A descriptor.
    Descriptor(RawFd),
    /// Something that registers itself with mio.
    Mio(&'a mut dyn mio::event::Source),
    /// Something without a kernel, for the memory backend.
    Virtual(VirtualSource),
}

impl fmt::Debug for Pollable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Descriptor(descriptor) => write!(f, "Descriptor({descriptor})"),
            Self::Mio(_) => f.write_str("Mio"),
            Self::Virtual(source) => write!(f, "Virtual({source:?})"),
        }
    }
}

/// A source of mio's, registered by its own [`register`](mio::event::Source::register).
///
/// For mio's sockets and for libraries whose sources are more than one descriptor. They have to be registered nowhere else.
///
/// ```
/// use marline_reactor::{Interest, Mio, Reactor};
/// use std::io::Read;
///
/// let reactor = Reactor::new()?;
/// let handle = reactor.handle();
/// let (mut sender, receiver) = mio::unix::pipe::new()?;
/// let stop = handle.clone();
/// handle.watch(Mio(receiver), Interest::READABLE, move |receiver, _| {
///     let mut bytes = [0; 16];
///     assert_eq!(receiver.read(&mut bytes).unwrap(), 5);
///     stop.stop();
/// })?;
/// std::io::Write::write_all(&mut sender, b"hello")?;
/// reactor.run()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Mio<M>(pub M);

impl<M: mio::event::Source + 'static> Source for Mio<M> {
    fn pollable(&mut self) -> Pollable<'_> {
        Pollable::Mio(&mut self.0)
    }
}

impl<M> Deref for Mio<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.0
    }
}

impl<M> DerefMut for Mio<M> {
    fn deref_mut(&mut self) -> &mut M {
        &mut self.0
    }
}

impl Source for VirtualSource {
    fn pollable(&mut self) -> Pollable<'_> {
        Pollable::Virtual(self.clone())
    }
}
