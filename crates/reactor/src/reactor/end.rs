//! The order in which a dropped loop is emptied.
//!
//! 1. Other threads are refused, and the backend closes every connection; blocking jobs that have not begun and what was
//!    posted are dropped.
//! 2. The ready queue, then the timers, the signals, attempts, the resolver, shutdown hooks and hooks
//!    before sleep.
//! 3. The factories of listeners, the protocols of connections, and watched sources with their callbacks, in the order of
//!    their slots. Nobody is called back: that is what `shutdown` is for.
//! 4. The loop's local values, the last made first, then who was told of warnings and failures.
//! 5. The threads of the pool: those that are busy are waited for, at most for their grace. Then the backend.
//!
//! Each drop of something of the user's is contained by itself, and finds handles that answer with error values.

use std::rc::Rc;

use super::events::Answered;
use super::{Life, Shell, Slot, context};
use crate::backend::ended::Ended;
use crate::backend::{Close, Completion, Wait};
use crate::connection::Flags;
use crate::instant::Instant;
use crate::ready::{Entry, Other};

/// How often the backend is asked for answers at the end: some leave a part of them to a later turn.
const ANSWERS: usize = 16;

impl Shell {
    pub(super) fn end(self: &Rc<Self>) {
        let _entered = context::enter(self);
        self.life.set(Life::Ended);
        self.end_hosting();
        let (arrived, waker) = self.remote.shared().close();
        self.contained(move || drop(waker));
        self.close_connections();
        self.end_unbegun_jobs();
        self.drop_each(arrived.posts);
        self.empty_ready();
        self.empty_timers();
        self.clear_processes();
        self.end_signals();
        self.clear_signals();
        self.clear_connects();
        let resolver = self.naming.clear();
        self.contained(move || drop(resolver));
        let hooks = self.shutdown.borrow_mut().clear();
        self.drop_each(hooks);
        self.drop_each(self.sleep_hooks.clear());
        self.empty_slots();
        self.watches.clear();
        while let Some(value) = self.locals.pop() {
            self.contained(move || drop(value));
        }
        self.drop_each(self.clear_debugging());
        let handler = self.failures.take();
        self.contained(move || drop(handler));
        self.end_pools();
        self.take_back_sends();
        let ended = Ended::new(self.now(), self.choices.clone());
        let backend = self.take_backend(Box::new(ended));
        self.contained(move || drop(backend));
    }

    /// Takes back the bytes that were lent to the backend. It answers each send of a connection that was closed; what
    /// it does not answer at once dies with it.
    fn take_back_sends(&self) {
        for _ in 0..ANSWERS {
            let wait = Wait { until: Some(Instant::ZERO), helpers_busy: false };
            if self.backend().wait(wait).is_err() {
                return;
            }
            let mut whole = Vec::new();
            self.backend().take_sent(&mut whole);
            let mut answered = !whole.is_empty();
            whole.into_iter().for_each(|sent| self.throw_away(sent.outgoing));
            loop {
                let completion = self.backend().next();
                let Some(completion) = completion else { break };
                answered = true;
                if let Completion::Sent(_, sent) = completion {
                    self.throw_away(sent.outgoing);
                }
            }
            if !answered {
                return;
            }
        }
    }

    /// From here on their handles answer as those of connections that are gone.
    fn close_connections(&self) {
        for key in self.slot_keys() {
            self.close_port(key);
            let was =
                self.alter(key, |connection| (connection.is_closing(), connection.flags.raise(Flags::LOST)));
            let Some((closing, is_new)) = was else { continue };
            if !closing {
                self.was_unclosed(|| self.name_connection(key, None));
            }
            // A close that is under way already dies with the backend.
            if is_new {
                let _ = self.backend().close(key, Close::Orderly);
            }
        }
    }

    fn close_port(&self, key: crate::key::Key) {
        let Some((closing, is_new)) = self.port(key, |port| (port.is_closing(), port.end())) else { return };
        if !closing {
            self.was_unclosed(|| self.port(key, |port| port.name(key, None)).unwrap_or_default());
        }
        if is_new {
            let _ = self.backend().close(key, Close::Orderly);
        }
    }

    fn empty_ready(&self) {
        loop {
            let entry = self.ready.borrow_mut().pop();
            let Some(entry) = entry else { return };
            if !matches!(entry, Entry::Other(Other::Cancelled)) {
                self.contained(move || drop(entry));
            }
        }
    }

    fn empty_timers(&self) {
        self.drop_each(self.timers.clear());
    }

    fn empty_slots(&self) {
        for key in self.slot_keys() {
            let slot = self.remove_slot(key);
            if slot
                .as_ref()
                .is_some_and(|slot| matches!(slot, Slot::Listener(listening) if !listening.is_stopping()))
            {
                let _ = self.backend().close(key, Close::Orderly);
            }
            match slot {
                Some(Slot::Connection(connection)) => {
                    let parts = connection.into_parts();
                    self.drop_each(parts.protocols);
                    self.drop_each(parts.lost);
                    self.drop_each(parts.attached);
                    self.drop_each(parts.filtered);
                    parts.outgoing.into_iter().for_each(|outgoing| self.throw_away(outgoing));
                }
                Some(Slot::Listener(listening)) => {
                    let uncalled = self.discard_listening(*listening);
                    self.drop_each(uncalled);
                }
                Some(Slot::Datagram(port)) => {
                    let (protocol, factory) = port.into_parts();
                    self.contained(move || drop(protocol));
                    self.contained(move || drop(factory));
                }
                Some(Slot::Watch(watching)) => self.end_watch(key, *watching),
                _ => {}
            }
        }
        for answered in self.answered.take() {
            if let Answered::Lent(sent) = answered {
                self.throw_away(sent.outgoing);
            }
        }
        let left = self.take_slots();
        self.contained(move || drop(left));
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.life.get() == Life::Ended
    }
}
