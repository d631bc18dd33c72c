//! Far ends that speak TLS by themselves, for tests that know nothing of it.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use marline_reactor::Transport;
use marline_tls::TlsVersion;

use super::super::raw::Raw;
use super::begin::Side;
use super::config::Setup;
use super::far::Far;
use super::party::Party;

/// So much plaintext is read ahead of the test. Then our side has to wait, as it has to for a system.
const READ_AHEAD: usize = 64 * 1024;

/// A far end as tests know them, with TLS between it and the wire.
pub struct SecureEnd {
    party: Party,
    below: Rc<Raw>,
    /// Our side, if the test was told.
    ours: RefCell<Option<Transport>>,
    read: RefCell<Vec<u8>>,
    is_closed: Cell<bool>,
    /// The test ended this end's direction, which has to wait for the handshake.
    ends: Cell<bool>,
}

impl SecureEnd {
    fn new(ours: Side, raw: Raw) -> Self {
        let below = Rc::new(raw);
        let party =
            Party::opposite(ours, TlsVersion::Tls13, &Setup::default(), Rc::clone(&below) as Rc<dyn Far>);
        Self {
            party,
            below,
            ours: RefCell::default(),
            read: RefCell::default(),
            is_closed: Cell::new(false),
            ends: Cell::new(false),
        }
    }

    /// Takes part in the handshake, reads a little ahead, sends what there is, and answers a close: whether anything moved.
    fn pump(&self) -> bool {
        if self.is_closed.get() {
            return false;
        }
        let has_room = self.read.borrow().len() < READ_AHEAD;
        let moved = has_room && self.party.pump();
        self.read.borrow_mut().extend(self.party.take_heard());
        // To end one direction and to close look the same on the wire.
        let ours = self.ours.borrow();
        let closes = ours.as_ref().is_none_or(|ours| ours.is_closing() || ours.is_lost());
        if self.ends.get() && !self.party.is_shaking() || closes && self.party.has_heard_goodbye() {
            self.party.say_goodbye();
        }
        moved
    }

    pub(in super::super) fn write(&self, data: &[u8]) -> usize {
        self.pump();
        if self.party.is_shaking() {
            self.party.say(data);
            return data.len();
        }
        Far::write(&self.party, data)
    }

    pub(in super::super) fn read_up_to(&self, limit: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < limit {
            let moved = self.pump();
            let mut read = self.read.borrow_mut();
            let count = read.len().min(limit - bytes.len());
            bytes.extend(read.drain(..count));
            if !moved && count == 0 {
                break;
            }
        }
        bytes
    }

    pub(in super::super) fn is_finished(&self) -> bool {
        self.pump();
        let ended = self.party.has_heard_goodbye() || self.party.is_shaking() && self.below.is_finished();
        ended && self.read.borrow().is_empty()
    }

    pub(in super::super) fn is_reset(&self) -> bool {
        self.pump();
        self.below.is_reset()
    }

    pub(in super::super) fn finish(&self) {
        self.ends.set(true);
        self.pump();
    }

    pub(in super::super) fn reset(&self) {
        self.is_closed.set(true);
        self.below.reset();
    }

    pub(in super::super) fn close(&self) {
        self.finish();
        self.is_closed.set(true);
        self.below.close();
    }
}

impl Drop for SecureEnd {
    /// As a program that ends in good order.
    fn drop(&mut self) {
        self.finish();
    }
}

/// The far ends of a world that speak TLS, which go on whenever the loop does. Clones share them.
#[derive(Clone, Default)]
pub struct SecureEnds {
    all: Rc<RefCell<Vec<Weak<SecureEnd>>>>,
}

impl SecureEnds {
    /// Puts TLS between a far end and the wire.
    pub(in super::super) fn secure(&self, ours: Side, raw: Raw) -> Raw {
        let end = Rc::new(SecureEnd::new(ours, raw));
        self.all.borrow_mut().push(Rc::downgrade(&end));
        Raw::from_secure(end)
    }

    /// Lets all of them go on, once: whether anything moved.
    pub(in super::super) fn pump(&self) -> bool {
        let all: Vec<_> = self.all.borrow().iter().filter_map(Weak::upgrade).collect();
        all.iter().filter(|end| end.pump()).count() > 0
    }

    /// The one that was made last belongs to this connection.
    pub(in super::super) fn last_is_of(&self, transport: &Transport) {
        if let Some(end) = self.all.borrow().last().and_then(Weak::upgrade) {
            *end.ours.borrow_mut() = Some(transport.clone());
        }
    }
}
