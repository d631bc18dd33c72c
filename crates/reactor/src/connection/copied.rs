//! Sends of copies, of which next to nothing is noted as long as nobody looks.
//!
//! Where sending is no call to the system, few bytes are sent as a [copy](crate::backend::Backend::send_copy). All of it is sent by the end of
//! the next wait, nearly always, and the backend names the others then. So the connection keeps how much it was and in which wait it
//! will be sent, without the mark of a send that is under way. Whoever looks at the connection before that wait has ended finds
//! the send under way: it is marked so then, and ended after the wait. Whoever looks later finds all of it sent.

use std::rc::Rc;

use super::{Connection, Flags};
use crate::key::Key;
use crate::reactor::{Shell, Slot};

impl Connection {
    /// A copy of so much is to be sent in the next wait. It counts as sent.
    #[inline]
    pub(super) fn lend_copy(&mut self, len: usize, wait: u32) {
        self.flags.set(Flags::COPIED);
        (self.lent, self.lent_in) = (len, wait);
    }

    /// How much is under way before that wait.
    pub(super) fn lent_by(&self, wait: u32) -> usize {
        if self.flags.any(Flags::COPIED) && self.lent_in != wait { 0 } else { self.lent }
    }

    /// Whether a send is under way, or was begun since the last wait.
    #[inline]
    pub(super) fn is_sending(&self, wait: u32) -> bool {
        self.flags.any(Flags::SENDING) || self.lent_in == wait
    }

    /// Marks the send of a copy as under way.
    pub(super) fn mark_copy(&mut self) {
        self.flags.clear(Flags::COPIED);
        self.flags.set(Flags::SENDING);
        self.traffic.sent -= self.lent as u64;
    }

    /// Somebody looks, with a copy that was begun: whether it is still to be sent, in this wait.
    fn show_copy(&mut self, wait: u32) -> bool {
        let is_under_way = self.lent_in == wait;
        if is_under_way {
            self.mark_copy();
        } else {
            self.flags.clear(Flags::COPIED);
            self.lent = 0;
        }
        is_under_way
    }
}

impl Shell {
    /// Which wait comes next, as its number wraps.
    #[inline]
    pub(crate) fn wait_number(&self) -> u32 {
        self.waits.get()
    }

    /// Nobody finds a copy in a connection that is not what it seems.
    #[inline]
    pub(crate) fn look_at_copy(&self, key: Key, connection: &mut Connection) {
        if connection.flags.any(Flags::COPIED) {
            self.show_copy(key, connection);
        }
    }

    #[cold]
    fn show_copy(&self, key: Key, connection: &mut Connection) {
        if connection.show_copy(self.wait_number()) {
            self.copies.borrow_mut().push(key);
        }
    }

    /// A wait has ended, and with it the sends of copies, all but those that the backend names: they go on as others do. Once for each
    /// wait: what is begun after this is sent in the next one.
    pub(crate) fn end_copies(self: &Rc<Self>) {
        let mut unsent = self.unsent.take();
        self.backend_in_turn().take_unsent(&mut unsent);
        for key in unsent.drain(..) {
            if let Some(Slot::Connection(connection)) = self.slots().get_mut(key) {
                if connection.flags.any(Flags::COPIED) {
                    connection.mark_copy();
                } else {
                    connection.flags.set(Flags::UNSENT);
                }
            }
        }
        self.unsent.set(unsent);
        let mut copies = self.copies.take();
        for key in copies.drain(..) {
            if let Some(len) = self.sent_copy(key) {
                self.end_copy(key, len);
            }
        }
        // It keeps its memory. Nothing was begun meanwhile.
        self.copies.replace(copies);
    }

    /// How much of a copy was sent that was marked as under way, if it was.
    fn sent_copy(&self, key: Key) -> Option<usize> {
        let mut slots = self.slots();
        let Some(Slot::Connection(connection)) = slots.get_mut(key) else { return None };
        let is_sent = !connection.flags.any(Flags::UNSENT);
        connection.flags.clear(Flags::UNSENT);
        is_sent.then_some(connection.lent)
    }
}
