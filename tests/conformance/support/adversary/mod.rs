//! A backend that does to the loop whatever the contract of backends allows, as chance has it.
//!
//! It stands around any other backend, of which it knows no more than the public trait, and draws each decision from
//! the choice stream, where 0 always means: as the backend below does it.
//!
//! * It *delays* completions for up to [`LONGEST`] turns, during which no wait sleeps. The success of a send it may keep
//!   until a wait ends for another reason, as the contract has it, unless the loop asks for it (`expedite`).
//! * It begins sends, ends of our direction and closes only in the next wait, as a backend does that submits in batches.
//! * It *reorders* completions that are *independent*: of different keys, and of one key all but these. Nothing comes
//!   before its `Connected` and nothing after its `Closed`, and what a foreign source is ready for is told in order, since
//!   a later state replaces an earlier one. So the peer's end may be told before the bytes that came before it, and the
//!   answer to a send after both.
//! * It *splits*: gives out a part of the bytes that were received, and says that there is nothing while it has the rest;
//!   sends a part of what was lent.
//! * It *refuses* files that the backend below would pass on, before or after they are lent.
//! * It *joins*: several receives to one, several `Input`s of a key to one.
//! * It announces input where there is none, and ends waits early.
//!
//! Bytes are neither lost nor invented. What was received in advance is bounded, and is thrown away only by a close, as
//! what is in a socket's buffer is.
//!
//! It also looks whether the loop keeps its own promises, and panics if not.
//!
//! * `events`: completions on their way to the loop.
//! * `streams`: bytes that were received and not given out yet.
//! * `datagrams`: the same for datagrams, whose batches it splits.
//! * `late`: operations that begin later than they were asked for.
//! * `promises`: what the loop may ask for.
//! * `backend`: the adversary as a backend.

mod backend;
mod datagrams;
mod events;
mod late;
mod promises;
mod streams;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use marline_reactor::backend::{Backend, Completion, FileRange, Outgoing, Sent, Started};
use marline_reactor::{ChoiceKind, Choices, Key};

use events::Events;
use late::Late;
use promises::Promises;
use streams::Stream;

/// For how many turns a completion is held back at most.
pub const LONGEST: usize = 3;

/// How a test restrains an [`Adversary`]. Clones share it.
#[derive(Clone, Default)]
pub struct Temper {
    sends_whole: Rc<Cell<bool>>,
    quiet_is_urgent: Rc<Cell<bool>>,
}

impl Temper {
    /// From now on sends are the business of the backend below.
    pub fn send_whole(&self) {
        self.sends_whole.set(true);
    }

    /// No wait sleeps over the success of a send either.
    pub fn keep_nothing_quiet(&self) {
        self.quiet_is_urgent.set(true);
    }
}

/// Any backend, made as difficult as the contract allows.
pub struct Adversary<B: Backend> {
    inner: B,
    choices: Choices,
    temper: Temper,
    events: Events,
    /// Connections that stand, from their beginning until their close is asked for.
    streams: BTreeMap<Key, Stream>,
    /// Those of them whose last answer was that there is nothing, though there may have been something.
    listeners: BTreeMap<Key, bool>,
    /// The same of datagram sockets.
    datagrams: BTreeMap<Key, bool>,
    late: Vec<Late>,
    /// What was lent for sends of which the backend below sends a copy of the front.
    lent: BTreeMap<Key, Box<Outgoing>>,
    promises: Promises,
}

impl<B: Backend> Adversary<B> {
    /// The loop and the adversary draw from `choices`: most often those of the backend below.
    pub fn new(inner: B, choices: &Choices, temper: &Temper) -> Self {
        Self {
            inner,
            choices: choices.clone(),
            temper: temper.clone(),
            events: Events::default(),
            streams: BTreeMap::new(),
            listeners: BTreeMap::new(),
            datagrams: BTreeMap::new(),
            late: Vec::new(),
            lent: BTreeMap::new(),
            promises: Promises::default(),
        }
    }

    // Chance.

    /// For how many turns a completion is held back. More than half of them are not.
    fn delay(&self) -> usize {
        self.choices.choose(ChoiceKind::Postpone, 2 * LONGEST + 1).saturating_sub(LONGEST)
    }

    /// One time in `among`.
    fn happens(&self, kind: ChoiceKind, among: usize) -> bool {
        self.choices.choose(kind, among) == 1
    }

