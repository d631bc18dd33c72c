//! Datagrams: sockets that keep the boundaries of what was sent.
//!
//! * `protocol`: what a program gives the loop; `transport`: what the loop gives the protocol; `error`: what can go wrong.
//! * `open`: how a socket is opened; `endpoint`: the same by a string. `input`: datagrams in, and how protocols are called. `output`: datagrams out, and their
//!   flow control. `packets`: listeners for connections that keep records apart. `ending`: close, abort, loss. `multicast`: groups.
//!
//! A socket is to datagrams what a connection is to bytes, with these differences. What goes wrong with one datagram ends
//! nothing. Nothing is lent to the backend across a turn: it takes datagrams at once, or tells when there is room. A batch of up
//! to 64 is received into memory that all sockets share, and delivered one by one; what a pause leaves of it is copied, so
//! that the memory is free for the next socket.

mod ending;
mod endpoint;
mod error;
mod input;
mod multicast;
mod open;
mod output;
mod packets;
mod protocol;
mod transport;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::panic::Location;
use std::time::Duration;

pub use error::{DatagramError, MulticastError, SendError};
pub use packets::PacketServer;
pub use protocol::DatagramProtocol;
pub use transport::DatagramTransport;

use crate::address::Address;
use crate::backend::{DatagramOpened, DatagramQueue, Datagrams};
use crate::key::Key;
use crate::lost::Lost;
use crate::protocol::Internal;
use crate::reactor::{Shell, Slot};
use crate::timer::queue::TimerId;

const LOW: usize = 16 * 1024;
const HIGH: usize = 64 * 1024;
const LIMIT: usize = 1024 * 1024;
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// So many errors wait to be told; more say nothing new.
const ERRORS: usize = 64;

/// How many empty queues are kept for whoever sends next.
const SPARES: usize = 64;

/// What the loop keeps of a datagram socket. While nothing is under way it owns no memory but this and its protocol.
pub(crate) struct Port {
    /// `None` while one of its callbacks runs.
    protocol: Option<Box<dyn DatagramProtocol>>,
    local: Address,
    peer: Option<Address>,
    largest: usize,
    low: usize,
    high: usize,
    /// How much may wait to be sent.
    limit: usize,
    /// Where it was opened.
    place: &'static Location<'static>,
    /// Datagrams that wait, or are out with the backend.
    queue: Option<Box<DatagramQueue>>,
    /// What was received and not delivered, because reading was paused.
    kept: Option<Box<Kept>>,
    /// Errors to tell.
    errors: VecDeque<io::Error>,
    close_timeout: Duration,
    /// The deadline of closing.
    timer: Option<TimerId>,
    lost: Option<Lost>,
    /// Makes the protocols of the connections that a listener accepts; `None` while it runs.
    factory: Option<packets::Factory>,
    /// How often in a row the backend had no room, and nothing to tell of any.
    retries: u8,
    state: State,
}

/// Datagrams that wait for a resume, and how many of them were delivered.
struct Kept {
    batch: Datagrams,
    next: usize,
}

#[derive(Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools)]
struct State {
    /// `connection_made` was called, or is being called.
    made: bool,
    /// The program paused reading.
    paused: bool,
    /// A connection could not be accepted; a timer goes on with it.
    backing_off: bool,
    /// The backend may have input.
    input: bool,
    /// It stands on the list of those to pull from in the next turn.
    listed: bool,
    /// It stands on the list of those to flush at the end of the turn.
    dirty: bool,
    /// The backend has no room, and will tell when it has.
    blocked: bool,
    /// The backend has no room; a timer tries again.
    retrying: bool,
    /// The protocol was told to pause writing.
    told_pause: bool,
    /// A visit, which tells what there is to tell, is in the ready queue.
    visit: bool,
    closing: bool,
    /// The end is certain.
    lost: bool,
    /// The backend has closed it: the loss can be told.
    closed: bool,
}

