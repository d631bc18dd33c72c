//! What debug mode reports.

use std::fmt;
use std::panic::Location;
use std::thread;
use std::time::Duration;

/// Something that works, and is probably a mistake. Debug mode [reports](crate::Handle::on_warning) it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A callback, or one poll of a task, held the loop: nothing else could run meanwhile.
    Slow {
        /// Which: the type of the protocol and its connection, or the place that scheduled it, or the task.
        what: String,
        /// How long it took, on the loop's clock.
        took: Duration,
        /// How long it may take.
        limit: Duration,
    },
    /// A connection was given up without being closed. The loop closed it.
    Unclosed {
        /// Which, and how.
        what: String,
    },
    /// A handle was used on a thread that is not its loop's. It answered with an error.
    WrongThread {
        /// What was used.
        what: String,
        /// The thread: its name, or its number.
        thread: String,
        /// Where in the program, as far as that is known.
        place: Option<&'static Location<'static>>,
    },
}

impl Warning {
    /// A connection was given up without being closed.
    #[must_use]
    pub fn unclosed(what: String) -> Self {
        Self::Unclosed { what }
    }

    /// A handle was used at this place, on this thread, which is not its loop's.
    #[must_use]
    pub fn wrong_thread(what: String, place: Option<&'static Location<'static>>) -> Self {
        let thread = thread::current();
        let name = thread.name().map_or_else(|| format!("{:?}", thread.id()), |name| format!("{name:?}"));
        Self::WrongThread { what, thread: name, place }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slow { what, took, limit } => {
                write!(f, "{what} took {took:?}, and nothing else could run (the limit is {limit:?})")
            }
            Self::Unclosed { what } => f.write_str(what),
            Self::WrongThread { what, thread, place } => {
                write!(f, "{what} was used on the thread {thread}, which is not its loop's")?;
                place.map_or(Ok(()), |place| write!(f, ", at {place}"))
            }
        }
    }
}
