//! Everything in a network: the ends of connections, the listeners, and the backends' inboxes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::inbox::Inbox;
use super::mailbox::{Delivery, Mailbox};
use super::programs::Programs;
use super::virtual_terminal::Window;
use super::wire::{Chunking, Wire};
use crate::address::{Address, Addresses, UnixAddress};
use crate::backend::{Completion, Outgoing};
use crate::choice::Choices;
use crate::credentials::Credentials;
use crate::key::Key;
use crate::os_signal::SignalKind;
use crate::slab::Slab;
use crate::watch::Ready;

/// Names a slot of one of the network's own tables. The loops' keys never appear as such.
pub(super) type Id = Key;

/// What a receive buffer of a kernel typically holds.
const CAPACITY: usize = 64 * 1024;

/// The first of the ports that IANA leaves to the system to give out (RFC 6335).
pub(super) const FIRST_EPHEMERAL: u16 = 49152;

#[derive(Debug)]
pub(super) struct State {
    pub(super) choices: Choices,
    pub(super) chunking: Chunking,
    pub(super) delivery: Delivery,
    /// How many bytes each direction holds; at least one.
    pub(super) capacity: usize,
    pub(super) hosts: HashMap<String, Vec<IpAddr>>,
    pub(super) ignored: HashSet<Address>,
    /// The listeners of UNIX sockets.
    pub(super) names: HashMap<UnixAddress, Id>,
    pub(super) ends: Slab<End>,
    pub(super) listeners: Slab<Listener>,
    /// The listeners of each port, in the order they began.
    pub(super) ports: HashMap<u16, Vec<Id>>,
    pub(super) mailboxes: Slab<Mailbox>,
    pub(super) inboxes: Slab<Inbox>,
    /// The children that backends are to be told of, by inbox and key.
    pub(super) children: BTreeSet<(Id, Key)>,
    pub(super) programs: Programs,
    /// The signals that backends watch, by inbox and key.
    pub(super) signals: BTreeMap<(Id, Key), SignalKind>,
    /// Our end of standard input and output, until a loop opens it.
    pub(super) stdio: Option<Id>,
    /// The other sides of terminals that loops made, until the test takes them.
    pub(super) terminals: VecDeque<(Id, Rc<RefCell<Window>>)>,
    pub(super) next_port: u16,
    /// Who is at the other end of UNIX sockets.
    pub(super) credentials: Option<Credentials>,
    /// How many ends, listeners and datagram sockets belong to backends.
    pub(super) sockets: usize,
}

impl State {
    pub(super) fn new(choices: Choices) -> Self {
        Self {
            choices,
            chunking: Chunking::default(),
            delivery: Delivery::default(),
            capacity: CAPACITY,
            hosts: HashMap::new(),
            ignored: HashSet::new(),
            names: HashMap::new(),
            ends: Slab::new(),
            listeners: Slab::new(),
            ports: HashMap::new(),
            mailboxes: Slab::new(),
            inboxes: Slab::new(),
            children: BTreeSet::new(),
            programs: Programs::default(),
            signals: BTreeMap::new(),
            stdio: None,
            terminals: VecDeque::new(),
            next_port: FIRST_EPHEMERAL,
            credentials: None,
            sockets: 0,
        }
    }

    /// Whether this key of a backend's is for a signal or a child.
    pub(super) fn is_told(&self, inbox: Id, key: Key) -> bool {
        self.signals.contains_key(&(inbox, key)) || self.children.contains(&(inbox, key))
    }

    /// A signal comes to one backend, or to all: whether any of them watches it.
    pub(super) fn raise_signal(&mut self, signal: SignalKind, only: Option<Id>) -> bool {
        let whose = |inbox: Id| only.is_none_or(|only| only == inbox);
        let told = self.signals.iter().filter(|((inbox, _), watched)| **watched == signal && whose(*inbox));
        let mut is_watched = false;
        for (&(inbox, key), _) in told {
            is_watched = true;
            if let Some(inbox) = self.inboxes.get_mut(inbox) {
                inbox.push(Completion::Ready { key, ready: Ready::READABLE });
            }
        }
        is_watched
    }

