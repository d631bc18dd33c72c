//! Terminals without a kernel.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::rc::Rc;

use super::Memory;
use super::network::Network;
use super::peer::Peer;
use super::virtual_stream::{StreamKind, VirtualStream};
use crate::backend::{Opening, Terminals};
use crate::key::Key;
use crate::terminal::{Pty, WindowSize};

/// The window of a terminal, as both sides have it.
#[derive(Debug, Default)]
pub(super) struct Window {
    size: WindowSize,
    /// What its size became, for the script to take.
    resizes: Vec<WindowSize>,
}

impl Window {
    fn of(stream: &VirtualStream, size: WindowSize) -> Rc<RefCell<Self>> {
        let window = Rc::new(RefCell::new(Self { size, resizes: Vec::new() }));
        stream.set_window(Rc::clone(&window));
        window
    }
}

/// The other side of a terminal without a kernel: a test is the program in it, or the person before it.
///
/// Where a loop made the terminal ([`Handle::open_pty`](crate::Handle::open_pty)), the test gets this from
/// [`Network::terminal`] and plays the program inside. Where the loop's program runs in the terminal
/// ([`Handle::stdio`](crate::Handle::stdio)), the test makes it by [`Network::stdio_terminal`] and is the person.
///
/// It passes bytes on as they are: nothing is echoed, edited or translated, and a `write_eof` of the loop's is an
/// [end](Peer::is_finished).
///
/// ```
/// use marline_reactor::Transport;
/// use marline_reactor::terminal::WindowSize;
/// use marline_reactor::testing::MemoryReactor;
///
/// let memory = MemoryReactor::new();
/// let pty = memory.handle().open_pty(WindowSize::new(24, 80))?;
/// let program = memory.network().terminal().expect("it was made");
/// let terminal = memory.handle().adopt_stream(pty.master, |terminal: &Transport, shown: &[u8]| {
///     assert_eq!(shown, b"password: ");
///     terminal.write(b"secret\n");
/// })?;
/// program.peer().write(b"password: ");
/// memory.pump();
/// assert_eq!(program.peer().read(), b"secret\n");
///
/// terminal.set_window_size(WindowSize::new(50, 132))?;
/// assert_eq!(program.take_resizes(), [WindowSize::new(50, 132)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct VirtualTerminal {
    peer: Peer,
    window: Rc<RefCell<Window>>,
}

impl VirtualTerminal {
    /// What is read and written here is what the other side writes and reads. Closing it is the end of the last program in the
    /// terminal, or a hang-up.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The size of the window.
    #[must_use]
    pub fn window_size(&self) -> WindowSize {
        self.window.borrow().size
    }

    /// Sets the size of the window.
    pub fn set_window_size(&self, size: WindowSize) {
        self.window.borrow_mut().size = size;
    }

    /// What the loop changed the size to since this was last asked, oldest first: each would be a SIGWINCH. A size that was
    /// set again is no change.
    #[must_use]
    pub fn take_resizes(&self) -> Vec<WindowSize> {
        std::mem::take(&mut self.window.borrow_mut().resizes)
    }
}

impl fmt::Debug for VirtualTerminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualTerminal").field("size", &self.window_size()).finish_non_exhaustive()
    }
}

impl Network {
    /// The other side of the oldest terminal that a loop [made](crate::Handle::open_pty) and whose other side was not taken yet.
    #[must_use]
    pub fn terminal(&self) -> Option<VirtualTerminal> {
        let (peer, window) = self.state().terminals.pop_front()?;
        Some(VirtualTerminal { peer: Peer::of(self, peer)?, window })
    }

    /// As [`stdio`](Self::stdio), where standard input and output are a terminal.
    #[must_use]
    pub fn stdio_terminal(&self, size: WindowSize) -> VirtualTerminal {
        let (stream, peer) = VirtualStream::pair(self, StreamKind::Duplex, "stdio:");
        let window = Window::of(&stream, size);
        self.set_stdio(stream);
        VirtualTerminal { peer, window }
    }
}

impl Terminals for Memory {
    fn open_pty(&mut self, size: WindowSize) -> Option<io::Result<Pty>> {
        let (master, peer, _) = VirtualStream::ends(&self.network, StreamKind::Duplex, "terminal");
        let window = Window::of(&master, size);
        self.network.state().terminals.push_back((peer, window));
        Some(Ok(Pty::without_kernel(Opening::Virtual(master))))
    }

    fn window_size(&mut self, key: Key) -> io::Result<WindowSize> {
        Ok(self.window(key)?.borrow().size)
    }

    fn set_window_size(&mut self, key: Key, size: WindowSize) -> io::Result<()> {
        let window = self.window(key)?;
        let mut window = window.borrow_mut();
        if window.size != size {
            window.size = size;
            window.resizes.push(size);
        }
        Ok(())
    }
}

impl Memory {
    fn window(&self, key: Key) -> io::Result<Rc<RefCell<Window>>> {
        let id = self.sockets.end(key).ok_or(io::ErrorKind::NotConnected)?;
        let window = self.network.state().ends.get(id).and_then(|end| end.window.clone());
        window.ok_or_else(|| io::ErrorKind::Unsupported.into())
    }
}
