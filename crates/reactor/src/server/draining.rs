//! An end in which nobody who waits is lost, and connections that were accepted elsewhere.

use std::rc::Rc;

use super::{Factory, Server};
use crate::address::Address;
use crate::adopt::Nobody;
use crate::backend::{Opening, Started};
use crate::connection::Connection;
use crate::key::Key;
use crate::reactor::{Shell, Slot};

/// How many rounds of accepting go by until those who wait are thought to be served: whoever comes later is refused.
const ROUNDS: u8 = 64;

/// How far a listener is with a [drain](Server::drain).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Draining {
    #[default]
    No,
    /// It accepts those who wait, for so many rounds.
    Backlog(u8),
    /// The backend was told to accept no more.
    Stopping,
    /// What is accepted from here on was accepted ahead, and is the last: for so many rounds.
    Last(u8),
}

impl Draining {
    pub(super) fn is_under_way(self) -> bool {
        self != Self::No
    }
}

impl Server {
    /// Stops listening in good order: whoever waits already is accepted, and then the socket is closed. Its connections go on,
    /// and as long as there are any, [`connections`](Self::connections) and [`on_lost`](Self::on_lost) tell of them.
    ///
    /// Whom the [limit](Self::set_limit) keeps out, or a [pause](Self::pause), is refused. Calling it again does nothing. The
    /// factory may call it.
    ///
    /// ```
    /// use marline_reactor::{Addresses, Reactor, Transport};
    /// use std::io::Read;
    ///
    /// let reactor = Reactor::new()?;
    /// let greet = |_: &Addresses| |transport: &Transport, data: &[u8]| {
    ///     transport.write(data);
    ///     transport.close();
    /// };
    /// let server = reactor.handle().listen("tcp://127.0.0.1:0", greet)?;
    /// let address = server.local_address().unwrap().as_inet().unwrap();
    /// let mut early = std::net::TcpStream::connect(address)?;
    /// std::io::Write::write_all(&mut early, b"hello")?;
    /// server.drain();
    /// reactor.run()?; // until the connection that waited was accepted, served, and lost
    /// let mut answer = String::new();
    /// early.read_to_string(&mut answer)?;
    /// assert_eq!(answer, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drain(&self) {
        self.shell.drain_listener(self.key, true);
    }

    /// As [`drain`](Self::drain), but whoever waits is left to others that hold the socket.
    pub(crate) fn leave(&self) {
        self.shell.drain_listener(self.key, false);
    }

    /// A listener that accepts nobody, and is [given](Self::feed) its connections.
    pub(crate) fn fed(shell: &Rc<Shell>, factory: Factory, address: Address, limit: usize) -> Self {
        let key = shell.add_slot(Slot::Reserved);
        let server = Self::install(shell, key, factory, address, limit);
        server.with(|listening| listening.state.fed = true);
        server
    }

    /// Begins a connection that was accepted elsewhere, from the ready queue. Whether there is one.
    pub(crate) fn feed(&self, opening: Opening) -> bool {
        self.shell.feed(self.key, opening)
    }
}

impl Shell {
    fn drain_listener(self: &Rc<Self>, key: Key, with_backlog: bool) {
        let begun = self.listening(key, |listening| {
            let state = &mut listening.state;
            if state.stopping || state.draining.is_under_way() {
                return None;
            }
            state.draining = Draining::Backlog(ROUNDS);
            let at_once = state.fed || state.paused;
            // Also from within the factory: then the round of accepting that calls it goes on.
            let accepts = listening.has_room() && with_backlog;
            listening.state.input |= accepts;
            Some((at_once, accepts))
        });
        match begun.flatten() {
            Some((true, _)) => self.stop_listener(key),
            Some((false, false)) => self.take_no_more(key),
            // From the loop: factories do not run within this call.
            Some((false, true)) => self.go_on_accepting(key),
            None => {}
        }
    }

    /// A round of accepting is over.
    pub(super) fn go_on_draining(self: &Rc<Self>, key: Key) {
        let draining = self.listening(key, |listening| (listening.state.draining, listening.state.input));
        match draining {
            Some((Draining::Backlog(_), _)) => self.take_no_more(key),
            Some((Draining::Last(_), false)) => self.stop_listener(key),
            _ => {}
        }
    }

    /// Whether a listener that has more to accept may go on with it.
    pub(super) fn spends_round(self: &Rc<Self>, key: Key) -> bool {
        let left = self.listening(key, |listening| match &mut listening.state.draining {
            Draining::Backlog(rounds) | Draining::Last(rounds) => {
                *rounds = rounds.saturating_sub(1);
                (*rounds > 0, listening.state.draining)
            }
            draining => (true, *draining),
        });
        match left {
            Some((false, Draining::Backlog(_))) => self.take_no_more(key),
            Some((false, _)) => self.stop_listener(key),
            _ => {}
        }
        left.is_some_and(|(goes_on, _)| goes_on)
    }

    fn take_no_more(self: &Rc<Self>, key: Key) {
        let started = self.backend().stop_accepting(key);
        if let Started::Done(()) = started {
            return self.stop_listener(key);
        }
        self.listening(key, |listening| listening.state.draining = Draining::Stopping);
    }

    /// The backend accepts no more.
    pub(crate) fn accepts_no_more(self: &Rc<Self>, key: Key) {
        self.listening(key, |listening| {
            listening.state.draining = Draining::Last(ROUNDS);
            listening.state.input = true;
        });
        self.acceptable(key);
    }

    fn feed(self: &Rc<Self>, listener: Key, opening: Opening) -> bool {
        if self.refuses_work() {
            return false;
        }
        let Ok((key, opened)) = self.open_stream(opening) else { return false };
        let Some(protocol) = self.make_protocol(listener, &opened.addresses) else {
            self.turn_away(key);
            return false;
        };
        let mut connection = Connection::new(Box::new(Nobody), opened.addresses.clone(), Some(listener));
        connection.on(&opened);
        self.stand(key, connection);
        self.set_protocol(key, protocol, &[]);
        true
    }
}
