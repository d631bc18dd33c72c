//! What is still to come from the resolver, and what to do with what came.

use std::net::SocketAddr;
use std::rc::Rc;

use crate::error::LookupError;
use crate::key::Key;
use crate::reactor::Shell;
use crate::ready::{Callback, Entry};
use crate::resolve::{Answer, Family, Query};

/// The question for the addresses of a name: two, in truth, as each family is answered by itself.
#[derive(Default)]
pub(super) struct LookUp {
    v4_is_open: bool,
    v6_is_open: bool,
    /// The first thing that went wrong.
    pub(super) error: Option<LookupError>,
    /// What the resolver wants to be told if the answer is not wanted any more.
    on_cancel: Option<Callback>,
}

impl LookUp {
    pub(super) fn begin(&mut self) {
        (self.v4_is_open, self.v6_is_open) = (true, true);
    }

    pub(super) fn is_open(&self) -> bool {
        self.v4_is_open || self.v6_is_open
    }

    pub(super) fn awaits(&self, family: Family) -> bool {
        match family {
            Family::V4 => self.v4_is_open,
            Family::V6 => self.v6_is_open,
        }
    }

    /// Whether that was still open.
    fn settle(&mut self, part: Part) -> bool {
        let was_open = match part {
            Part::Both => self.is_open(),
            Part::One(family) => self.awaits(family),
        };
        self.v4_is_open &= part == Part::One(Family::V6);
        self.v6_is_open &= part == Part::One(Family::V4);
        was_open
    }
}

/// Which part of the question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    One(Family),
    /// Whatever is still open.
    Both,
}

impl Shell {
    /// Finds the addresses: in the endpoint itself, or by way of the resolver. A program's resolver is called from the loop.
    pub(super) fn look_up(self: &Rc<Self>, key: Key) {
        let asked = self.attempt(key, |attempt| {
            if let Some(address) = attempt.endpoint.target().literal() {
                attempt.candidates.add_literal(address);
                return None;
            }
            attempt.look_up.begin();
            let host = attempt.endpoint.host()?;
            Some((Query::new(host.name(), host.port()), attempt.place))
        });
        let Some(asked) = asked else { return };
        let Some((query, place)) = asked else { return self.go_on_connecting(key) };
        let answer = Answer::new(self, key);
        if self.naming.is_replaced() {
            let shell = Rc::clone(self);
            self.push(Entry::Call(Callback::new(move || shell.ask_resolver(query, answer), place)));
        } else {
            self.ask_system(query, answer);
        }
    }

    pub(crate) fn looks_up(&self, key: Key) -> bool {
        self.attempt(key, |attempt| attempt.look_up.is_open()).unwrap_or(false)
    }

    /// The resolver found these, which may be none. `first` begins, if nothing has begun.
    pub(crate) fn addresses_found(
        self: &Rc<Self>,
        key: Key,
        part: Part,
        addresses: Vec<SocketAddr>,
        first: Option<Family>,
    ) {
        let is_news = self.attempt(key, |attempt| {
            let (v4, v6) = (attempt.look_up.awaits(Family::V4), attempt.look_up.awaits(Family::V6));
            let is_news = attempt.look_up.settle(part);
            if is_news {
                let is_open = |address: &SocketAddr| if address.is_ipv4() { v4 } else { v6 };
                attempt.candidates.add(addresses.into_iter().filter(is_open).collect());
                let first = first.filter(|_| attempt.tries.is_empty());
                first.into_iter().for_each(|family| attempt.candidates.begin_with(family));
            }
            is_news
        });
        if is_news == Some(true) {
            self.look_up_went_on(key);
        }
    }

    /// The resolver found nothing.
    pub(crate) fn look_up_failed(self: &Rc<Self>, key: Key, part: Part, error: LookupError) {
        // What an error holds may be the program's, so none is dropped while the attempt is borrowed.
        let mut error = Some(error);
        let is_news = self.attempt(key, |attempt| {
            let matters = match part {
                Part::One(family) => attempt.expects(family),
                Part::Both => attempt.expects_more(),
            };
            let is_news = attempt.look_up.settle(part);
            if is_news && matters && attempt.look_up.error.is_none() {
                attempt.look_up.error = error.take();
            }
            is_news
        });
        self.discard_error(error);
        if is_news == Some(true) {
            self.look_up_went_on(key);
        }
    }

    fn look_up_went_on(self: &Rc<Self>, key: Key) {
        let over = self.attempt(key, |attempt| {
            let over = if attempt.look_up.is_open() { None } else { attempt.look_up.on_cancel.take() };
            // What waited for IPv6 alone waits no more.
            let waited = attempt.tries.is_empty() && !attempt.look_up.awaits(Family::V6);
            let pause = if waited { attempt.pause.take() } else { None };
            (over, pause)
        });
        let Some((over, pause)) = over else { return };
        over.into_iter().for_each(|call| self.discard(call));
        pause.into_iter().for_each(|pause| self.cancel_timer(pause));
        self.go_on_connecting(key);
    }

    /// Calls this if the answer comes to be wanted no more.
    pub(crate) fn when_look_up_is_cancelled(&self, key: Key, call: Callback) {
        let mut call = Some(call);
        let old = self.attempt(key, |attempt| {
            let new = call.take();
            if attempt.look_up.is_open() {
                std::mem::replace(&mut attempt.look_up.on_cancel, new)
            } else {
                new
            }
        });
        old.flatten().into_iter().for_each(|old| self.discard(old));
        // The attempt is over already.
        if let Some(call) = call {
            self.push(Entry::Call(call));
        }
    }

    /// The attempt is over: whoever still looks for its addresses is told.
    pub(super) fn end_look_up(&self, mut look_up: LookUp) {
        self.discard_error(look_up.error.take());
        let Some(call) = look_up.on_cancel.take() else { return };
        if look_up.is_open() {
            self.push(Entry::Call(call));
        } else {
            self.discard(call);
        }
    }

    /// Lets the loop drop what may be the program's.
    fn discard_error(&self, error: Option<LookupError>) {
        if let Some(LookupError::Failed(error)) = error {
            self.discard(error);
        }
    }

    /// The loop ends: nobody is told.
    pub(super) fn drop_look_up(&self, look_up: LookUp) {
        let LookUp { error, on_cancel, .. } = look_up;
        self.contained(move || drop(error));
        self.contained(move || drop(on_cancel));
    }
}
