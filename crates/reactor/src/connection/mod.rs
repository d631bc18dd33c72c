//! Connections: what the loop keeps of one, and everything that happens to it.
//!
//! * `flags`: the bits of a connection's state, and what follows from them.
//! * `straight`: the usual, by itself; `announced`: whose input comes next; `visit`: there, a callback of a protocol; `flight`: what
//!   is written in it; `errand`: what takes the input in its place; `direct`: the calls to the system; `arrived`: what needs none.
//! * `dispatch`: calls protocols, and puts things right after a callback.
//! * `input`: bytes in; `show`: what a protocol is shown of them; `unread`: bytes that a protocol gave back.
//! * `taking`: bytes in that a protocol takes itself.
//! * `output`: bytes out, and their flow control; `departing`: few of them.
//! * `descriptors`: those that are passed over it.
//! * `files`: files among them.
//! * `spares`: queues of bytes that nobody uses just now.
//! * `ending`: close, abort, loss.
//! * `handover`: one protocol after another.
//! * `layers`: what layers around a protocol need of a connection.
//! * `chain`: filters, as far as they need no loop; `filters`: bytes in through them; `sealing`: bytes out, and the end.

mod announced;
mod arrived;
mod chain;
mod departing;
mod descriptors;
mod direct;
mod dispatch;
mod ending;
mod errand;
mod files;
mod filters;
mod flags;
mod flight;
mod handover;
mod input;
mod layers;
mod output;
mod sealing;
mod show;
mod spares;
mod straight;
mod taking;
mod unread;
mod visit;

use std::any::Any;
use std::time::Duration;

use crate::address::Addresses;
use crate::backend::{LentSocket, Outgoing};
use crate::key::Key;
use crate::lost::Lost;
use crate::protocol::Protocol;
use crate::timer::queue::TimerId;
pub(crate) use announced::Announced;
use descriptors::Passed;
use filters::Filtered;
pub(crate) use flags::Flags;
pub(crate) use flight::{Errands, Flight};
pub use layers::{Suspension, Traffic};
pub(crate) use output::Flush;
pub(crate) use show::ROOM;
pub(crate) use spares::Spares;
pub(crate) use unread::Delivery;
use unread::Unread;
pub(crate) use visit::Visit;

/// What the loop keeps of a connection. While nothing is under way it owns no memory but its slot and its protocol.
pub(crate) struct Connection {
    /// `None` while one of its callbacks runs.
    pub(crate) protocol: Option<Box<dyn Protocol>>,
    pub(crate) flags: Flags,
    pub(crate) low: usize,
    pub(crate) high: usize,
    /// With more than this waiting in memory, a write ends the connection.
    pub(crate) write_limit: usize,
    pub(crate) addresses: Addresses,
    /// The listener that accepted it, or [`Key::NOBODY`].
    server: Key,
    /// Bytes that wait, apart from those that are lent to the backend.
    outgoing: Option<Box<Outgoing>>,
    /// How many bytes are lent to the backend.
    lent: usize,
    /// Which wait came next when they were lent, as its number wraps.
    lent_in: u32,
    /// In milliseconds, which need less room than a `Duration`.
    close_timeout: u32,
    /// The socket, if the backend lends it, or lets bytes depart on it.
    socket: Option<LentSocket>,
    /// How many bytes may be written in a [flight] where nothing waits.
    most: u32,
    traffic: Traffic,
    /// What only few connections have at a time.
    rare: Option<Box<Rare>>,
}

#[derive(Default)]
struct Rare {
    /// Bytes to deliver before any that the backend has.
    unread: Unread,
    passed: Option<Box<Passed>>,
    /// The protocol that takes over when the running callback returns, with the bytes it begins with.
    successor: Option<(Box<dyn Protocol>, Vec<u8>)>,
    /// The deadline of closing, or the pause before a send is tried again.
    timer: Option<TimerId>,
    lost: Option<Lost>,
    /// What layers around its protocol have, of which most connections have none.
    layered: Option<Box<Layered>>,
}

impl Rare {
    fn concerns_bytes(&self) -> bool {
        let layers = |layered: &Layered| layered.suspensions > 0 || layered.filtered.is_some();
        !self.unread.is_empty()
            || self.passed.is_some()
            || self.successor.is_some()
            || self.timer.is_some()
            || self.lost.is_some()
            || self.layered.as_deref().is_some_and(layers)
    }
}

#[derive(Default)]
struct Layered {
    /// How many suspensions keep it from reading.
    suspensions: usize,
    /// Values of the program's, dropped when the loss was told.
    attached: Vec<Box<dyn Any>>,
    filtered: Option<Box<Filtered>>,
}

/// What a connection held of the user's.
pub(crate) struct Parts {
    pub(crate) protocols: Vec<Box<dyn Protocol>>,
    pub(crate) outgoing: Option<Box<Outgoing>>,
    pub(crate) lost: Option<Lost>,
    pub(crate) attached: Vec<Box<dyn Any>>,
    /// Filters, and what they made known.
    pub(crate) filtered: Vec<Box<dyn Any>>,
}

/// Something to tell a protocol, from the ready queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// `connection_made` of a protocol that took over.
    Made,
    /// Filters were pushed while no callback ran.
    Filters,
    /// All filters are established.
    Established,
    /// `pause_writing` or `resume_writing`, whichever is due by then.
    Flow,
    Drained,
    PeerClosed,
    Lost,
}

