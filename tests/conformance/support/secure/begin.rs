//! How connections of the loop's come to have TLS: from the beginning, or later.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use marline_reactor::filter::{self, ReadAhead};
use marline_reactor::{
    Addresses, ConnectDone, ConnectError, ConnectFactory, Connecting, Endpoint, EndpointKind, EndpointParts,
    Handle, ListenError, ListenFactory, Lost, Protocol, Reason, Server, Transport,
};
use marline_tls::{StartTls, TlsError, TlsFilter, TlsVersion};

use super::super::announce::Announce;
use super::super::place::Place;
use super::super::trace::{Event, Log};
use super::super::world::{World, skip};
use super::config::{NAME, Setup};
use super::far::{Far, FarPipes, FarTerminal};
use super::party::Party;

/// Which role our side plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

impl Side {
    pub const BOTH: [Self; 2] = [Self::Client, Self::Server];

    /// The filter for this role.
    pub fn filter(self, version: TlsVersion, setup: &Setup) -> TlsFilter {
        match self {
            Self::Client => setup.client(version).filter(NAME).expect("a name"),
            Self::Server => setup.server().filter(),
        }
    }
}

/// How a connection comes to have TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    pub ours: Side,
    /// From its beginning, by an endpoint; otherwise by `start_tls`.
    pub by_endpoint: bool,
    pub version: TlsVersion,
}

impl Way {
    /// The callbacks before there is data.
    pub fn opening(self) -> Vec<Event> {
        if self.by_endpoint { vec![Event::Made] } else { vec![Event::Made, Event::Established] }
    }

    /// The callback in which the protocol hears that the handshake is done.
    pub fn done(self) -> Event {
        if self.by_endpoint { Event::Made } else { Event::Established }
    }

    /// The opening, and then these.
    pub fn story(self, rest: impl IntoIterator<Item = Event>) -> Vec<Event> {
        self.opening().into_iter().chain(rest).collect()
    }
}

/// A connection whose handshake has begun on our side.
pub struct Begun {
    pub party: Rc<Party>,
    seen: Seen,
    outcome: Outcome,
    connecting: Option<Connecting>,
    _server: Option<Listening>,
}

/// Stops with it.
struct Listening(Server);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Begun {
    /// As far as the protocol heard of it.
    pub fn seen(&self) -> Option<Transport> {
        look(&self.seen)
    }

    pub fn transport(&self) -> Transport {
        self.seen().expect("a connection that was made")
    }

    /// Whether bytes flow on both sides.
    pub fn is_established(&self) -> bool {
        !self.party.is_shaking() && self.seen().is_some_and(|transport| transport.is_established())
    }

    /// Of connecting.
    pub fn outcome(&self) -> Option<Result<Transport, ConnectError>> {
        self.outcome.take()
    }

    pub fn connecting(&self) -> Option<&Connecting> {
        self.connecting.as_ref()
    }
}

impl World {
    /// How TLS can come to a connection here.
    pub fn ways(&self) -> Vec<Way> {
        let mut ways = Vec::new();
        for ours in Side::BOTH {
            for version in [TlsVersion::Tls13, TlsVersion::Tls12] {
                ways.push(Way { ours, by_endpoint: false, version });
            }
            if !matches!(self.place(), Place::Pipes | Place::Terminal) {
                ways.push(Way { ours, by_endpoint: true, version: TlsVersion::Tls13 });
            }
        }
        ways.iter().for_each(|way| println!("{way:?}"));
        ways
    }

    /// A connection without TLS of its own, and its far end. The protocol may hear of it later.
    pub fn plain(&self, protocol: impl Protocol) -> (Transport, Rc<dyn Far>) {
        match self.place() {
            Place::Pipes => {
                let ((input, to), (output, from)) = (self.system_pipe(true), self.system_pipe(false));
                let opened = self.handle().adopt_stream((input, output), protocol);
                (opened.expect("pipes"), Rc::new(FarPipes::new(to, from)))
            }
            Place::Terminal => {
                let (pty, program) = self.pty();
                // Before anything is sent, which would be changed on its way.
                let program = program.raw();
                let opened = self.handle().adopt_stream(pty.master, protocol);
                (opened.expect("a terminal"), Rc::new(FarTerminal::new(program)))
            }
            Place::Within => {
                let opened = self.open(Side::Server, &[(TlsVersion::Tls13, Setup::default())], protocol);
                let outer = Rc::new(outer(Side::Server, Rc::clone(&opened.raw)));
                self.until(|| {
                    outer.pump();
                    look(&opened.seen).is_some() && !outer.is_shaking()
                });
                (look(&opened.seen).expect("a connection"), outer)
            }
            _ => {
                let (transport, raw) = self.accept_one(protocol);
                (transport, Rc::new(raw))
            }
        }
    }

    /// Begins TLS on our side of a new connection. The peer does nothing yet.
    pub fn begin(&self, way: Way, setup: &Setup, protocol: impl Protocol) -> Begun {
        self.begin_between(way, setup, &Setup::default(), protocol)
    }