    /// How much of `whole`: all, one byte, half, or as chance has it.
    fn part(&self, kind: ChoiceKind, whole: usize) -> usize {
        match self.choices.choose(kind, 4) {
            1 => whole.min(1),
            2 => whole.div_ceil(2),
            3 => (1 + self.choices.choose(kind, whole)).min(whole),
            _ => whole,
        }
    }

    // Completions.

    /// Takes over what the backend below has to tell.
    fn collect(&mut self) {
        let mut any = false;
        while let Some(completion) = self.inner.next() {
            any = true;
            let completion = match completion {
                Completion::Sent(key, sent) => Completion::Sent(key, self.as_lent(key, sent)),
                other => other,
            };
            self.hold(completion);
        }
        if any && self.happens(ChoiceKind::Spurious, 8) {
            let others = self.listeners.keys().chain(self.datagrams.keys());
            let keys: Vec<Key> = self.streams.keys().chain(others).copied().collect();
            if !keys.is_empty() {
                let which = self.choices.choose(ChoiceKind::Spurious, keys.len());
                self.hold(Completion::Input(keys[which]));
            }
        }
    }

    fn hold(&mut self, completion: Completion) {
        let delay = self.delay();
        self.events.push(completion, delay);
    }

    /// There may be something, of which nothing tells but this: in a later turn, as the contract has it.
    fn announce_later(&mut self, key: Key) {
        let delay = self.delay().max(1);
        self.events.push(Completion::Input(key), delay);
    }

    // Sends.

    /// Sends a part, or all. What has descriptors between its bytes is left to the backend below.
    fn send_part(&mut self, key: Key, outgoing: Box<Outgoing>) -> Started<Sent> {
        if let Some(range) = outgoing.file() {
            let range = range.clone();
            return self.send_file(key, outgoing, &range);
        }
        let front = outgoing.front();
        let whole = self.temper.sends_whole.get() || outgoing.descriptors() > 0;
        let count = if whole || self.choices.choose(ChoiceKind::SendSize, 2) == 0 {
            outgoing.len()
        } else {
            self.part(ChoiceKind::SendSize, front.len())
        };
        if count == outgoing.len() {
            return self.inner.send(key, outgoing);
        }
        let mut copy = Box::<Outgoing>::default();
        copy.push_copy(&front[..count]);
        self.send_in_place_of(key, outgoing, copy)
    }

    /// Sends a file, or a part of it, or says that it cannot.
    fn send_file(&mut self, key: Key, outgoing: Box<Outgoing>, range: &FileRange) -> Started<Sent> {
        if self.happens(ChoiceKind::Postpone, 8) {
            let result = Err(io::ErrorKind::Unsupported.into());
            return Started::Done(Sent { outgoing, result });
        }
        let mut copy = Box::<Outgoing>::default();
        copy.push_file(range.first(self.part(ChoiceKind::SendSize, range.len())));
        self.send_in_place_of(key, outgoing, copy)
    }

    /// Sends `part`, the beginning of what was lent.
    fn send_in_place_of(&mut self, key: Key, lent: Box<Outgoing>, part: Box<Outgoing>) -> Started<Sent> {
        self.lent.insert(key, lent);
        match self.inner.send(key, part) {
            Started::Done(sent) => Started::Done(self.as_lent(key, sent)),
            Started::Pending => Started::Pending,
        }
    }

    /// The answer to a send, about what the loop had lent.
    fn as_lent(&mut self, key: Key, sent: Sent) -> Sent {
        match self.lent.remove(&key) {
            Some(outgoing) => Sent { outgoing, result: sent.result },
            None => sent,
        }
    }

    /// A send is done. That everything was sent may be told whenever the loop wakes up.
    fn hold_sent(&mut self, key: Key, sent: Sent) {
        // Of one that took a part the loop has to hear, since it sends the rest.
        let took_all = matches!(sent.result, Ok(count) if count == sent.outgoing.len());
        let may_be_quiet = took_all && !self.temper.quiet_is_urgent.get();
        if may_be_quiet && self.happens(ChoiceKind::Postpone, 2) {
            self.events.keep_quiet(Completion::Sent(key, sent));
        } else {
            self.hold(Completion::Sent(key, sent));
        }
    }
}
