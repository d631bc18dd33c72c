//! What a backend knows of terminals.

use std::io;
use std::os::fd::BorrowedFd;

use super::object::Object;
use super::table::Table;
use crate::key::Key;
use crate::terminal::{Pty, WindowSize, set_window_size, window_size};

/// The part of a [`Backend`](super::Backend) that is about terminals.
pub trait Terminals {
    /// Makes a terminal of the backend's own. `None` (the default) leaves it to the operating system.
    fn open_pty(&mut self, size: WindowSize) -> Option<io::Result<Pty>> {
        let _ = size;
        None
    }

    /// The size of the window of a connection.
    ///
    /// # Errors
    ///
    /// `Unsupported` if it is no terminal, and the operating system's.
    fn window_size(&mut self, key: Key) -> io::Result<WindowSize>;

    /// Sets that size.
    ///
    /// # Errors
    ///
    /// As [`window_size`](Self::window_size).
    fn set_window_size(&mut self, key: Key, size: WindowSize) -> io::Result<()>;
}

impl<C, L> Terminals for Table<Object<C, L>> {
    fn window_size(&mut self, key: Key) -> io::Result<WindowSize> {
        window_size(terminal(self, key)?)
    }

    fn set_window_size(&mut self, key: Key, size: WindowSize) -> io::Result<()> {
        set_window_size(terminal(self, key)?, size)
    }
}

fn terminal<C, L>(table: &mut Table<Object<C, L>>, key: Key) -> io::Result<BorrowedFd<'_>> {
    table.stream(key).ok_or(io::ErrorKind::Unsupported)?.channel().terminal()
}
