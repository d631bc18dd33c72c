//! How a resolver answers.

use std::fmt;
use std::net::SocketAddr;
use std::panic::Location;
use std::rc::{Rc, Weak};

use super::Family;
use crate::connect::Part;
use crate::error::LookupError;
use crate::key::Key;
use crate::reactor::Shell;
use crate::ready::Callback;

/// Takes the answer to one [`Query`](super::Query), in one piece or in two: a part for each family, in any order.
///
/// * In one piece: [`all`](Self::all), [`sorted`](Self::sorted), [`fail`](Self::fail).
/// * In two: [`found`](Self::found) or [`failed`](Self::failed), once for each [`Family`]. What comes for a family that is
///   answered already is ignored.
///
/// When it is dropped, what is still unanswered fails as [abandoned](LookupError::Abandoned). It belongs to the loop's
/// thread: work on other threads answers through [`run_blocking`](crate::Handle::run_blocking) or a
/// [`Remote`](crate::Remote). Nothing of the program's is called before its methods return.
///
/// ```
/// use marline_reactor::{Answer, Family, Handle, Query, Reactor};
/// use std::net::SocketAddr;
/// use std::time::Duration;
///
/// // One answer comes at once and the other, that there is none, a little later, as from a server.
/// let resolver = |handle: &Handle, query: Query, answer: Answer| {
///     answer.found(Family::V4, [SocketAddr::from(([127, 0, 0, 1], query.port()))]);
///     let timer = handle.call_later(Duration::from_millis(5), {
///         let mut answer = Some(answer);
///         move || answer.take().into_iter().for_each(|answer| answer.found(Family::V6, []))
///     });
///     timer.unreference();
/// };
/// let reactor = Reactor::new()?;
/// reactor.handle().set_resolver(resolver);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Answer {
    shell: Weak<Shell>,
    attempt: Key,
}

impl Answer {
    pub(crate) fn new(shell: &Rc<Shell>, attempt: Key) -> Self {
        Self { shell: shell.weak(), attempt }
    }

    /// The loop that asks, unless it has ended.
    pub(super) fn shell(&self) -> Option<Rc<Shell>> {
        self.shell.upgrade()
    }

    pub(super) fn attempt(&self) -> Key {
        self.attempt
    }

    /// These are all addresses that there are, of both families, or those that are still missing. The loop begins with the
    /// first of IPv6 and lets the families take turns; within a family it keeps the order. No address at all is the error
    /// [`NoAddress`](LookupError::NoAddress).
    pub fn all(self, addresses: impl IntoIterator<Item = SocketAddr>) {
        self.tell(Part::Both, addresses.into_iter().collect(), None);
    }

    /// As [`all`](Self::all), of addresses that were sorted for this machine (RFC 6724, section 6), as `getaddrinfo` does
    /// it: the loop begins with the first, of whichever family it is.
    pub fn sorted(self, addresses: impl IntoIterator<Item = SocketAddr>) {
        let addresses: Vec<SocketAddr> = addresses.into_iter().collect();
        let first = addresses.first().map(Family::of);
        self.tell(Part::Both, addresses, first);
    }

    /// There is no answer.
    pub fn fail(self, error: impl Into<LookupError>) {
        self.tell_error(Part::Both, error.into());
    }

    /// These are the addresses of one family; there may be none. The loop begins to connect as soon as it may: those of IPv6
    /// at once, and those of IPv4 after 50 ms, if the answer for IPv6 has not come by then.
    pub fn found(&self, family: Family, addresses: impl IntoIterator<Item = SocketAddr>) {
        self.tell(Part::One(family), addresses.into_iter().collect(), None);
    }

    /// There is no answer for one family. The look-up fails only if nothing comes of the other either.
    pub fn failed(&self, family: Family, error: impl Into<LookupError>) {
        self.tell_error(Part::One(family), error.into());
    }

    /// Whether somebody still waits for it, or for a part of it. Nobody does if the attempt was cancelled, its time was up, or
    /// it has its connection already.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.shell.upgrade().is_some_and(|shell| shell.looks_up(self.attempt))
    }

    /// Calls this, from the loop, if nobody waits any more before everything is answered: to cancel a query, a timer, a job.
    /// Soon, if that is so by now. If all of it is answered, or the loop is dropped, `call` is dropped without being called. It
    /// replaces what was given before.
    ///
    /// ```
    /// use marline_reactor::{Answer, Handle, Query};
    /// use std::net::ToSocketAddrs;
    ///
    /// fn resolve(handle: &Handle, query: Query, answer: Answer) {
    ///     let work = move || (query.host(), query.port()).to_socket_addrs();
    ///     let answer = std::rc::Rc::new(std::cell::Cell::new(Some(answer)));
    ///     let later = answer.clone();
    ///     let job = handle.run_blocking(work, move |outcome| match (later.take(), outcome) {
    ///         (Some(answer), Ok(Ok(found))) => answer.sorted(found),
    ///         (Some(answer), Ok(Err(error))) => answer.fail(error),
    ///         _ => {} // dropped: abandoned
    ///     });
    ///     if let (Ok(job), Some(waiting)) = (job, answer.take()) {
    ///         waiting.on_cancel(move || _ = job.cancel());
    ///         answer.set(Some(waiting));
    ///     }
    /// }
    /// # let reactor = marline_reactor::Builder::new().resolver(resolve).build()?;
    /// # Ok::<(), marline_reactor::CreateError>(())
    /// ```
    #[track_caller]
    pub fn on_cancel(&self, call: impl FnOnce() + 'static) {
        let call = Callback::new(call, Location::caller());
        match self.shell.upgrade() {
            Some(shell) => shell.when_look_up_is_cancelled(self.attempt, call),
            None => drop(call),
        }
    }

    fn tell(&self, part: Part, addresses: Vec<SocketAddr>, first: Option<Family>) {
        if let Some(shell) = self.shell.upgrade() {
            shell.addresses_found(self.attempt, part, addresses, first);
        }
    }

    fn tell_error(&self, part: Part, error: LookupError) {
        if let Some(shell) = self.shell.upgrade() {
            shell.look_up_failed(self.attempt, part, error);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.tell_error(Part::Both, LookupError::Abandoned);
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("is_wanted", &self.is_wanted()).finish()
    }
}
