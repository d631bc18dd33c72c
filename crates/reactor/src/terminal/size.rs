//! How large the window of a terminal is.

use rustix::termios::Winsize;

/// The size of a terminal's window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct WindowSize {
    /// How many lines it shows.
    pub rows: u16,
    /// How many characters a line has.
    pub columns: u16,
    /// Its width and height in pixels; zeros where that is not known.
    pub pixels: (u16, u16),
}

impl WindowSize {
    /// A window of so many lines and columns, of whose pixels nothing is known.
    #[must_use]
    pub const fn new(rows: u16, columns: u16) -> Self {
        Self { rows, columns, pixels: (0, 0) }
    }
}

impl From<Winsize> for WindowSize {
    fn from(size: Winsize) -> Self {
        Self { rows: size.ws_row, columns: size.ws_col, pixels: (size.ws_xpixel, size.ws_ypixel) }
    }
}

impl From<WindowSize> for Winsize {
    fn from(size: WindowSize) -> Self {
        let (ws_xpixel, ws_ypixel) = size.pixels;
        Self { ws_row: size.rows, ws_col: size.columns, ws_xpixel, ws_ypixel }
    }
}
