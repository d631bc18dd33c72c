//! Who held the loop for too long.

use std::time::Duration;

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
        let debug = &self.debug;
        // What is said outside of this call, or by one around it, is not about this one.
        let (outer, blamed) = (debug.description.take(), debug.blamed.take());
        let begun = self.now();
        let answer = call();
        // A call within it that was slow itself is not this one's fault.
        let took = (self.now() - begun).saturating_sub(debug.blamed.get());
        let description = debug.description.replace(outer);
        let limit = debug.slow.get();
        let is_slow = took >= limit && debug.on.get();
        debug.blamed.set(blamed + debug.blamed.get() + if is_slow { took } else { Duration::ZERO });
        if is_slow {
            let what = description.unwrap_or_else(what);
            self.warn(&Warning::Slow { what, took, limit });
        }
        answer
    }
}
