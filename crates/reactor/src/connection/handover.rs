//! One protocol after another on the same connection.

use std::rc::Rc;

use super::{Flags, Notice};
use crate::contain::contain;
use crate::key::Key;
use crate::lost::Reason;
use crate::protocol::Protocol;
use crate::reactor::Shell;
use crate::transport::Transport;

impl Shell {
    /// Names the protocol that takes over. If a callback of the connection runs, that happens when it returns, otherwise
    /// from the ready queue; until then nothing is delivered to the old one.
    pub(crate) fn set_protocol(self: &Rc<Self>, key: Key, protocol: Box<dyn Protocol>, unread: &[u8]) {
        let outcome = self.alter(key, |connection| {
            let rare = connection.rare();
            let (passed_over, mut bytes) = rare.successor.take().unzip();
            bytes.get_or_insert_default().extend_from_slice(unread);
            rare.successor = Some((protocol, bytes.unwrap_or_default()));
            // From here on the successor is meant by what is asked, also by others that it works with.
            connection.flags.clear(Flags::DRAIN_ASKED | Flags::DRAIN_QUEUED);
            let queue = !connection.flags.any(Flags::BUSY) && connection.flags.raise(Flags::UNMADE);
            (passed_over, queue)
        });
        if let Some((passed_over, queue)) = outcome {
            if let Some(passed_over) = passed_over {
                self.discard(passed_over);
            }
            if queue {
                self.notify(key, Notice::Made);
            }
        }
    }

    pub(super) fn deliver_made(self: &Rc<Self>, key: Key) {
        if let Some(protocol) = self.check_out(key) {
            self.check_in(key, protocol);
        }
    }

    /// Lets successors take over until there is none, and answers with the protocol that stays. In a loop, because
    /// `connection_made` of a successor may name the next one.
    pub(super) fn succeed(self: &Rc<Self>, key: Key, mut protocol: Box<dyn Protocol>) -> Box<dyn Protocol> {
        while let Some((successor, unread)) = self.take_successor(key) {
            let mut old = std::mem::replace(&mut protocol, successor);
            let given_back = contain(|| old.replaced());
            self.contained(move || drop(old));
            // Without the bytes that the old one had, what the new one would read makes no sense.
            let given_back = given_back.map_err(|panic| self.abort(key, Reason::Panicked(panic)));
            let mut bytes = given_back.unwrap_or_default();
            bytes.extend_from_slice(&unread);
            self.begin_anew(key, &bytes);
            let transport = Transport::new(Rc::clone(self), key);
            let made = self.timed_protocol(key, &mut *protocol, |protocol| {
                contain(|| protocol.connection_made(&transport))
            });
            if let Err(panic) = made {
                self.abort(key, Reason::Panicked(panic));
            }
        }
        protocol
    }

    fn take_successor(&self, key: Key) -> Option<(Box<dyn Protocol>, Vec<u8>)> {
        self.alter(key, |connection| connection.rare.as_mut()?.successor.take())?
    }

    /// The new protocol knows nothing yet: not that writing is paused, not that the peer's direction ended.
    fn begin_anew(&self, key: Key, unread: &[u8]) {
        let (list, check) = self
            .alter(key, |connection| {
                let asked = Flags::TAKES | Flags::LEFT;
                connection.flags.clear(Flags::UNMADE | Flags::TOLD_PAUSE | asked);
                if connection.flags.any(Flags::EOF) && !connection.flags.any(Flags::WRITES_ONLY) {
                    connection.flags.set(Flags::EOF_UNTOLD);
                }
                if !unread.is_empty() {
                    connection.rare().unread.put_back(unread);
                }
                (connection.wants_list(), connection.wants_flow_check())
            })
            .unwrap_or_default();
        if list {
            self.list(key);
        }
        if check {
            self.check_flow_later(key);
        }
    }
}
