//! Who held the loop for too long.

use super::Warning;
use crate::key::Key;
use crate::protocol::{Internal, Protocol};
use crate::reactor::Shell;

impl Shell {
    /// Makes a call to code of the user's, which must be contained, and reports it if it is slow. `what` names it then,
    /// unless it described itself.
    #[inline]
    pub(crate) fn timed<R>(&self, call: impl FnOnce() -> R, what: impl FnOnce() -> String) -> R {
        if self.debug.on.get() { self.timed_call(call, what) } else { call() }
    }

    /// As [`timed`](Self::timed), for a method of a protocol that is out of its slot.
    #[inline]
    pub(crate) fn timed_protocol<R>(
        &self,
        key: Key,
        protocol: &mut dyn Protocol,
        call: impl FnOnce(&mut dyn Protocol) -> R,
    ) -> R {
        if !self.debug.on.get() {
            return call(protocol);
        }
        let name = protocol.type_name(Internal);
        self.timed_call(
            || call(protocol),
            || format!("a callback of {}", self.name_connection(key, Some(name))),
        )
    }

    #[cold]
    fn timed_call<R>(&self, call: impl FnOnce() -> R, what: impl FnOnce() -> String) -> R {
        // What is said outside of this call, or by one around it, is not about this one.
        let outer = self.debug.description.take();
        let begun = self.now();
        let answer = call();
        let took = self.now() - begun;
        let description = self.debug.description.replace(outer);
        let limit = self.debug.slow.get();
        if took >= limit && self.debug.on.get() {
            let what = description.unwrap_or_else(what);
            self.warn(&Warning::Slow { what, took, limit });
        }
        answer
    }
}
