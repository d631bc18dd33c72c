//! What a program wants to hear of a source, and what it hears.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// What a program wants to hear of a watched source.
///
/// ```
/// use marline_reactor::Interest;
///
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert!(both.is_readable() && !both.is_edge());
/// assert!(both.edge().is_edge());
/// assert!(Interest::EMPTY.is_empty());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interest(u8);

const READABLE: u8 = 1;
const WRITABLE: u8 = 1 << 1;
const PRIORITY: u8 = 1 << 2;
const READ_CLOSED: u8 = 1 << 3;
const WRITE_CLOSED: u8 = 1 << 4;
const ERROR: u8 = 1 << 5;
const EDGE: u8 = 1 << 7;
const DIRECTIONS: u8 = READABLE | WRITABLE | PRIORITY;

impl Interest {
    /// Nothing: the source stays, and is not asked.
    pub const EMPTY: Self = Self(0);
    /// That it can be read.
    pub const READABLE: Self = Self(READABLE);
    /// That it can be written.
    pub const WRITABLE: Self = Self(WRITABLE);
    /// That there is something urgent (`POLLPRI`). Only Linux knows of it; elsewhere it is never reported.
    pub const PRIORITY: Self = Self(PRIORITY);

    /// The same, told once for each change instead of once a turn for as long as it is so.
    ///
    /// Whoever asks for edges has to read, or write, until the source would block: nothing is told twice. In return an
    /// event costs no system call beyond the wait.
    #[must_use]
    pub const fn edge(self) -> Self {
        Self(self.0 | EDGE)
    }

    /// Whether it is for edges.
    #[must_use]
    pub const fn is_edge(self) -> bool {
        self.0 & EDGE != 0
    }

    /// Whether it asks for nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 & DIRECTIONS == 0
    }

    /// Whether it asks for [`READABLE`](Self::READABLE).
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.0 & READABLE != 0
    }

    /// Whether it asks for [`WRITABLE`](Self::WRITABLE).
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 & WRITABLE != 0
    }

    /// Whether it asks for [`PRIORITY`](Self::PRIORITY).
    #[must_use]
    pub const fn is_priority(self) -> bool {
        self.0 & PRIORITY != 0
    }
}

impl Interest {
    /// For people.
    pub(super) fn names(self) -> String {
        if self == Self::EMPTY { "nothing".to_owned() } else { Names(self.0).to_string() }
    }

    /// The same for mio, which knows only edges, and no empty interest.
    #[must_use]
    pub fn to_mio(self) -> Option<mio::Interest> {
        let parts = [
            self.is_readable().then_some(mio::Interest::READABLE),
            self.is_writable().then_some(mio::Interest::WRITABLE),
            if self.is_priority() { MIO_PRIORITY } else { None },
        ];
        parts.into_iter().flatten().reduce(mio::Interest::add)
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const MIO_PRIORITY: Option<mio::Interest> = Some(mio::Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const MIO_PRIORITY: Option<mio::Interest> = None;

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Interest({})", Names(self.0))
    }
}

/// What a watched source is ready for.
///
/// A source that hung up or holds an error counts as ready for every direction that was asked for: the call would not
/// block.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Ready(u8);

impl Ready {
    /// Nothing.
    pub const EMPTY: Self = Self(0);
    /// It can be read.
    pub const READABLE: Self = Self(READABLE);
    /// It can be written.
    pub const WRITABLE: Self = Self(WRITABLE);
    /// There is something urgent.
    pub const PRIORITY: Self = Self(PRIORITY);
    /// The other side ended its direction, or both are over.
    pub const READ_CLOSED: Self = Self(READ_CLOSED);
    /// Nothing can be written any more.
    pub const WRITE_CLOSED: Self = Self(WRITE_CLOSED);
    /// It holds an error.
    pub const ERROR: Self = Self(ERROR);

    /// Whether it is ready for nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it can be read. On Linux something urgent may count as readable too.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.0 & READABLE != 0
    }

    /// Whether it can be written.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 & WRITABLE != 0
    }

    /// Whether there is something urgent.
    #[must_use]
    pub const fn is_priority(self) -> bool {
        self.0 & PRIORITY != 0
    }

    /// Whether the other side ended its direction, or both are over.
    #[must_use]
    pub const fn is_read_closed(self) -> bool {
        self.0 & READ_CLOSED != 0
    }

    /// Whether nothing can be written any more.
    #[must_use]
    pub const fn is_write_closed(self) -> bool {
        self.0 & WRITE_CLOSED != 0
    }

    /// Whether it holds an error.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 & ERROR != 0
    }

    /// These, if `so`.
    #[must_use]
    pub const fn when(self, so: bool) -> Self {
        if so { self } else { Self::EMPTY }
    }

    /// These, without `others`.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// What of it concerns somebody with this interest; nothing, if no direction does. An end of the reading direction
    /// concerns who reads; a full hang-up or an error makes every direction ready that was asked for.
    #[must_use]
    pub const fn concerning(self, interest: Interest) -> Self {
        let broken = self.is_write_closed() || self.is_error();
        let implied = if broken {
            DIRECTIONS
        } else if self.is_read_closed() {
            READABLE
        } else {
            0
        };
        let wanted = interest.0 & DIRECTIONS;
        let mut directions = (self.0 | implied) & wanted;
        // Nothing is urgent about an error, unless nobody else would hear of it.
        if self.0 & PRIORITY == 0 && wanted != PRIORITY {
            directions &= !PRIORITY;
        }
        if directions == 0 { Self::EMPTY } else { Self(directions | self.0 & !DIRECTIONS) }
    }
}

impl BitOr for Ready {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ready({})", Names(self.0))
    }
}

/// Bits by name.
struct Names(u8);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(u8, &str); 7] = [
            (READABLE, "readable"),
            (WRITABLE, "writable"),
            (PRIORITY, "priority"),
            (READ_CLOSED, "read closed"),
            (WRITE_CLOSED, "write closed"),
            (ERROR, "error"),
            (EDGE, "edge"),
        ];
        let mut bar = "";
        for (_, name) in NAMES.iter().filter(|(bit, _)| self.0 & bit != 0) {
            write!(f, "{bar}{name}")?;
            bar = " | ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_left() {
        let both = Ready::READABLE | Ready::WRITABLE;
        assert_eq!(both.concerning(Interest::READABLE), Ready::READABLE);
        assert_eq!(both.concerning(Interest::WRITABLE.edge()), Ready::WRITABLE);
        assert_eq!(both.concerning(Interest::PRIORITY), Ready::EMPTY);
        assert_eq!(both.concerning(Interest::EMPTY), Ready::EMPTY);
    }

    #[test]
    fn an_end_concerns_who_reads_and_an_error_everybody() {
        assert!(Ready::READ_CLOSED.concerning(Interest::WRITABLE).is_empty());
        assert!(Ready::READ_CLOSED.concerning(Interest::READABLE).is_readable());
        assert!(Ready::ERROR.concerning(Interest::WRITABLE).is_writable());
        assert!(!Ready::ERROR.concerning(Interest::READABLE | Interest::PRIORITY).is_priority());
        assert!(Ready::ERROR.concerning(Interest::PRIORITY).is_priority());
        assert!(Ready::ERROR.concerning(Interest::EMPTY).is_empty());
    }

    #[test]
    fn they_show_their_names() {
        assert_eq!(format!("{:?}", Interest::READABLE.edge()), "Interest(readable | edge)");
        assert_eq!(format!("{:?}", Ready::WRITABLE | Ready::ERROR), "Ready(writable | error)");
    }
}
