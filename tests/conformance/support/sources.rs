//! Something to watch on any backend, and the far end of it.

use std::cell::Cell;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use marline_reactor::testing::VirtualSource;
use marline_reactor::{Pollable, Ready, Source};

use super::world::World;

/// The end that the loop watches. It counts what has arrived in signals, one byte each.
pub enum Near {
    Socket(UnixStream),
    /// A bare number.
    Number(RawFd),
    Virtual(VirtualSource, Rc<Cell<usize>>),
}

/// The other end.
pub enum Far {
    Socket(UnixStream),
    Virtual(VirtualSource, Rc<Cell<usize>>),
}

impl World {
    /// A source that can be written and has nothing to read.
    pub fn source(&self) -> (Near, Far) {
        pair(self.is_memory())
    }
}

/// A source that can be written and has nothing to read: one without a kernel, for the memory backend, or a socket.
pub fn pair(is_virtual: bool) -> (Near, Far) {
    if is_virtual {
        let (source, count) = (VirtualSource::new(), Rc::default());
        source.raise(Ready::WRITABLE);
        return (Near::Virtual(source.clone(), Rc::clone(&count)), Far::Virtual(source, count));
    }
    let (near, far) = UnixStream::pair().expect("a pair of sockets");
    near.set_nonblocking(true).expect("a non-blocking socket");
    far.set_nonblocking(true).expect("a non-blocking socket");
    (Near::Socket(near), Far::Socket(far))
}

impl Source for Near {
    fn pollable(&mut self) -> Pollable<'_> {
        match self {
            Self::Socket(stream) => Pollable::Descriptor(stream.as_raw_fd()),
            Self::Number(number) => Pollable::Descriptor(*number),
            Self::Virtual(source, _) => Pollable::Virtual(source.clone()),
        }
    }
}

impl Near {
    /// The same source a second time.
    pub fn again(&self) -> Self {
        match self {
            Self::Socket(stream) => Self::Number(stream.as_raw_fd()),
            Self::Number(number) => Self::Number(*number),
            Self::Virtual(source, count) => Self::Virtual(source.clone(), Rc::clone(count)),
        }
    }

    pub fn descriptor(&self) -> Option<RawFd> {
        match self {
            Self::Socket(stream) => Some(stream.as_raw_fd()),
            Self::Number(number) => Some(*number),
            Self::Virtual(..) => None,
        }
    }

    /// Takes one signal: whether there was one.
    pub fn take(&mut self) -> bool {
        match self {
            Self::Socket(stream) => matches!(stream.read(&mut [0]), Ok(1)),
            Self::Number(_) => false,
            Self::Virtual(source, count) => {
                let left = count.get();
                count.set(left.saturating_sub(1));
                if left <= 1 {
                    source.lower(Ready::READABLE);
                }
                left > 0
            }
        }
    }

    /// Takes all signals: how many there were.
    pub fn drain(&mut self) -> usize {
        std::iter::from_fn(|| self.take().then_some(())).count()
    }

    /// Writes until nothing more fits.
    pub fn fill(&mut self) {
        match self {
            Self::Socket(stream) => while stream.write(&[0; 4096]).is_ok() {},
            Self::Number(_) => {}
            Self::Virtual(source, _) => source.lower(Ready::WRITABLE),
        }
    }
}

impl Far {
    /// Sends one signal.
    pub fn signal(&mut self) {
        match self {
            Self::Socket(stream) => stream.write_all(&[1]).expect("room for a byte"),
            Self::Virtual(source, count) => {
                count.set(count.get() + 1);
                source.raise(Ready::READABLE);
            }
        }
    }

    /// Reads what the near end wrote.
    pub fn make_room(&mut self) {
        match self {
            Self::Socket(stream) => while stream.read(&mut [0; 65536]).is_ok_and(|count| count > 0) {},
            Self::Virtual(source, _) => source.raise(Ready::WRITABLE),
        }
    }

    /// Hangs up.
    pub fn hang_up(self) {
        match self {
            Self::Socket(stream) => drop(stream),
            Self::Virtual(source, _) => {
                source.raise(Ready::READABLE | Ready::READ_CLOSED | Ready::WRITE_CLOSED);
            }
        }
    }
}