impl Port {
    fn new(
        protocol: Box<dyn DatagramProtocol>,
        opened: DatagramOpened,
        place: &'static Location<'static>,
    ) -> Self {
        Self {
            protocol: Some(protocol),
            local: opened.local,
            peer: opened.peer,
            largest: opened.largest,
            low: LOW,
            high: HIGH,
            limit: LIMIT,
            place,
            queue: None,
            kept: None,
            errors: VecDeque::new(),
            close_timeout: CLOSE_TIMEOUT,
            timer: None,
            lost: None,
            factory: None,
            retries: 0,
            state: State::default(),
        }
    }

    fn buffered(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.size())
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.state.closing || self.state.lost
    }

    fn is_reading(&self) -> bool {
        !(self.state.paused || self.state.backing_off || self.is_closing())
    }

    /// Whether a flow callback is due: `Some(true)` for a pause, `Some(false)` for a resume. Who closes is not asked to resume.
    fn flow_due(&self) -> Option<bool> {
        let (buffered, told) = (self.buffered(), self.state.told_pause);
        if !told && buffered > self.high {
            Some(true)
        } else if told && buffered <= self.low && !self.is_closing() {
            Some(false)
        } else {
            None
        }
    }

    /// Its loop ends: whether its end was not certain before.
    pub(crate) fn end(&mut self) -> bool {
        !std::mem::replace(&mut self.state.lost, true)
    }

    /// What it holds of the user's, for whoever drops it.
    pub(crate) fn into_parts(self) -> (Option<Box<dyn DatagramProtocol>>, Option<packets::Factory>) {
        (self.protocol, self.factory)
    }

    /// Who it is, for people.
    pub(crate) fn name(&self, key: Key, protocol: Option<&str>) -> String {
        let own = self.protocol.as_ref().map(|protocol| protocol.type_name(Internal));
        let protocol = protocol.or(own).unwrap_or("its callback runs");
        let with = self.peer.as_ref().map_or_else(String::new, |peer| format!(" with {peer}"));
        format!("datagram socket {key:?} ({protocol}), {}{with}", self.local)
    }

    /// What a dump says of it.
    pub(crate) fn line(&self, key: Key) -> String {
        let state = if self.state.lost {
            "lost"
        } else if self.state.closing {
            "closing"
        } else {
            "open"
        };
        let mut line = format!("{}: {state}", self.name(key, None));
        let shown = [
            (self.state.paused, "reading paused"),
            (self.state.backing_off, "no connection could be accepted"),
            (self.state.told_pause, "writing paused"),
            (self.state.blocked || self.state.retrying, "the system has no room"),
        ];
        for (_, words) in shown.into_iter().filter(|(is_so, _)| *is_so) {
            line.push_str(", ");
            line.push_str(words);
        }
        if let Some(queue) = &self.queue {
            line.push_str(&format!(", {} datagrams to send", queue.len()));
        }
        line
    }
}

/// Queues of datagrams that nobody uses just now.
#[derive(Default)]
pub(crate) struct DatagramSpares {
    // Boxed as ports pass them around.
    #[allow(clippy::vec_box)]
    queues: RefCell<Vec<Box<DatagramQueue>>>,
}

impl DatagramSpares {
    fn take(&self) -> Box<DatagramQueue> {
        self.queues.borrow_mut().pop().unwrap_or_default()
    }

    fn give_back(&self, mut queue: Box<DatagramQueue>) {
        queue.pop(queue.len());
        let mut queues = self.queues.borrow_mut();
        if queues.len() < SPARES {
            queues.push(queue);
        }
    }
}

impl Shell {
    /// Works on a datagram socket. `change` must run no code of the user's.
    pub(crate) fn port<R>(&self, key: Key, change: impl FnOnce(&mut Port) -> R) -> Option<R> {
        self.slot(key, |slot| match slot {
            Slot::Datagram(port) => Some(change(port)),
            _ => None,
        })?
    }

    /// Asks something of a socket; one that is gone says no.
    fn ask_port(&self, key: Key, question: impl FnOnce(&mut Port) -> bool) -> bool {
        self.port(key, question).unwrap_or(false)
    }
}