const LOW: usize = 16 * 1024;
const HIGH: usize = 64 * 1024;
const WRITE_LIMIT: usize = 256 * 1024 * 1024;
const CLOSE_TIMEOUT_MS: u32 = 30_000;

impl Connection {
    pub(crate) fn new(protocol: Box<dyn Protocol>, addresses: Addresses, server: Option<Key>) -> Self {
        Self {
            protocol: Some(protocol),
            flags: Flags::default(),
            low: LOW,
            high: HIGH,
            write_limit: WRITE_LIMIT,
            addresses,
            server: server.unwrap_or(Key::NOBODY),
            outgoing: None,
            lent: 0,
            lent_in: 0,
            close_timeout: CLOSE_TIMEOUT_MS,
            socket: None,
            most: flight::most(HIGH, WRITE_LIMIT),
            traffic: Traffic::default(),
            rare: None,
        }
    }

    /// What it holds of the user's: protocols, and bytes that may have owners.
    pub(crate) fn into_parts(self) -> Parts {
        let rare = self.rare.map(|rare| *rare).unwrap_or_default();
        let successor = rare.successor.map(|(protocol, _)| protocol);
        let protocols = self.protocol.into_iter().chain(successor).collect();
        let layered = rare.layered.map(|layered| *layered).unwrap_or_default();
        let filtered = layered.filtered.map(Filtered::into_parts).unwrap_or_default();
        Parts { protocols, outgoing: self.outgoing, lost: rare.lost, attached: layered.attached, filtered }
    }

    /// The listener that accepted it.
    pub(crate) fn server(&self) -> Option<Key> {
        Some(self.server).filter(|key| *key != Key::NOBODY)
    }

    /// Keeps the socket that the backend lends, or none, as it is about to close it.
    pub(crate) fn keep_socket(&mut self, socket: Option<LentSocket>) {
        self.socket = socket;
    }

    pub(crate) fn set_write_limit(&mut self, bytes: usize) {
        self.write_limit = bytes;
        self.most = flight::most(self.high, bytes);
    }

    fn set_watermarks(&mut self, low: usize, high: usize) {
        (self.low, self.high) = (low, high);
        self.most = flight::most(high, self.write_limit);
    }

    /// Bytes that are written and not sent.
    pub(crate) fn buffered(&self) -> usize {
        self.lent + self.outgoing.as_ref().map_or(0, |outgoing| outgoing.len())
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.flags.any(Flags::CLOSING | Flags::LOST)
    }

    /// Whether bytes may be delivered to the protocol as soon as they are there.
    pub(crate) fn is_reading(&self) -> bool {
        !self.has_successor()
            && !self.has_new_filters()
            && !self.flags.any(Flags::PAUSED | Flags::LEFT | Flags::SUSPENDED | Flags::CLOSING | Flags::LOST)
    }

    /// Whether the program paused reading.
    pub(crate) fn is_paused(&self) -> bool {
        self.flags.any(Flags::PAUSED)
    }

    /// Whether a layer keeps it from reading.
    pub(crate) fn is_suspended(&self) -> bool {
        self.flags.any(Flags::SUSPENDED)
    }

    /// Whether a protocol waits to take over.
    pub(crate) fn has_successor(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.successor.is_some())
    }

    pub(crate) fn accepts_writes(&self) -> bool {
        !self.flags.any(Flags::EOF_ASKED | Flags::CLOSING | Flags::LOST)
    }

    /// How it ended, if its end is certain.
    pub(crate) fn loss(&self) -> Option<Lost> {
        self.rare.as_ref()?.lost.clone()
    }

    /// Whether a flow callback is due: `Some(true)` for a pause, `Some(false)` for a resume. Who closes is not asked to
    /// resume.
    fn flow_due(&self) -> Option<bool> {
        let (waiting, told) = (self.weight(), self.flags.any(Flags::TOLD_PAUSE));
        if !told && waiting > self.high {
            Some(true)
        } else if told && waiting <= self.low && !self.flags.any(Flags::CLOSING) {
            Some(false)
        } else {
            None
        }
    }

    /// Whether something can only go on when the send that is under way was answered.
    fn awaits_send(&mut self) -> bool {
        let waits = Flags::CLOSING | Flags::EOF_ASKED | Flags::DRAIN_ASKED | Flags::TOLD_PAUSE;
        let wire = self.is_filtered() && self.chain().is_some_and(chain::Chain::has_wire);
        let queued = wire || self.outgoing.as_ref().is_some_and(|outgoing| !outgoing.is_empty());
        self.flags.any(Flags::SENDING) && !self.flags.any(Flags::LOST) && (queued || self.flags.any(waits))
    }

    /// Whether it has anything of what is rare that concerns its bytes.
    #[inline]
    fn has_rarities(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.concerns_bytes())
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    fn close_timeout(&self) -> Duration {
        Duration::from_millis(self.close_timeout.into())
    }

    /// Rounded up, so that nothing ends early.
    fn set_close_timeout(&mut self, timeout: Duration) {
        let millis = timeout.as_nanos().div_ceil(1_000_000);
        self.close_timeout = u32::try_from(millis).unwrap_or(u32::MAX);
    }

    fn layered(&mut self) -> &mut Layered {
        self.rare().layered.get_or_insert_default()
    }

    /// How many bytes were given back.
    pub(crate) fn unread_len(&self) -> usize {
        self.rare.as_ref().map_or(0, |rare| rare.unread.len())
    }

    fn has_unread(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| !rare.unread.is_empty())
    }
}