    /// The same with another setup for the peer.
    pub fn begin_between(&self, way: Way, ours: &Setup, theirs: &Setup, protocol: impl Protocol) -> Begun {
        let Way { ours: side, version, .. } = way;
        if !way.by_endpoint {
            let (transport, far) = self.plain(protocol);
            transport.start_tls(side.filter(version, ours), ReadAhead::Refuse).expect("a live connection");
            let party = Rc::new(Party::opposite(side, version, theirs, far));
            let seen = Rc::new(Cell::new(Some(transport)));
            return Begun { party, seen, outcome: Rc::default(), connecting: None, _server: None };
        }
        let mut layers = vec![(version, ours.clone())];
        let is_within = self.place() == Place::Within;
        if is_within {
            layers.insert(0, (TlsVersion::Tls13, Setup::default()));
        }
        let Opened { raw, seen, outcome, connecting, server } = self.open(side, &layers, protocol);
        let far = if is_within { Rc::new(outer(side, raw)) } else { raw };
        let party = Rc::new(Party::opposite(side, version, theirs, far));
        Begun { party, seen, outcome, connecting, _server: server }
    }

    /// A connection whose handshake is done on both sides.
    pub fn secure(&self, way: Way, setup: &Setup, protocol: impl Protocol) -> Begun {
        let begun = self.begin(way, setup, protocol);
        self.until(|| {
            begun.party.pump();
            begun.is_established()
        });
        begun
    }

    /// Turns the loop, and has the peer read and send, until nothing more happens.
    pub fn calm(&self, party: &Party) {
        self.settle();
        while party.pump() {
            self.settle();
        }
    }

    /// A connection by an endpoint with these layers of TLS, the lowest first.
    fn open(&self, side: Side, layers: &[(TlsVersion, Setup)], protocol: impl Protocol) -> Opened {
        let over = |endpoint: Endpoint| {
            layers.iter().cloned().fold(endpoint, |below, (version, setup)| {
                Endpoint::of_kind(Kind { below, version, setup }, "secure:")
            })
        };
        let (seen, outcome) = (Rc::new(Cell::new(None)), Rc::new(RefCell::new(None)));
        let protocol = Announce { inner: protocol, seen: Rc::clone(&seen) };
        match side {
            Side::Server => {
                let mut protocol = Some(protocol);
                let server =
                    self.handle().listen(over(self.free_endpoint()), move |_: &Addresses| protocol.take());
                let server = server.expect("a listener");
                let raw: Rc<dyn Far> = Rc::new(self.connect_raw(&server));
                Opened { raw, seen, outcome, connecting: None, server: Some(Listening(server)) }
            }
            Side::Client => {
                let listener = self.listen_raw();
                let endpoint = listener.endpoint().parse().expect("an endpoint");
                let told = Rc::clone(&outcome);
                let done = move |result| *told.borrow_mut() = Some(result);
                let connecting = self.handle().connect(over(endpoint), move |_: &Addresses| protocol, done);
                let raw = RefCell::new(None);
                self.until(|| {
                    let mut raw = raw.borrow_mut();
                    *raw = raw.take().or_else(|| listener.accept());
                    raw.is_some()
                });
                let raw: Rc<dyn Far> = Rc::new(raw.into_inner().expect("a connection"));
                Opened { raw, seen, outcome, connecting: Some(connecting), server: None }
            }
        }
    }
}

type Seen = Rc<Cell<Option<Transport>>>;
type Outcome = Rc<RefCell<Option<Result<Transport, ConnectError>>>>;

/// What came of an endpoint.
struct Opened {
    raw: Rc<dyn Far>,
    seen: Seen,
    outcome: Outcome,
    connecting: Option<Connecting>,
    server: Option<Listening>,
}

fn look(seen: &Cell<Option<Transport>>) -> Option<Transport> {
    let transport = seen.take();
    seen.set(transport.clone());
    transport
}

/// The far end of the TLS that another runs in.
fn outer(side: Side, below: Rc<dyn Far>) -> Party {
    let party = Party::opposite(side, TlsVersion::Tls13, &Setup::default(), below);
    party.answer();
    party
}

/// TLS over another endpoint.
struct Kind {
    below: Endpoint,
    version: TlsVersion,
    setup: Setup,
}

impl EndpointKind for Kind {
    fn connect(
        &self,
        handle: &Handle,
        _: &EndpointParts,
        factory: ConnectFactory,
        done: ConnectDone,
    ) -> Connecting {
        let made = Side::Client.filter(self.version, &self.setup);
        filter::connect(handle, &self.below, |_| made, factory, done)
    }

    fn listen(
        &self,
        handle: &Handle,
        _: &EndpointParts,
        factory: ListenFactory,
    ) -> Result<Server, ListenError> {
        let (version, setup) = (self.version, self.setup.clone());
        filter::listen(handle, &self.below, move |_| Side::Server.filter(version, &setup), factory)
    }
}

/// Whether a terminal of the system's forgets what was not read when our side closes it.
pub fn forgets(world: &World) -> bool {
    let forgets = world.place() == Place::Terminal && !world.is_memory();
    if forgets {
        skip("what is in a terminal goes with its master");
    }
    forgets
}

/// The callbacks, without those of the flow, which come as they may; data joined.
pub fn story(log: &Log) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for event in log.all() {
        match (events.last_mut(), event) {
            (_, Event::Pause | Event::Resume) => {}
            (Some(Event::Data(sum)), Event::Data(count)) => *sum += count,
            (_, event) => events.push(event),
        }
    }
    events
}

/// The error of TLS that a connection was lost with.
#[track_caller]
pub fn tls_error(lost: Option<&Lost>) -> TlsError {
    match lost.map(Lost::reason) {
        Some(Reason::Failed(error)) => error.downcast_ref::<TlsError>().expect("an error of TLS").clone(),
        other => panic!("{other:?}"),
    }
}
