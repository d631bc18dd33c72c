//! What layers around a protocol need of a connection: counts of its bytes, pauses that are not the protocol's, and
//! values that live as long as it does.

use std::any::Any;
use std::fmt;
use std::rc::Rc;

use super::Flags;
use crate::backend::Close;
use crate::key::Key;
use crate::lost::Reason;
use crate::reactor::Shell;

/// How many bytes a connection has moved so far, whatever protocols it had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Received, and delivered at least once. Bytes that were [given back](crate::Transport::unread) are not counted again.
    pub received: u64,
    /// Handed to the system. What [waits](crate::Transport::buffered) is not among them.
    pub sent: u64,
}

/// Keeps a connection from reading while it lives ([`Transport::suspend_reading`](crate::Transport::suspend_reading)).
#[must_use = "reading goes on when it is dropped"]
pub struct Suspension {
    shell: Rc<Shell>,
    key: Key,
}

impl Suspension {
    pub(crate) fn new(shell: &Rc<Shell>, key: Key) -> Self {
        shell.alter(key, |connection| {
            connection.flags.set(Flags::SUSPENDED);
            connection.layered().suspensions += 1;
        });
        Self { shell: Rc::clone(shell), key }
    }
}

impl Drop for Suspension {
    fn drop(&mut self) {
        self.shell.alter(self.key, |connection| {
            let suspensions = &mut connection.layered().suspensions;
            *suspensions -= 1;
            if *suspensions == 0 {
                connection.flags.clear(Flags::SUSPENDED);
            }
        });
        self.shell.go_on_reading(self.key);
    }
}

impl fmt::Debug for Suspension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Suspension({:?})", self.key)
    }
}

impl Shell {
    pub(crate) fn traffic(&self, key: Key) -> Traffic {
        self.inspect(key, |connection| connection.traffic).unwrap_or_default()
    }

    pub(super) fn count_received(&self, key: Key, bytes: usize) {
        self.alter(key, |connection| connection.traffic.received += bytes as u64);
    }

    /// Lets a value live until the loss was told. If that is over, it is dropped from the loop.
    pub(crate) fn attach(&self, key: Key, value: Box<dyn Any>) {
        let mut value = Some(value);
        self.alter(key, |connection| connection.layered().attached.extend(value.take()));
        if let Some(value) = value {
            self.discard(value);
        }
    }

    /// A deadline of the program's has passed. Nobody is told that all was well if something was still to be sent.
    pub(crate) fn time_out(self: &Rc<Self>, key: Key) {
        let state = self.inspect(key, |connection| (connection.is_lingering(), connection.buffered() > 0));
        match state {
            // Everything was sent and our direction ended: it is only the peer that is still waited for.
            Some((true, _)) => self.lose(key, Reason::Clean, Close::Orderly),
            Some((false, true)) => self.lose(key, Reason::Timeout, Close::Reset),
            Some((false, false)) => self.lose(key, Reason::Timeout, Close::Orderly),
            None => {}
        }
    }
}