    /// Gives an event to a backend; a script asks for itself.
    pub(super) fn tell(&mut self, owner: Owner, completion: impl FnOnce(Key) -> Completion) {
        if let Owner::Backend { inbox, key } = owner {
            if let Some(inbox) = self.inboxes.get_mut(inbox) {
                inbox.push(completion(key));
            }
        }
    }
}

/// Who uses an end or a listener.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner {
    /// A backend, for a key of its loop.
    Backend { inbox: Id, key: Key },
    /// A scripted peer.
    Script,
    /// Nobody yet: it waits to be accepted.
    Backlog,
}

impl Owner {
    pub(super) fn is_backend(self) -> bool {
        matches!(self, Self::Backend { .. })
    }
}

/// Whether an edge is to be announced, and whether it is about to be.
#[derive(Debug)]
pub(super) struct Notice {
    /// The owner found nothing since the last announcement, and relies on the next.
    pub(super) armed: bool,
    /// An announcement is in the inbox.
    pub(super) announced: bool,
}

impl Notice {
    pub(super) fn new() -> Self {
        Self { armed: true, announced: false }
    }

    /// Whether to announce now, on account of something new. It is not repeated while the owner still has to
    /// take what was announced before, except where it must look again (`anyway`): so a loop that does not keep
    /// its part of the contract is found out.
    pub(super) fn raise(&mut self, anyway: bool) -> bool {
        if self.announced || !(self.armed || anyway) {
            return false;
        }
        self.armed = false;
        self.announced = true;
        true
    }
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It waits for room in the backlog of a listener, or for one that never answers.
    Connecting(Option<Id>),
    Open,
    Refused,
    /// It was reset.
    Broken {
        /// A send has told so.
        told: bool,
    },
}

/// One end of a connection.
#[derive(Debug)]
pub(super) struct End {
    pub(super) owner: Owner,
    pub(super) addresses: Addresses,
    pub(super) phase: Phase,
    /// The other end, while that exists.
    pub(super) other: Option<Id>,
    /// What the other end sent.
    pub(super) incoming: Wire,
    /// We ended our direction.
    pub(super) finished: bool,
    /// A send that waits for room.
    pub(super) sending: Option<Box<Outgoing>>,
    pub(super) notice: Notice,
    /// Nothing is there that was not received, and the owner knows.
    pub(super) drained: bool,
    /// The owner wants to hear of the peer's end.
    pub(super) watched: bool,
    /// It is the end of a pipe: with the other end goes all that it is good for, in whichever way that was closed.
    pub(super) ends_alone: bool,
    /// Its loop wants the descriptors that come.
    pub(super) carries_descriptors: bool,
    /// Those that came with bytes that were received.
    pub(super) descriptors: Vec<OwnedFd>,
    /// It is a terminal.
    pub(super) window: Option<Rc<RefCell<Window>>>,
}

impl End {
    pub(super) fn new(owner: Owner, addresses: Addresses, phase: Phase) -> Self {
        Self {
            owner,
            addresses,
            phase,
            other: None,
            incoming: Wire::default(),
            finished: false,
            sending: None,
            notice: Notice::new(),
            drained: true,
            watched: false,
            ends_alone: false,
            carries_descriptors: false,
            descriptors: Vec::new(),
            window: None,
        }
    }

    /// Whether the next receive gives descriptors to a loop that wants them.
    pub(super) fn passes_next(&self) -> bool {
        self.carries_descriptors && self.incoming.begins_with_descriptor()
    }

    pub(super) fn is_broken(&self) -> bool {
        matches!(self.phase, Phase::Broken { .. } | Phase::Refused)
    }
}

/// A place where connections are accepted.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) owner: Owner,
    pub(super) address: Address,
    pub(super) backlog: usize,
    /// Others may listen here too, if they also say so.
    pub(super) shared: bool,
    /// Its connections carry descriptors.
    pub(super) carries_descriptors: bool,
    /// Our ends of the connections that were not accepted yet.
    pub(super) waiting: VecDeque<Id>,
    /// The other ends of those that do not fit into the backlog.
    pub(super) queue: VecDeque<Id>,
    pub(super) notice: Notice,
}
