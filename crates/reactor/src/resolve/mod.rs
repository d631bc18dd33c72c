//! Looking host names up, by a resolver that a program can replace.
//!
//! * This file: what a resolver is; `query`: what it is asked; `answer`: how it answers.
//! * `system`: the one that programs have if they choose none.

mod answer;
mod query;
mod system;

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::rc::Rc;

pub use answer::Answer;
pub use query::{Family, Query};
pub use system::SystemResolver;
pub(crate) use system::THREADS;

use crate::reactor::{Handle, Shell};

/// Finds the addresses of host names, for one loop. [`Builder::resolver`](crate::Builder::resolver) and
/// [`Handle::set_resolver`] put one in the place of the [system's](SystemResolver).
///
/// It is a callback like any other: the loop calls it, on its thread, and it must not block. It takes no part in futures or
/// threads; whatever it needs for its work (a transport, a timer, a job on the pool, a task) it gets from the
/// [`Handle`], and it answers at once or later, from a callback of the loop's. So a DNS client that sends its questions over
/// datagrams and connections of the loop itself is an implementation of this trait, and needs no thread. There is none yet.
///
/// Addresses in the place of a name (`tcp://[::1]:80`) are never asked for, and neither is a name that a listener listens
/// on. The loop remembers no answers: a resolver that does so knows how long they hold.
///
/// A closure is a resolver too.
///
/// ```
/// use marline_reactor::{Answer, Handle, Query, Reactor, Resolve, SystemResolver};
/// use std::net::{IpAddr, SocketAddr};
///
/// /// Knows one name, and leaves the others to the system.
/// struct OneName(&'static str, IpAddr);
///
/// impl Resolve for OneName {
///     fn resolve(&mut self, handle: &Handle, query: Query, answer: Answer) {
///         if query.host() == self.0 {
///             answer.all([SocketAddr::new(self.1, query.port())]);
///         } else {
///             SystemResolver.resolve(handle, query, answer);
///         }
///     }
/// }
///
/// let reactor = Reactor::new()?;
/// reactor.handle().set_resolver(OneName("database.test", [127, 0, 0, 1].into()));
/// let server = reactor.handle().listen("tcp://127.0.0.1:0", |_| |_: &_, _: &[u8]| ())?;
/// let port = server.local_address().and_then(|address| address.as_inet()).expect("TCP").port();
/// let stop = reactor.handle();
/// let endpoint = format!("tcp://database.test:{port}");
/// reactor.handle().connect(endpoint, |_| |_: &_, _: &[u8]| (), move |outcome| {
///     assert!(outcome.is_ok());
///     stop.stop();
/// });
/// reactor.run()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Resolve {
    /// Begins to find the addresses of `query`, which go to `answer`. An answer that is dropped says
    /// that the question was [abandoned](crate::LookupError::Abandoned); so does a panic, which is
    /// [reported](Handle::on_failure).
    fn resolve(&mut self, handle: &Handle, query: Query, answer: Answer);
}

impl<F: FnMut(&Handle, Query, Answer)> Resolve for F {
    fn resolve(&mut self, handle: &Handle, query: Query, answer: Answer) {
        self(handle, query, answer);
    }
}

/// A program's resolver, with where it was given to the loop.
pub(crate) type Placed = (Box<dyn Resolve>, &'static Location<'static>);

/// The program's resolver, if it has one.
pub(crate) struct Naming {
    is_replaced: Cell<bool>,
    /// `None` also while it runs.
    resolver: RefCell<Option<Placed>>,
}

impl Naming {
    pub(crate) fn new(resolver: Option<Placed>) -> Self {
        Self { is_replaced: Cell::new(resolver.is_some()), resolver: RefCell::new(resolver) }
    }

    /// Whether the system's resolver is not the one to ask.
    pub(crate) fn is_replaced(&self) -> bool {
        self.is_replaced.get()
    }

    /// The loop is dropped.
    pub(crate) fn clear(&self) -> Option<Placed> {
        self.resolver.take()
    }
}

impl Shell {
    pub(crate) fn set_resolver(&self, resolver: Placed) {
        if self.is_ended() {
            // Kept here, it might keep the loop itself alive.
            self.contained(move || drop(resolver));
            return;
        }
        self.naming.is_replaced.set(true);
        let old = self.naming.resolver.replace(Some(resolver));
        self.contained(move || drop(old));
    }

    /// Puts a question to the program's resolver, from the loop.
    pub(crate) fn ask_resolver(self: &Rc<Self>, query: Query, answer: Answer) {
        if !answer.is_wanted() {
            return;
        }
        let resolver = self.naming.resolver.take();
        let Some((mut resolver, place)) = resolver else { return };
        let handle = Handle::new(Rc::clone(self));
        let asked = || self.contained_at(place, || resolver.resolve(&handle, query, answer));
        self.timed(asked, || format!("the resolver given to the loop at {place}"));
        let mut resolver = Some((resolver, place));
        let mut current = self.naming.resolver.borrow_mut();
        // It may have put another in its place.
        if current.is_none() && !self.is_ended() {
            *current = resolver.take();
        }
        drop(current);
        self.contained(move || drop(resolver));
    }
}

impl Handle {
    /// Looks host names up with this from now on, and no longer with what was [given](crate::Builder::resolver) before, which
    /// is dropped. Questions that were asked already are still answered by whoever was asked.
    ///
    /// ```
    /// use marline_reactor::{Answer, Handle, Query, Reactor};
    /// use std::io::{Error, ErrorKind};
    ///
    /// let reactor = Reactor::new()?;
    /// // In a program that may connect to addresses only.
    /// reactor.handle().set_resolver(|_: &Handle, query: Query, answer: Answer| {
    ///     let text = format!("{} is a name, and names are not looked up here", query.host());
    ///     answer.fail(Error::new(ErrorKind::Unsupported, text));
    /// });
    /// # Ok::<(), marline_reactor::CreateError>(())
    /// ```
    #[track_caller]
    pub fn set_resolver(&self, resolver: impl Resolve + 'static) {
        self.shell().set_resolver((Box::new(resolver), Location::caller()));
    }
}
